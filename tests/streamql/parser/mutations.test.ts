import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, expect, test } from 'vitest';
import { parseTestFile } from '../../../src/cli/sql-test/test-file.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import { FORMS } from '../../../streamql/parser/forms.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { generateQuery } from '../../differential/query-generator.ts';
import { type Random, randomFrom } from '../../differential/random.ts';
import { root } from '../../support/root.ts';

/** All that the SQL test files say, of every kind of statement. */
const STATEMENTS = readdirSync(join(root, 'tests/sql'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.slt') && !name.startsWith('dialects'))
  .sort()
  .flatMap((name) => parseTestFile(readFileSync(join(root, 'tests/sql', name), 'utf8')))
  .flatMap((step) => ('sql' in step ? [step.sql] : []));
const PIECES = [
  'SELECT',
  ')',
  '(',
  ',',
  ';',
  'FROM',
  '$',
  '"x',
  '::',
  'AS',
  '1e',
  '\u0000',
  "'",
  'OVER',
  'x.y',
  '$1',
  '/*',
  '--',
];

beforeAll(() => loadModule());

/** FUZZ_RUNS=80000 is twenty times what CI runs. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 4000);

/** What Postgres has not. */
const EXTENSIONS =
  /\b(ASOF|MATCH_CONDITION|SEMI|ANTI|QUALIFY|MATCH_RECOGNIZE|(UN)?PIVOT|EMIT|SYSTEM_TIME|DESCRIPTOR|MAP\[)|TABLE |AS ROW\(|PARTITION BY k, ts/;

function isTaken(text: string): boolean {
  try {
    return parseStatements(text).length > 0;
  } catch {
    return false;
  }
}

/** Deletes, doubles, swaps and inserts tokens. */
function mutate(random: Random, text: string, ways = 4): string {
  const tokens = text.match(/\s+|[A-Za-z_]+|\d+|'[^']*'|./g) ?? [];
  for (let n = 1 + random.below(2); n > 0; n--) {
    const at = random.below(tokens.length);
    const other = random.below(tokens.length);
    switch (random.below(ways)) {
      case 0:
        tokens.splice(at, 1);
        break;
      case 1:
        tokens.splice(at, 0, ' ', tokens[other], ' ');
        break;
      case 2:
        [tokens[at], tokens[other]] = [tokens[other], tokens[at]];
        break;
      default:
        tokens.splice(at, 0, ` ${random.pick(PIECES)} `);
    }
  }
  return tokens.join('');
}

test('whatever is typed is parsed, or refused with a place and a next step', () => {
  let refused = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = randomFrom(seed);
    const text = mutate(random, random.chance(0.6) ? generateQuery(random) : random.pick(STATEMENTS));
    try {
      parseStatements(text);
    } catch (thrown) {
      refused++;
      const error = thrown as StreamError;
      expect(error, text).toBeInstanceOf(StreamError);
      expect([error.at !== undefined, error.hint !== undefined], `${error.message}\n${text}`).toEqual([true, true]);
      expect(error.code, text).toMatch(/^SQL_/);
    }
  }
  expect(refused).toBeGreaterThan(RUNS / 2);
});

test('a syntax error shows the form of its statement', () => {
  const hint = (text: string): string | undefined => {
    try {
      parseStatements(text);
    } catch (thrown) {
      return (thrown as StreamError).hint;
    }
    return undefined;
  };
  expect(hint('CREATE SOURCE s (a BIGINT) s')).toContain('WATERMARK FOR');
  expect(hint('DELETE t')).toBe(`the form is: ${FORMS['delete']}`);
});

test('text after a statement is never passed over', () => {
  for (const statement of STATEMENTS.filter(isTaken)) {
    const text = `${statement.replace(/[;\s]+$/, '')} ) SELECT 1`;
    expect(() => parseStatements(text), text).toThrow(StreamError);
  }
  for (let seed = 1; seed <= RUNS / 10; seed++) {
    const text = `${generateQuery(randomFrom(seed))} ) SELECT 1`;
    expect(() => parseStatements(text), text).toThrow(StreamError);
  }
});

test('statements of the shared grammar are taken and refused as by Postgres', () => {
  const takes = (parse: () => unknown): boolean => {
    try {
      parse();
      return true;
    } catch {
      return false;
    }
  };
  let both = 0;
  let neither = 0;
  let less = 0;
  const more: string[] = [];
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = randomFrom(seed);
    const query = generateQuery(random);
    if (EXTENSIONS.test(query)) continue;
    const text = mutate(random, query, 3);
    const ours = takes(() => parseStatements(text));
    if (takes(() => parseSync(text)) === ours) {
      if (ours) both++;
      else neither++;
    } else if (ours) {
      // Postgres has no part of what a call gives without parentheses, and counts the arguments of NULLIF before it knows them for a
      // function's, and finds nothing behind COALESCE.
      if (!/\)\[|NULLIF|COALESCE/.test(text)) more.push(`${seed}: ${text}`);
    } else less++;
  }
  expect(more).toEqual([]);
  // What Postgres's grammar also takes: any name as a type or a schema, rows as values, a select list without columns.
  expect(less / (both + neither)).toBeLessThan(0.03);
  expect(both).toBeGreaterThan(RUNS / 20);
  expect(neither).toBeGreaterThan(RUNS / 4);
});
