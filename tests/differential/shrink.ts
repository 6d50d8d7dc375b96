import { tokenize } from '../../streamql/parser/lexer.ts';
import { type Case, type Change, repaired } from './case.ts';

/**
 * The least case in reach that still fails: spans of the query's tokens go, or a parenthesis becomes what is in it, as long as it fails;
 * then epochs and changes; then values become NULL. Not longer than the given time.
 */
export async function shrink(start: Case, fails: (one: Case) => Promise<boolean>, limitMs = 40_000): Promise<Case> {
  const until = Date.now() + limitMs;
  let best = start;
  const attempt = async (next: Case): Promise<boolean> => {
    if (Date.now() > until || !(await fails(next))) return false;
    best = next;
    return true;
  };
  for (let size = Number.POSITIVE_INFINITY; sizeOf(best) < size && Date.now() < until; ) {
    size = sizeOf(best);
    await fewerChanges(() => best, attempt);
    await shorterQuery(() => best, attempt);
    await fewerChanges(() => best, attempt);
    await emptierRows(() => best, attempt);
  }
  return best;
}

type Attempt = (next: Case) => Promise<boolean>;

const sizeOf = ({ sql, epochs }: Case): number =>
  sql.length +
  epochs.length +
  epochs.flat().reduce((sum, { row }) => sum + 1 + row.filter((datum) => datum !== null).length, 0);

async function shorterQuery(current: () => Case, attempt: Attempt): Promise<void> {
  const withText = (sql: string): Promise<boolean> => attempt({ ...current(), sql });
  for (let span = tokensOf(current().sql).length >> 1; span > 0; span = span > 12 ? span >> 1 : span - 1) {
    for (let from = 0; from + span <= tokensOf(current().sql).length; ) {
      const tokens = tokensOf(current().sql);
      const rest = [...tokens.slice(0, from), ...tokens.slice(from + span)].join(' ');
      if (!(await withText(rest))) from++;
    }
  }
  // A call becomes its argument, a parenthesis what is in it, a value NULL.
  for (let at = 0; at < tokensOf(current().sql).length; at++) {
    const tokens = tokensOf(current().sql);
    if (tokens[at] !== '(') continue;
    const end = closing(tokens, at);
    const inner = tokens.slice(at + 1, end);
    for (const [from, put] of [
      [at - 1, inner],
      [at, inner],
      [at - 1, ['NULL']],
      [at, ['NULL']],
      [at - 1, ['1']],
    ] as const) {
      if (from >= 0 && (await withText([...tokens.slice(0, from), ...put, ...tokens.slice(end + 1)].join(' ')))) break;
    }
  }
}

function tokensOf(sql: string): string[] {
  return tokenize(sql)
    .slice(0, -1)
    .map(({ start, end }) => sql.slice(start, end));
}

function closing(tokens: readonly string[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i] === '(') depth++;
    else if (tokens[i] === ')' && --depth === 0) return i;
  }
  return tokens.length;
}

async function fewerChanges(current: () => Case, attempt: Attempt): Promise<void> {
  const withEpochs = (epochs: readonly (readonly Change[])[]): Promise<boolean> =>
    attempt(repaired({ sql: current().sql, epochs }));
  for (let at = current().epochs.length - 1; at >= 0; at--) {
    const { epochs } = current();
    if (await withEpochs(epochs.toSpliced(at, 1))) continue;
    if (at > 0) await withEpochs(epochs.toSpliced(at - 1, 2, [...epochs[at - 1], ...epochs[at]]));
  }
  const count = (): number => current().epochs.flat().length;
  for (let span = count() >> 1; span > 0; span >>= 1) {
    for (let from = 0; from < count(); ) {
      let place = 0;
      const rest = current().epochs.map((changes) =>
        changes.filter(() => {
          const at = place++;
          return at < from || at >= from + span;
        }),
      );
      if (!(await withEpochs(rest))) from += span;
    }
  }
}

/** The same value in all rows that are equal, so that what goes is still what came. */
async function emptierRows(current: () => Case, attempt: Attempt): Promise<void> {
  for (const { relation, row } of current().epochs.flat()) {
    for (let column = 0; column < row.length; column++) {
      if (row[column] === null || (relation.startsWith('t') && column !== 1 && column !== 2)) continue;
      const { sql, epochs } = current();
      const next = epochs.map((changes) =>
        changes.map((change) =>
          change.relation === relation && sameRow(change.row, row)
            ? { ...change, row: change.row.map((datum, i) => (i === column ? null : datum)) }
            : change,
        ),
      );
      await attempt(repaired({ sql, epochs: next }));
    }
  }
}

const sameRow = (a: readonly unknown[], b: readonly unknown[]): boolean => a.every((datum, i) => datum === b[i]);
