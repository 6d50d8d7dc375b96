import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Datum, type SqlType, sameType, typeName } from '../../../src/values/types.ts';
import type { ScalarFunction } from '../../../streamql/functions/function-table.ts';
import { FUNCTIONS } from '../../../streamql/functions/functions.ts';
import { ARGUMENTS, COLUMN_TYPES, DATUMS } from '../expr/random-expr.ts';
import { isWellFormed } from '../expr/well-formed.ts';
import { datumOfDuckdb, duckdbLiteral, duckdbType } from './duckdb-values.ts';

/**
 * Every function over samples of its argument types: either a well-formed value or a VALUE_ error; and where it has a value,
 * its spelling for DuckDB has the same. One pull query over a view must not differ from the view's own expressions.
 */
const SAMPLES = Number(process.env['FUZZ_RUNS'] ?? 25);

/** Where DuckDB fails or differs, on purpose not followed. */
const EXCEPT: readonly (readonly [id: RegExp, why: string, applies: (args: readonly Datum[]) => boolean])[] = [
  [/^(upper|initcap|ilike)$/, 'DuckDB has a capital ß', (args) => args.some((arg) => String(arg).includes('ß'))],
  [/^\*\.interval/, 'DuckDB multiplies intervals by 32 bits', ([, n]) => Math.abs(Number(n)) > 2 ** 31],
  [/^\/\.decimal$/, 'DuckDB shifts quotients in 128 bits', (args) => args.some((arg) => Math.abs(Number(arg)) > 1e22)],
  [/^->/, 'DuckDB has no empty keys', ([, key]) => key === ''],
  [/^->.*integer$/, 'DuckDB reformats numbers in JSON', ([json]) => String(json).includes('2.50')],
  [/^(greatest|least)$/, "DuckDB's greatest orders intervals by months first", ([arg]) => isInterval(arg)],
];
const isInterval = (arg: Datum): boolean => typeof arg === 'object' && arg !== null && 'months' in arg;

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

interface Sample {
  readonly args: readonly Datum[];
  readonly types: readonly SqlType[];
}

function samplesOf(row: ScalarFunction): Sample[] {
  const random = randomFrom(7);
  const pick = <T>(from: readonly T[]): T => from[random(from.length)];
  return Array.from({ length: SAMPLES }, () => {
    const count = row.args.length + (row.variadic ? random(3) : 0);
    const shared = pick(COLUMN_TYPES);
    const types = Array.from({ length: count }, (_, i) => {
      const kind = row.args[Math.min(i, row.args.length - 1)];
      if (kind !== 'any') return pick(COLUMN_TYPES.filter((type) => type.kind === kind));
      return row.name === 'greatest' || row.name === 'least' ? shared : pick(COLUMN_TYPES);
    });
    const args = types.map((type, i) => pick(ARGUMENTS[row.name]?.[i] ?? DATUMS[typeName(type)]));
    return { args, types };
  });
}

/** Undefined where DuckDB cannot express the call. */
function spelled(row: ScalarFunction, { args, types }: Sample, result: SqlType): string | undefined {
  const texts = args.map((arg, i) => duckdbLiteral(arg, types[i]));
  try {
    const call = row.duckdb ? row.duckdb(texts, [...types, result]) : `${row.name}(${texts.join(', ')})`;
    return `CAST(${call} AS ${duckdbType(result)})`;
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code === 'SQL_UNSUPPORTED') return undefined;
    throw thrown;
  }
}

/** Doubles may differ in their last digits: the C library's and V8's functions round differently. */
function comparable(datum: Datum): unknown {
  if (datum instanceof Uint8Array) return Buffer.from(datum).toString('hex');
  if (typeof datum === 'number' && Number.isFinite(datum) && !Number.isSafeInteger(datum)) return datum.toPrecision(14);
  return typeof datum === 'number' ? datum + 0 : datum;
}

let instance: DuckDBInstance;
let connection: DuckDBConnection;
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
});
afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

async function ask(sql: string): Promise<Datum> {
  const result = await connection.runAndReadAll(`SELECT ${sql}`);
  return datumOfDuckdb(result.getRows()[0][0]);
}

const rows = [...FUNCTIONS.values()].filter((row) => row.deterministic !== false && row.name !== '.');

describe('functions', () => {
  test.each(rows.map((row) => [row.id, row] as const))('%s', async (id, row) => {
    for (const sample of samplesOf(row)) {
      const { args, types } = sample;
      // What the binder would refuse, or cast first.
      const wanted = row.together?.(types) ?? (row.together === undefined ? types : []);
      if (!types.every((type, i) => wanted[i] !== undefined && sameType(type, wanted[i]))) continue;
      const result = row.returns(types);
      let ours: Datum;
      try {
        ours = row.call(args, [...types, result]);
      } catch (thrown) {
        if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
        continue;
      }
      const call = `${id}(${args.map((arg, i) => duckdbLiteral(arg, types[i])).join(', ')})`;
      if (!isWellFormed(ours, result)) throw new Error(`${call} is ${String(ours)}, not a ${typeName(result)}`);
      if (EXCEPT.some(([pattern, , applies]) => pattern.test(id) && applies(args))) continue;
      if (row.own) continue;
      const sql = spelled(row, sample, result);
      if (sql === undefined) continue;
      expect([call, comparable(ours)]).toEqual([call, comparable(await ask(sql))]);
    }
  });
});
