import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { openTestDatabase, type TestDatabase } from '../../src/cli/sql-test/test-database.ts';
import type { ViewChange } from '../../src/ports/engine.ts';
import { rowAt, weightAt } from '../../src/values/batch.ts';

const LIMITS = { params: [], timeoutMs: 30_000, maxRows: 100_000 };
const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 << 20 });
afterAll(() => analytics.close());

const run = (database: TestDatabase, sql: string) => database.executor.execute(sql, LIMITS);

/** Follows a subscription from somewhere and collects what it is told. */
async function follow(database: TestDatabase, sql: string, cursor?: string) {
  const changes: ViewChange[] = [];
  const subscription = await database.executor.subscribe(sql, cursor === undefined ? {} : { cursor }, (change) => {
    changes.push(change);
  });
  const rows = async (count: number): Promise<string[]> => {
    const all = () =>
      changes.flatMap(({ batch }) =>
        Array.from({ length: batch.length }, (_, i) => `${weightAt(batch, i)} ${rowAt(batch, i).join(' ')}`),
      );
    for (let wait = 0; wait < 500 && all().length < count; wait++) await new Promise((done) => setTimeout(done, 2));
    return all();
  };
  return { changes, rows, close: subscription.close };
}

describe('a subscription that keeps its history', () => {
  test('tells every change once, to whoever comes back from where it was, over crashes', async () => {
    const database = await openTestDatabase(Date.UTC(2026, 0, 1), analytics);
    try {
      await run(
        database,
        `CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT);
         CREATE MATERIALIZED VIEW a AS SELECT k, v FROM t WHERE v > 0;
         INSERT INTO t VALUES (1, 10), (2, 20); FLUSH;
         CREATE SUBSCRIPTION s FROM a WITH (retention = '2d'); FLUSH;
         INSERT INTO t VALUES (1, 11); FLUSH`,
      );
      const first = await follow(database, 'SUBSCRIBE s');
      expect(await first.rows(4)).toEqual(['1 1 10', '1 2 20', '-1 1 10', '1 1 11']);
      await first.close();
      const { cursor, epoch } = first.changes[0];

      await database.crash();
      await run(database, 'DELETE FROM t WHERE k = 2; FLUSH');
      const again = await follow(database, 'SUBSCRIBE s', cursor);
      expect(await again.rows(3)).toEqual(['-1 1 10', '1 1 11', '-1 2 20']);
      await run(database, 'INSERT INTO t VALUES (5, 50), (6, -1); FLUSH');
      expect((await again.rows(4)).at(-1)).toBe('1 5 50');
      await again.close();
      const after = await follow(database, `SUBSCRIBE s AS OF ${epoch}`);
      expect(await after.rows(4)).toEqual(['-1 1 10', '1 1 11', '-1 2 20', '1 5 50']);
      expect(new Set(after.changes.map((change) => change.epoch)).size).toBe(3);
      await after.close();

      const [listed] = await run(database, 'SHOW SUBSCRIPTIONS');
      expect(listed.kind === 'rows' && rowAt(listed.batches[0], 0).slice(0, 3)).toEqual(['s', 'running', '2d']);
      await expect(follow(database, 'SUBSCRIBE a AS OF 1')).rejects.toMatchObject({ code: 'SQL_UNSUPPORTED' });
      for (const cursor of ['x', '99999999'])
        await expect(follow(database, 'SUBSCRIBE s', cursor)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
      await expect(run(database, 'DROP SINK s')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await run(
        database,
        'PAUSE SUBSCRIPTION s; RESUME SUBSCRIPTION s; ALTER SUBSCRIPTION s RENAME TO kept; ALTER SUBSCRIPTION kept RENAME TO s',
      );
      await expect(run(database, 'DROP VIEW a')).rejects.toMatchObject({ code: 'IN_USE' });
      const last = await follow(database, 'SUBSCRIBE s', after.changes.at(-1)?.cursor);
      await run(database, 'DROP SUBSCRIPTION s');
      for (let wait = 0; wait < 500 && last.changes.length === 0; wait++)
        await new Promise((done) => setTimeout(done, 2));
      expect(last.changes.map(({ error }) => error?.code)).toEqual(['NOT_FOUND']);
      await last.close();
    } finally {
      await database.close();
    }
  });

  test('what retention took is said, not passed over', async () => {
    const database = await openTestDatabase(Date.UTC(2026, 0, 1), analytics);
    try {
      await run(
        database,
        `CREATE TABLE t (k BIGINT PRIMARY KEY);
         CREATE SUBSCRIPTION s FROM t WITH (retention = '1s'); INSERT INTO t VALUES (1); FLUSH`,
      );
      const first = await follow(database, 'SUBSCRIBE s');
      await first.rows(1);
      await first.close();
      for (const k of [2, 3, 4]) {
        database.clock.moveTo(database.clock.nowMs() + 400_000);
        await run(database, `INSERT INTO t VALUES (${k}); FLUSH`);
      }
      database.clock.moveTo(database.clock.nowMs() + 400_000);
      await new Promise((done) => setTimeout(done, 50));
      const { epoch } = first.changes[0];
      await expect(follow(database, 'SUBSCRIBE s', '0')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(follow(database, `SUBSCRIBE s AS OF ${epoch}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await run(database, 'INSERT INTO t VALUES (5); FLUSH');
      const late = await follow(database, `SUBSCRIBE s AS OF ${epoch}`);
      for (let wait = 0; wait < 500 && late.changes.length === 0; wait++)
        await new Promise((done) => setTimeout(done, 2));
      expect(late.changes[0]?.error?.code).toBe('NOT_FOUND');
      await late.close();
    } finally {
      await database.close();
    }
  });
});
