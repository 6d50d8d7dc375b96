import { afterAll, describe, expect, test } from 'vitest';
import { type Datum, VARCHAR } from '../../../src/values/types.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { castDatum } from '../../../streamql/functions/casts.ts';
import { exampleOf } from '../../../streamql/functions/examples.ts';
import { FUNCTIONS } from '../../../streamql/functions/functions.ts';
import { SPELLINGS, SYNONYMS, TABLE_SYNONYMS } from '../../../streamql/functions/spellings.ts';
import { TABLE_FUNCTIONS } from '../../../streamql/functions/table-functions.ts';
import type { QueryStatement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { newAnalytics, runOver } from '../../analytics/rig.ts';
import { catalogOf } from '../catalog.ts';
import { runPlan } from '../reference.ts';

/** The examples of docs/reference/functions.md, as they are printed there, through the interpreter and through DuckDB. */
const analytics = newAnalytics();
afterAll(() => analytics.close());
const catalog = catalogOf('');

const examples = new Map([
  ...[...FUNCTIONS.values()].flatMap((row) => {
    const example = exampleOf(row);
    return example === undefined ? [] : [example];
  }),
  ...Object.values(SPELLINGS).map(({ example }) => example),
]);

describe('examples', () => {
  test.each([...examples])('%s is %s', async (expr, value) => {
    const [statement] = parseStatements(`SELECT ${expr}`) as QueryStatement[];
    const { plan } = bindQuery(statement.query, catalog, { mode: 'pull' });
    const shown = (datum: Datum): string =>
      datum === null ? 'NULL' : String(castDatum(datum, plan.schema[0].type, VARCHAR));
    expect(shown(runPlan(plan, () => [])[0][0])).toBe(value);
    expect(shown((await runOver(analytics, plan, () => []))[0][0])).toBe(value);
  });

  test('synonyms are of functions that there are, and hide none', () => {
    const names = new Set([...FUNCTIONS.values()].map((row) => row.name));
    expect(Object.entries(SYNONYMS).filter(([name, same]) => names.has(name) || !names.has(same))).toEqual([]);
    const tables = Object.entries(TABLE_SYNONYMS);
    expect(tables.filter(([name, same]) => TABLE_FUNCTIONS.has(name) || !TABLE_FUNCTIONS.has(same))).toEqual([]);
  });

  test('every function has one', () => {
    const named = new Set([...FUNCTIONS.values()].filter((row) => exampleOf(row) !== undefined).map((row) => row.name));
    const without = [...FUNCTIONS.values()].filter((row) => !named.has(row.name) && row.deterministic !== false);
    expect([...new Set(without.map((row) => row.name))]).toEqual([]);
  });
});

test('what changes from call to call is for queries only', async () => {
  const sql = 'SELECT random() AS a, random() AS b, gen_random_uuid() AS c FROM (VALUES (1), (2)) AS t';
  const [statement] = parseStatements(sql) as QueryStatement[];
  const { plan } = bindQuery(statement.query, catalog, { mode: 'pull' });
  const rows = await runOver(analytics, plan, () => []);
  expect(new Set(rows.flatMap((row) => row.slice(0, 2))).size).toBe(4);
  expect(rows[0][2]).not.toBe(rows[1][2]);
  expect(() => bindQuery(statement.query, catalog, { mode: 'view' })).toThrow(/random\(\) is not allowed in a view/);
});
