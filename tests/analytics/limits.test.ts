import { afterAll, describe, expect, test } from 'vitest';
import { openDuckDb } from '../../src/analytics/duckdb-host.ts';
import { batchOfRows } from '../../src/values/batch.ts';
import { BIGINT, BOOLEAN, VARCHAR } from '../../src/values/types.ts';
import type { Join, Plan } from '../../streamql/plan/plan.ts';
import { LIMITS, newAnalytics, numbers, projectOf, rowsOfBatches, scanOf } from './rig.ts';

const analytics = newAnalytics();
afterAll(() => analytics.close());

/** A count over the cross product of n rows with themselves, each pair looked at. */
function endless(n: number): { plan: Plan; scans: ReturnType<typeof numbers>['scans'] } {
  const { plan: scan, scans } = numbers(n);
  const join: Join = {
    op: 'join',
    kind: 'inner',
    left: scan,
    right: scan,
    keys: [],
    residual: {
      op: 'compare',
      cmp: '<',
      left: {
        op: 'call',
        fn: '+.bigint',
        args: [0, 1].map((index) => ({ op: 'column', index, type: BIGINT })),
        type: BIGINT,
      },
      right: { op: 'literal', value: -1, type: BIGINT },
      type: BOOLEAN,
    },
    schema: [...scan.schema, ...scan.schema],
  };
  return { plan: join, scans };
}

describe('bounds', () => {
  test('a row more than maxRows is TOO_LARGE; exactly maxRows are answered', async () => {
    const { plan, scans } = numbers(5000);
    const error = { code: 'TOO_LARGE', message: 'the answer has more than 4999 rows' };
    await expect(analytics.run(plan, scans, { ...LIMITS, maxRows: 4999 })).rejects.toMatchObject(error);
    expect(rowsOfBatches(await analytics.run(plan, scans, { ...LIMITS, maxRows: 5000 }))).toHaveLength(5000);
  });

  test('a query past its time is TIMEOUT, soon, and the next one runs', async () => {
    const { plan, scans } = endless(300_000);
    const start = Date.now();
    await expect(analytics.run(plan, scans, { ...LIMITS, timeoutMs: 200 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(Date.now() - start).toBeLessThan(5000);
    const { plan: next, scans: data } = numbers(3);
    expect(rowsOfBatches(await analytics.run(next, data, LIMITS))).toEqual([[0], [1], [2]]);
  });

  test('an abort is CANCELLED, before and during', async () => {
    const { plan, scans } = endless(300_000);
    const cancelled = { code: 'CANCELLED' };
    await expect(analytics.run(plan, scans, { ...LIMITS, signal: AbortSignal.abort() })).rejects.toMatchObject(
      cancelled,
    );
    const abort = new AbortController();
    const running = analytics.run(plan, scans, { ...LIMITS, signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    await expect(running).rejects.toMatchObject(cancelled);
  });

  test('four run, 64 wait, more are OVERLOADED; those that wait keep their deadline', async () => {
    const { plan, scans } = endless(300_000);
    const slow = Array.from({ length: 4 }, () => analytics.run(plan, scans, { ...LIMITS, timeoutMs: 1500 }));
    const { plan: quick, scans: data } = numbers(1);
    const waiting = Array.from({ length: 64 }, () => analytics.run(quick, data, { ...LIMITS, timeoutMs: 300 }));
    const settled = Promise.allSettled([...slow, ...waiting]);
    await new Promise((done) => setTimeout(done, 50));
    await expect(analytics.run(quick, data, LIMITS)).rejects.toMatchObject({ code: 'OVERLOADED' });
    const codes = (await settled).map((one) =>
      one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok',
    );
    expect(codes).toEqual(codes.map(() => 'TIMEOUT'));
    expect(rowsOfBatches(await analytics.run(quick, data, LIMITS))).toEqual([[0]]);
  });

  test('more memory than there is: OVERLOADED with a hint', async () => {
    const small = newAnalytics(32);
    const { plan: scan } = numbers(0);
    const texts = Array.from({ length: 300_000 }, (_, i) => [
      `a rather long text that takes memory ${i}`.padEnd(200, 'x'),
    ]);
    const plan: Plan = { ...scanOf([VARCHAR]), relation: scan.relation };
    const distinct: Plan = { op: 'distinct', input: plan, schema: plan.schema };
    const scans = new Map([[plan, [batchOfRows([VARCHAR], texts)]]]);
    await expect(small.run(distinct, scans, LIMITS)).rejects.toMatchObject({ code: 'OVERLOADED', hint: /memory/ });
    await small.close();
  });

  test('values that do not exist say so', async () => {
    const { plan, scans } = numbers(3);
    const column = { op: 'column', index: 0, type: BIGINT } as const;
    const zero = { op: 'literal', value: 0, type: BIGINT } as const;
    const huge = { op: 'literal', value: 9223372036854775807n, type: BIGINT } as const;
    const call = (fn: string, right: typeof zero | typeof huge): Plan =>
      projectOf(plan, [{ op: 'call', fn, args: [column, right], type: BIGINT }]);
    const divided = analytics.run(call('/.bigint', zero), scans, LIMITS);
    await expect(divided).rejects.toMatchObject({ code: 'VALUE_DIVISION_BY_ZERO' });
    const added = analytics.run(call('+.bigint', huge), scans, LIMITS);
    await expect(added).rejects.toMatchObject({ code: 'VALUE_OVERFLOW' });
    const text = { op: 'literal', value: 'x', type: VARCHAR } as const;
    const cast = projectOf(plan, [{ op: 'cast', arg: text, type: BIGINT, safe: false }]);
    await expect(analytics.run(cast, scans, LIMITS)).rejects.toMatchObject({ code: 'VALUE_CAST' });
  });

  test('a closed one answers no more, and what ran is CANCELLED', async () => {
    const closing = newAnalytics();
    const { plan, scans } = endless(300_000);
    const running = closing.run(plan, scans, LIMITS);
    running.catch(() => undefined);
    await new Promise((done) => setTimeout(done, 300));
    await closing.close();
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(closing.run(plan, scans, LIMITS)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

test('DuckDB reaches no file, no network, no extension, and keeps its settings', async () => {
  const host = await openDuckDb({ memoryLimitBytes: 64 * 2 ** 20, threads: 1, connections: 2 });
  const refused = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "COPY (SELECT 1) TO '/tmp/streamline-refused.csv'",
    "ATTACH '/tmp/streamline-refused.db'",
    'INSTALL httpfs',
    'LOAD httpfs',
    'SET enable_external_access = true',
    "SET memory_limit = '8GB'",
    'SET lock_configuration = false',
  ];
  for (const connection of host.connections) {
    for (const sql of refused) await expect(connection.run(sql), sql).rejects.toThrow();
    const zone = await connection.runAndReadAll("SELECT current_setting('TimeZone'), current_setting('threads')");
    expect(zone.getRowsJson()).toEqual([['UTC', '1']]);
  }
  host.close();
});

test('nothing of a query stays behind', async () => {
  const host = await openDuckDb({ memoryLimitBytes: 64 * 2 ** 20, threads: 1, connections: 1 });
  const id = host.feed.add([BIGINT], [batchOfRows([BIGINT], [[1]])]);
  expect(host.feed.size).toBe(1);
  host.feed.drop(id);
  expect(host.feed.size).toBe(0);
  await expect(host.connections[0].run(`SELECT * FROM streamline_relation(${id})`)).rejects.toThrow('gone');
  host.close();
});
