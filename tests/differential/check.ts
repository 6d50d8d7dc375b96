import type { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { StreamError } from '../../src/lib/errors.ts';
import type { Datum } from '../../src/values/types.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { type Case, Content, idOf } from './case.ts';
import { batchAnswer, bind } from './judge.ts';
import { Misbehaviour, runWay, shown, type Way } from './ways.ts';

/** A view that is not what it should be. */
export class Difference extends Error {
  readonly way: Way;

  constructor(way: Way, epoch: number, message: string, options?: ErrorOptions) {
    super(`${way.name}, epoch ${epoch}: ${message}`, options);
    this.way = way;
  }
}

export type Outcome = 'compared' | 'no value' | 'refused';

/** Runs a case in each of the ways and compares with the batch answer after every epoch. Difference, or whatever else must not be. */
export async function check(duckdb: DuckDbAnalytics, one: Case, ways: readonly Way[]): Promise<Outcome> {
  const { sql, epochs } = one;
  let bound: ReturnType<typeof bind>;
  try {
    bound = bind(sql);
  } catch (thrown) {
    // What the grammar has, but these types or this place do not take.
    if (thrown instanceof StreamError && ['SQL_TYPE', 'SQL_UNSUPPORTED', 'SQL_BIND'].includes(thrown.code))
      return 'refused';
    throw thrown;
  }
  const types = bound.columns.map(({ type }) => type);
  const content = new Content();
  const answers: string[][] = [];
  for (const [epoch, changes] of epochs.entries()) {
    for (const change of changes) content.apply(change);
    const rows = await batchAnswer(duckdb, sql, content, epoch);
    if (rows === undefined) return 'no value';
    answers.push(texts(rows, types));
  }
  const plan = optimize(bound.plan);
  for (const way of ways) {
    let at = 0;
    try {
      const isWhole = await runWay(way, plan, one, (rows, epoch) => {
        at = epoch + 1;
        compare(way, epoch, texts(rows, types), answers[epoch]);
        if (bound.key !== null) checkKey(way, epoch, rows, bound.key);
      });
      if (!isWhole) return 'no value';
    } catch (thrown) {
      if (thrown instanceof Difference) throw thrown;
      const detail = thrown instanceof Misbehaviour ? thrown.message : `it failed: ${(thrown as Error).message}`;
      throw new Difference(way, at, detail, { cause: thrown });
    }
  }
  return 'compared';
}

const texts = (rows: readonly (readonly Datum[])[], types: Parameters<typeof shown>[1]): string[] =>
  rows.map((row) => shown(row, types)).sort();

function compare(way: Way, epoch: number, actual: readonly string[], expected: readonly string[]): void {
  const missing = without(expected, actual);
  const extra = without(actual, expected);
  if (missing.length === 0 && extra.length === 0) return;
  throw new Difference(
    way,
    epoch,
    [...missing.map((row) => `missing ${row}`), ...extra.map((row) => `extra ${row}`)].join('\n'),
  );
}

function without(rows: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const row of others) counts.set(row, (counts.get(row) ?? 0) + 1);
  return rows.filter((row) => {
    const count = counts.get(row) ?? 0;
    counts.set(row, count - 1);
    return count <= 0;
  });
}

/** What the binder says names a row does so. */
function checkKey(way: Way, epoch: number, rows: readonly (readonly Datum[])[], key: readonly number[]): void {
  const seen = new Set<string>();
  for (const row of rows) {
    const id = idOf(key.map((column) => row[column]));
    if (seen.has(id)) throw new Difference(way, epoch, `two rows with the key (${key.join(', ')}) ${id}`);
    seen.add(id);
  }
}
