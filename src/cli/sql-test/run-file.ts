import type { DuckDbAnalytics } from '../../analytics/analytics.ts';
import type { SqlResult } from '../../catalog/context.ts';
import { SqlSession } from '../../catalog/session.ts';
import { asStreamError, type StreamError } from '../../lib/errors.ts';
import { datumAt } from '../../values/column.ts';
import { addInterval } from '../../values/interval.ts';
import { Deltas } from './deltas.ts';
import { rowText } from './row-text.ts';
import { openTestDatabase, type TestDatabase } from './test-database.ts';
import { type Expected, parseTestFile, type Step } from './test-file.ts';
import { WAYS, type Way } from './ways.ts';

export interface Failure {
  readonly line: number;
  readonly message: string;
  /** Other rows came; `FileResult.updated` expects them. */
  readonly differs?: true;
}

export interface FileResult {
  readonly steps: number;
  /** After an error, always the last of them, the other steps did not run. */
  readonly failures: readonly Failure[];
  /** The text with the rows that came; what it was when all were expected. */
  readonly updated: string;
}

/** When a test file's clock begins, and with it the earliest time that SET TIME takes: 2000-01-01 00:00:00 UTC. */
const START_MS = Date.UTC(2000, 0, 1);
const LIMITS = { params: [], timeoutMs: 30_000, maxRows: 100_000 } as const;

/**
 * Runs the steps of one test file on a database of its own. Never throws for what the file holds. `verifies`: at the end each view is compared with its
 * definition, as VERIFY VIEW does.
 */
export async function runTestFile(
  text: string,
  analytics: DuckDbAnalytics,
  way: Way = WAYS[0],
  { verifies = false }: { readonly verifies?: boolean } = {},
): Promise<FileResult> {
  let steps: Step[];
  try {
    steps = parseTestFile(text);
  } catch (thrown) {
    const error = asStreamError(thrown);
    return { steps: 0, failures: [{ line: error.at?.line ?? 1, message: error.message }], updated: text };
  }
  const database = await openTestDatabase(START_MS, analytics, way.settings, way.shards);
  const run = new FileRun(database, way.crashes);
  try {
    let goesOn = true;
    for (const step of steps) {
      goesOn = await run.step(step);
      if (!goesOn) break;
    }
    if (verifies && goesOn) await run.verifyAll(text.split('\n').length);
  } finally {
    run.close();
    await database.close();
  }
  return { steps: steps.length, failures: run.failures, updated: rewritten(text, run.rewrites) };
}

class FileRun {
  readonly failures: Failure[] = [];
  readonly rewrites: { readonly at: Expected; readonly rows: readonly string[] }[] = [];
  readonly #database: TestDatabase;
  readonly #limits = { ...LIMITS, session: new SqlSession() };
  readonly #deltas = new Map<string, Deltas>();
  readonly #crashes: boolean;
  #steps = 0;

  constructor(database: TestDatabase, crashes: boolean) {
    this.#database = database;
    this.#crashes = crashes;
  }

  /** False when the file cannot go on. */
  async step(step: Step): Promise<boolean> {
    try {
      await this.#run(step);
      if (this.#crashes) {
        // What the clock brings about is not in the log: it happens, and a checkpoint holds it.
        const isTime = step.kind === 'advance' || step.kind === 'setTime';
        if (isTime) await this.#settle();
        await this.#crash(isTime);
      }
      await this.#settle();
      return true;
    } catch (thrown) {
      if (thrown instanceof Stop) this.failures.push(thrown.failure);
      else
        this.failures.push(failureOf(asStreamError(thrown), 'sqlLine' in step ? step.sqlLine : step.line, step.line));
      return false;
    }
  }

  /** In turn with a fresh checkpoint, in the midst of what the statement set off, and with one that is a statement old. */
  async #crash(isTime: boolean): Promise<void> {
    if (this.#steps++ % 3 === 0 || isTime) await this.#database.engine.checkpoint();
    this.close();
    await this.#database.crash();
    const { catalog, engine } = this.#database;
    for (const [name, deltas] of this.#deltas) {
      const object = catalog.get(name);
      if (object !== undefined) await deltas.followAgain(engine, object.id);
    }
  }

  close(): void {
    for (const deltas of this.#deltas.values()) deltas.close();
  }

  async #run(step: Step): Promise<void> {
    const { clock, executor } = this.#database;
    switch (step.kind) {
      case 'setTime':
        return this.#moveTo(step.ms, step.line);
      case 'advance':
        return this.#moveTo(Number(addInterval(clock.nowMs() * 1000, step.by)) / 1000, step.line);
      case 'sql': {
        if (step.error === null) {
          await executor.execute(step.sql, this.#limits);
          return;
        }
        const code = await executor.execute(step.sql, this.#limits).then(
          () => 'success',
          (thrown: unknown) => asStreamError(thrown).code,
        );
        if (code !== step.error) throw new Stop(step.line, `expected the error ${step.error}, got ${code}`);
        return;
      }
      case 'assert': {
        const rows = await this.#rows(step.sql, step.line);
        const truth = rows.batches.flatMap((batch) =>
          Array.from({ length: batch.length }, (_, row) => datumAt(batch.columns[0], row)),
        );
        if (rows.columns.length !== 1 || rows.columns[0].type.kind !== 'boolean' || truth.length !== 1)
          throw new Stop(step.line, 'ASSERT takes a query with one boolean column and one row');
        if (truth[0] !== true) {
          const said = truth[0] === null ? 'NULL' : 'false';
          this.failures.push({ line: step.line, message: `the assertion is ${said}: ${step.sql.trim()}` });
        }
        return;
      }
      case 'verify': {
        const different = await this.#differences(step.sql, step.line);
        if (different !== null) this.failures.push({ line: step.line, message: different });
        return;
      }
      case 'query': {
        const { columns, batches } = await this.#rows(step.sql, step.line);
        const got = batches.flatMap((batch) =>
          Array.from({ length: batch.length }, (_, row) => rowText(columns, batch, row)),
        );
        return this.#compare(step, step.ordered ? got : got.sort(), step.ordered);
      }
      case 'deltas': {
        const deltas = this.#deltas.get(step.view.toLowerCase());
        if (deltas === undefined) throw new Stop(step.line, `there is no table or view "${step.view}"`);
        return this.#compare(step, deltas.take(), true);
      }
    }
  }

  /** Each view that can be verified; a view over rows without a value, or that keeps what its input no more has, cannot. */
  async verifyAll(line: number): Promise<void> {
    for (const { kind, name } of this.#database.catalog.list()) {
      if (kind !== 'view') continue;
      const quoted = name.split('.').map((part) => `"${part.replaceAll('"', '""')}"`);
      try {
        const different = await this.#differences(`VERIFY VIEW ${quoted.join('.')}`, line);
        if (different !== null) this.failures.push({ line, message: `at the end, ${different}` });
      } catch (thrown) {
        const { code, message } = asStreamError(thrown);
        if (code !== 'SQL_UNSUPPORTED' && !code.startsWith('VALUE_'))
          this.failures.push({ line, message: `at the end, VERIFY VIEW ${name}: ${code}: ${message}` });
      }
    }
  }

  /** Null where a view equals its definition. */
  async #differences(sql: string, line: number): Promise<string | null> {
    const { columns, batches } = await this.#rows(sql, line);
    const rows = batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => rowText(columns, batch, i)));
    if (rows[0]?.startsWith('equal ')) return null;
    return `${sql.replace(/[\s;]+$/, '')}: the view differs from its definition\n${rows.map((row) => `    ${row}`).join('\n')}`;
  }

  async #rows(sql: string, line: number): Promise<Extract<SqlResult, { kind: 'rows' }>> {
    const results = await this.#database.executor.execute(sql, this.#limits);
    const [result] = results;
    if (results.length !== 1 || result.kind !== 'rows') throw new Stop(line, 'expected one query');
    return result;
  }

  #moveTo(ms: number, line: number): void {
    const { clock } = this.#database;
    if (ms < clock.nowMs())
      throw new Stop(line, `time only goes forward, and it is ${new Date(clock.nowMs()).toISOString()} already`);
    clock.moveTo(ms);
  }

  /** All views reflect what was written, watermarks the time; new views are followed. */
  async #settle(): Promise<void> {
    const { catalog, engine, executor } = this.#database;
    await executor.execute('FLUSH', LIMITS);
    await engine.stats();
    const names = new Set<string>();
    for (const object of catalog.list()) {
      if (object.kind !== 'view' && object.kind !== 'table') continue;
      names.add(object.name);
      if (!this.#deltas.has(object.name))
        this.#deltas.set(object.name, await Deltas.follow(engine, object.id, object.columns));
    }
    for (const [name, deltas] of this.#deltas) {
      deltas.endStep();
      if (names.has(name)) continue;
      deltas.close();
      this.#deltas.delete(name);
    }
  }

  #compare(step: Expected & { readonly line: number }, got: readonly string[], ordered: boolean): void {
    const expected = ordered ? step.expected : [...step.expected].sort();
    if (expected.length === got.length && expected.every((row, i) => row === got[i])) return;
    const message = `the rows differ (- expected, + came)\n${diff(expected, got)}`;
    this.failures.push({ line: step.line, message, differs: true });
    this.rewrites.push({ at: step, rows: got });
  }
}

class Stop extends Error {
  readonly failure: Failure;
  constructor(line: number, message: string) {
    super(message);
    this.failure = { line, message };
  }
}

function failureOf(error: StreamError, sqlLine: number, line: number): Failure {
  const hint = error.hint === undefined ? '' : `\n  hint: ${error.hint}`;
  const column = error.at === undefined ? '' : ` (column ${error.at.column})`;
  return {
    line: error.at === undefined ? line : sqlLine + error.at.line - 1,
    message: `${error.code}${column}: ${error.message}${hint}`,
  };
}

const DIFF_ROWS = 2000;

/** Lines of a longest common subsequence with `  `, the others with `- ` and `+ `; a long answer is cut before. */
function diff(expected: readonly string[], got: readonly string[]): string {
  const a = expected.slice(0, DIFF_ROWS);
  const b = got.slice(0, DIFF_ROWS);
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`    ${a[i++]}`);
      j++;
    } else if (i < a.length && (j === b.length || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      lines.push(`  - ${a[i++]}`);
    } else lines.push(`  + ${b[j++]}`);
  }
  if (expected.length > a.length || got.length > b.length)
    lines.push(`  … of ${expected.length} rows expected, ${got.length} that came`);
  return lines.join('\n');
}

function rewritten(
  text: string,
  rewrites: readonly { readonly at: Expected; readonly rows: readonly string[] }[],
): string {
  const lines = text.split('\n');
  for (const { at, rows } of [...rewrites].reverse()) lines.splice(at.from, at.to - at.from, ...rows);
  return lines.join('\n');
}
