import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { openTestDatabase, type TestDatabase } from '../../src/cli/sql-test/test-database.ts';
import { rowAt, weightAt } from '../../src/values/batch.ts';

const LIMITS = { params: [], timeoutMs: 30_000, maxRows: 100_000 };
const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 << 20 });
afterAll(() => analytics.close());

const run = (database: TestDatabase, sql: string) => database.executor.execute(sql, LIMITS);

async function rows(database: TestDatabase, sql: string): Promise<string[]> {
  const [result] = await run(database, sql);
  if (result.kind !== 'rows') throw new Error('no rows');
  return result.batches
    .flatMap((batch) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i).join(' ')))
    .sort();
}

const key = fc.integer({ min: 0, max: 3 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('event'), k: key, v: key }),
  fc.record({ kind: fc.constant('put'), k: key, v: key }),
  fc.record({ kind: fc.constant('delete'), k: key, v: key }),
  fc.record({ kind: fc.constantFrom('pause', 'resume'), k: key, v: key }),
  fc.record({ kind: fc.constantFrom('flush', 'crash', 'checkpoint'), k: key, v: key }),
);
const PAUSED = ['MATERIALIZED VIEW per_k', 'MATERIALIZED VIEW named', 'SOURCE e', 'TABLE t', 'SINK s'];

describe('pause and resume', () => {
  test('whatever is paused, resumed and killed between changes, in the end all is as if it had not been', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const database = await openTestDatabase(Date.UTC(2026, 0, 1), analytics);
        try {
          await run(
            database,
            `CREATE SOURCE e (k BIGINT, v BIGINT) WITH (topic = 'e');
             CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT);
             CREATE TABLE copy (k BIGINT PRIMARY KEY, n BIGINT);
             CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, sum(v) AS s FROM e GROUP BY k;
             CREATE MATERIALIZED VIEW named AS SELECT p.k, p.n, t.v FROM per_k p LEFT JOIN t ON p.k = t.k JOIN e ON e.k = p.k;
             CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n, sum(v) AS v FROM named;
             CREATE SINK s AS SELECT k, max(v) AS n FROM named GROUP BY k INTO TABLE copy;`,
          );
          for (const { kind, k, v } of steps) {
            const what = PAUSED[(k + v) % PAUSED.length];
            if (kind === 'event') await run(database, `INSERT INTO e VALUES (${k}, ${v})`);
            else if (kind === 'put') await run(database, `INSERT INTO t VALUES (${k}, ${v})`);
            else if (kind === 'delete') await run(database, `DELETE FROM t WHERE k = ${k}`);
            else if (kind === 'pause') await run(database, `PAUSE ${what}`);
            else if (kind === 'resume') await run(database, `RESUME ${what}`);
            else if (kind === 'flush') await run(database, 'FLUSH');
            else if (kind === 'checkpoint') await database.engine.checkpoint();
            else await database.crash();
          }
          for (const what of PAUSED) await run(database, `RESUME ${what}`);
          await run(database, 'FLUSH');
          const perK = 'SELECT k, count(*) AS n, sum(v) AS s FROM e GROUP BY k';
          expect(await rows(database, 'SELECT k, n, s FROM per_k')).toEqual(await rows(database, perK));
          const named = `SELECT p.k, p.n, t.v FROM (${perK}) p LEFT JOIN t ON p.k = t.k JOIN e ON e.k = p.k`;
          expect(await rows(database, 'SELECT k, n, v FROM named')).toEqual(await rows(database, named));
          expect(await rows(database, 'SELECT * FROM total')).toEqual(
            await rows(database, `SELECT count(*) AS n, sum(v) AS v FROM (${named})`),
          );
          expect(await rows(database, 'SELECT k, n FROM copy')).toEqual(
            await rows(database, `SELECT k, max(v) AS n FROM (${named}) GROUP BY k`),
          );
        } finally {
          await database.close();
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe('a view that is replaced', () => {
  test('subscribers are told the difference and follow the new one; with other columns they are told so', async () => {
    const database = await openTestDatabase(Date.UTC(2026, 0, 1), analytics);
    try {
      await run(
        database,
        `CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT);
         CREATE MATERIALIZED VIEW a AS SELECT k, v FROM t;
         INSERT INTO t VALUES (1, 10), (2, 20); FLUSH`,
      );
      const told: string[] = [];
      await database.executor.subscribe('SUBSCRIBE a', {}, ({ batch, error }) => {
        if (error !== undefined) told.push(error.code);
        for (let i = 0; i < batch.length; i++) told.push(`${weightAt(batch, i)} ${rowAt(batch, i).join(' ')}`);
      });
      expect(told.splice(0).sort()).toEqual(['1 1 10', '1 2 20']);
      await run(database, 'CREATE OR REPLACE MATERIALIZED VIEW a AS SELECT k, v * k AS v FROM t');
      expect(told.splice(0).sort()).toEqual(['-1 2 20', '1 2 40']);
      await run(database, 'INSERT INTO t VALUES (3, 30); FLUSH');
      expect(told.splice(0)).toEqual(['1 3 90']);
      await run(database, 'CREATE OR REPLACE MATERIALIZED VIEW a AS SELECT k FROM t');
      expect(told).toEqual(['CANCELLED']);
      await database.crash();
      expect(await rows(database, 'SELECT * FROM a')).toEqual(['1', '2', '3']);
    } finally {
      await database.close();
    }
  });

  test('a build that fails leaves nothing behind', async () => {
    const database = await openTestDatabase(Date.UTC(2026, 0, 1), analytics);
    try {
      await run(
        database,
        'CREATE TABLE t (k BIGINT PRIMARY KEY); CREATE MATERIALIZED VIEW a AS SELECT k FROM t; INSERT INTO t VALUES (1)',
      );
      const before = (await database.engine.stats()).objects.length;
      const replacing = run(database, 'CREATE OR REPLACE MATERIALIZED VIEW a AS SELECT k + 1 AS k FROM t');
      // It changed before its successor was there.
      const renaming = run(database, 'ALTER VIEW a RENAME TO b');
      const outcomes = await Promise.allSettled([replacing, renaming]);
      expect(outcomes.map(({ status }) => status)).toContain('fulfilled');
      expect((await database.engine.stats()).objects).toHaveLength(before);
      await run(database, 'FLUSH');
      expect(await rows(database, `SELECT * FROM ${database.catalog.get('a') ? 'a' : 'b'}`)).toHaveLength(1);
    } finally {
      await database.close();
    }
  });
});
