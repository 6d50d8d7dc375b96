import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { run } from '../../src/cli/cli.ts';
import { runTestFile } from '../../src/cli/sql-test/run-file.ts';
import { parseTestFile } from '../../src/cli/sql-test/test-file.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 512 * 2 ** 20 });
afterAll(() => analytics.close());
const failures = async (text: string) => (await runTestFile(text, analytics)).failures;

const page = readFileSync(new URL('../../docs/reference/testing.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```slt\n(.*?)^```$/gms)].map(([, text]) => text);

test('the reference has examples', () => {
  expect(examples.length).toBe(3);
});

test.each(examples)('example %# of the reference', async (text) => {
  expect(await failures(text)).toEqual([]);
});

describe('steps', () => {
  test('each has the line where it begins', () => {
    const text = "# c\n\nSELECT 1;\nSET TIME '2026-01-01';\n\nquery ordered\nSELECT 1\n----\n1\n\ndeltas v\n----\n";
    expect(parseTestFile(text)).toEqual([
      { kind: 'sql', line: 3, sqlLine: 3, sql: 'SELECT 1;', error: null },
      { kind: 'setTime', line: 4, ms: Date.UTC(2026, 0, 1) },
      { kind: 'query', line: 6, sqlLine: 7, sql: 'SELECT 1', ordered: true, expected: ['1'], from: 8, to: 9 },
      { kind: 'deltas', line: 11, view: 'v', expected: [], from: 12, to: 12 },
    ]);
  });

  test.each([
    ['SELECT 1', 1, 'does not end'],
    ['\nquery\nSELECT 1\n', 4, 'expected ----'],
    ['query sorted\nSELECT 1\n----\n', 1, 'expected `query`'],
    ['deltas\n----\n', 1, 'expected `deltas'],
    ['statement fails\nSELECT 1\n', 1, 'statement ok'],
    ['statement error NOPE\nSELECT 1\n', 1, 'errors.md'],
    ["SET TIME 'soon';", 1, 'not a timestamp'],
    ["ADVANCE INTERVAL 'a while';", 1, 'not an interval'],
  ])('%j is refused', async (text, line, message) => {
    expect(await failures(text)).toEqual([{ line, message: expect.stringContaining(message) }]);
  });
});

describe('failures', () => {
  test('rows that differ, with what is the same around', async () => {
    const text = 'query ordered\nSELECT * FROM (VALUES (1),(2),(3)) t(a) ORDER BY a\n----\n1\n4\n3\n';
    expect(await failures(text)).toEqual([
      { line: 1, message: 'the rows differ (- expected, + came)\n    1\n  - 4\n  + 2\n    3', differs: true },
    ]);
  });

  test('a view that differs from its definition', async () => {
    const text = `CREATE TABLE t (id INT PRIMARY KEY);
CREATE FUNCTION drifting(x INT) RETURNS INT LANGUAGE js AS $$ let n = 0; export function drifting(x) { return ++n } $$;
CREATE MATERIALIZED VIEW good AS SELECT id FROM t;
CREATE MATERIALIZED VIEW wrong AS SELECT id, drifting(id) AS n FROM t;
INSERT INTO t VALUES (7);
VERIFY VIEW good;
VERIFY VIEW wrong;
VERIFY VIEW t;
`;
    const differs = expect.stringMatching(/VERIFY VIEW "?wrong"?: the view differs from its definition.*extra/s);
    expect(await failures(text)).toEqual([
      { line: 7, message: differs },
      { line: 8, message: expect.stringContaining('only views can be verified') },
    ]);
    const whole = text.replace(/VERIFY.*/s, '');
    expect(await failures(whole)).toEqual([]);
    const { failures: found } = await runTestFile(whole, analytics, undefined, { verifies: true });
    expect(found).toEqual([{ line: 6, message: differs }]);
  });

  test('a difference does not stop a file, an error does, at its line', async () => {
    const text = 'query\nSELECT 1\n----\n2\n\nASSERT SELECT 1 = 2;\n\nSELECT 1,\n  nope;\nASSERT SELECT false;\n';
    expect((await failures(text)).map(({ line }) => line)).toEqual([1, 6, 9]);
  });

  test('an error that does not come, or another one', async () => {
    const [none] = await failures('statement error NOT_FOUND\nSELECT 1\n');
    expect(none.message).toBe('expected the error NOT_FOUND, got success');
    const [other] = await failures('statement error NOT_FOUND\nSELECT nope\n');
    expect(other.message).toBe('expected the error NOT_FOUND, got SQL_BIND');
  });

  test('time does not go back', async () => {
    const [failure] = await failures("SET TIME '2026-01-02';\nSET TIME '2026-01-01';\n");
    expect(failure).toEqual({ line: 2, message: expect.stringContaining('only goes forward') });
  });

  test('ASSERT wants one boolean', async () => {
    for (const query of ['SELECT 1', 'SELECT true, true', 'SELECT true WHERE false']) {
      const [failure] = await failures(`ASSERT ${query};`);
      expect(failure.message).toContain('one boolean column and one row');
    }
  });

  test('deltas of what is not there', async () => {
    const text = 'deltas nothing\n----\n';
    expect(await failures(text)).toEqual([{ line: 1, message: 'there is no table or view "nothing"' }]);
  });
});

test('text that could be mistaken is quoted', async () => {
  const text = "query ordered\nSELECT 'NULL', ' a', 'a|b', 'say \"x\"', 'plain text'\n----\n";
  const { updated } = await runTestFile(text, analytics);
  expect(updated).toBe(`${text}"NULL" | " a" | "a|b" | "say \\"x\\"" | plain text\n`);
});

test('what was updated passes, and is not changed again', async () => {
  const text = examples.join('\n').replaceAll(/(?<=----\n)(?:.+\n)+/g, '');
  // Names of the examples do not clash, but time only goes forward, and is set first.
  const first = await runTestFile(text, analytics);
  expect(first.failures.every((failure) => failure.differs)).toBe(true);
  const second = await runTestFile(first.updated, analytics);
  expect(second.failures).toEqual([]);
  expect(second.updated).toBe(first.updated);
});

test('records have the time of the file', async () => {
  const text = `CREATE TABLE t (a BIGINT PRIMARY KEY);
INSERT INTO t VALUES (1);
ADVANCE INTERVAL '1 month';
INSERT INTO t VALUES (2);
query
SELECT a, _timestamp FROM t
----
1 | 2000-01-01 00:00:00
2 | 2000-02-01 00:00:00
`;
  expect(await failures(text)).toEqual([]);
});

describe('the command', () => {
  let folder = '';
  let out = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slt-'));
    out = '';
    const write = (text: string | Uint8Array): boolean => {
      out += text;
      return true;
    };
    vi.spyOn(process.stdout, 'write').mockImplementation(write);
    vi.spyOn(process.stderr, 'write').mockImplementation(write);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  test('runs the files of a folder, updates them, and says by its exit code whether they passed', async () => {
    const below = join(folder, 'more');
    mkdirSync(below);
    const good = join(folder, 'a.slt');
    const bad = join(below, 'b.slt');
    writeFileSync(good, 'ASSERT SELECT true;\n');
    writeFileSync(bad, 'query\nSELECT 1\n----\n2\n');
    writeFileSync(join(folder, 'notes.txt'), 'not a test');
    expect(await run(['test', folder])).toBe(1);
    expect(out).toMatch(/^ok {3}.*a\.slt \(1 steps, \d+ ms\)\nFAIL /);
    expect(out).toContain(`${bad}:1: the rows differ (- expected, + came)\n  - 2\n  + 1\n`);
    expect(out).toContain('1 of 2 files passed\n');
    expect(await run(['test', '--update', folder])).toBe(0);
    expect(readFileSync(bad, 'utf8')).toBe('query\nSELECT 1\n----\n1\n');
    expect(await run(['test', good, bad])).toBe(0);
  });

  test('wants files that are there', async () => {
    expect(await run(['test', join(folder, 'nope.slt')])).toBe(1);
    expect(await run(['test', folder])).toBe(1);
    expect(out).toContain('there is no .slt file in');
    expect(await run(['test'])).toBe(2);
  });
});
