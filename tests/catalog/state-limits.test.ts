import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { mapsFiles } from '../../src/lib/memory-map.ts';
import { SqlRig } from './sql-rig.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 << 20 });
let rig: SqlRig;
beforeEach(async () => {
  rig = await SqlRig.open(analytics);
  await rig.run(
    'CREATE SOURCE bid (auction BIGINT, price BIGINT); CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR)',
  );
});
afterEach(() => rig.close());
afterAll(() => analytics.close());

/** A statement has 64 K characters at most. */
async function insertRows(into: string, from: number, count: number, row: (i: number) => string): Promise<void> {
  for (let at = from; at < from + count; at += 1000) {
    const rows = Array.from({ length: Math.min(1000, from + count - at) }, (_, i) => row(at + i));
    await rig.run(`INSERT INTO ${into} VALUES ${rows.join(', ')}`);
  }
}
const insert = (from: number, count: number): Promise<void> =>
  insertRows('bid', from, count, (i) => `(${i}, ${i - from})`);
/** Lets limits be looked at, and what they set going end. */
async function settle(): Promise<void> {
  rig.db.clock.moveTo(rig.db.clock.nowMs() + 1000);
  await rig.run('INSERT INTO item VALUES (0, NULL); FLUSH');
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
const pipeline = async (name: string) => (await rig.db.engine.stats()).objects.find((one) => one.name === name)!;

describe('max_state', () => {
  test('pauses a view, which says so and goes on after ALTER', async () => {
    await rig.run("CREATE MATERIALIZED VIEW v WITH (max_state = '20kB') AS SELECT auction, price FROM bid");
    await insert(0, 100);
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'running', rows: 100 });
    await insert(100, 900);
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'paused', error: { code: 'STATE_LIMIT' } });
    expect((await rig.rows('SHOW PIPELINES')).find(({ object }) => object === 'v')).toMatchObject({
      state: 'paused',
      cause: expect.stringContaining('max_state is 20000'),
    });
    const held = Number((await rig.rows('SELECT count(*) AS n FROM v'))[0]['n']);
    await insert(1000, 10);
    await settle();
    expect((await rig.rows('SELECT count(*) AS n FROM v'))[0]['n']).toBe(held);
    await rig.run("ALTER MATERIALIZED VIEW v SET (max_state = '1MB'); FLUSH");
    expect(await pipeline('v')).toMatchObject({ state: 'running', rows: 1010 });
    expect((await pipeline('v')).error).toBeUndefined();
    // RESUME without more room: it is paused again.
    await rig.run("ALTER MATERIALIZED VIEW v SET (max_state = '1kB')");
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'paused' });
    await rig.run('RESUME MATERIALIZED VIEW v');
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'paused', error: { code: 'STATE_LIMIT' } });
  });

  test('fails a view when told to', async () => {
    await rig.run("CREATE MATERIALIZED VIEW v WITH (max_state = '1kB', on_exceed = 'fail') AS SELECT auction FROM bid");
    await insert(0, 500);
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'failed', error: { code: 'STATE_LIMIT' } });
    expect(await pipeline('bid')).toMatchObject({ state: 'running' });
    expect(await rig.rows('EXPLAIN v')).toContainEqual({
      plan: expect.stringMatching(
        /^stuck: has failed: STATE_LIMIT.* ALTER .*max_state.*, then RESUME MATERIALIZED VIEW "v"$/,
      ),
    });
    // Without more room it fails once more, also after a restart; with more it begins anew.
    await rig.run('RESUME MATERIALIZED VIEW v');
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'failed' });
    await rig.db.crash();
    await insert(500, 10);
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'failed' });
    await rig.run("ALTER MATERIALIZED VIEW v SET (max_state = '10MB'); RESUME MATERIALIZED VIEW v");
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'running' });
    expect(await rig.rows('SELECT count(*) AS n, max(auction) AS m FROM v')).toEqual([{ n: 510, m: 509 }]);
    await rig.db.engine.checkpoint();
    await rig.db.crash();
    await settle();
    expect(await rig.rows('SELECT count(*) AS n FROM v')).toEqual([{ n: 510 }]);
  });

  test('a failed view that others read is replaced rather than resumed', async () => {
    await rig.run("CREATE MATERIALIZED VIEW v WITH (max_state = '1kB', on_exceed = 'fail') AS SELECT auction FROM bid");
    await rig.run('CREATE MATERIALIZED VIEW above AS SELECT count(*) AS n FROM v');
    await insert(0, 500);
    await settle();
    await expect(rig.run('RESUME MATERIALIZED VIEW v')).rejects.toMatchObject({
      code: 'SQL_UNSUPPORTED',
      message: expect.stringContaining('is read by "above"'),
    });
    await rig.run('CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT auction FROM bid; FLUSH');
    await settle();
    expect(await rig.rows('SELECT n FROM above')).toEqual([{ n: 500 }]);
  });

  test('lets the oldest input go when told to', async () => {
    await rig.run(`CREATE MATERIALIZED VIEW v WITH (max_state = '30kB', on_exceed = 'expire') AS
      SELECT auction % 10 AS a, count(*) AS n, min(auction) AS first FROM bid GROUP BY 1`);
    for (let from = 0; from < 2000; from += 200) {
      await insert(from, 200);
      await settle();
    }
    await settle();
    const rows = await rig.rows('SELECT * FROM v');
    const kept = rows.reduce((sum, { n }) => sum + Number(n), 0);
    expect(kept).toBeLessThan(1500);
    expect(kept).toBeGreaterThan(100);
    // The newest are there, the oldest not; and what is left is a whole answer over the rest.
    expect(Math.min(...rows.map(({ first }) => Number(first)))).toBe(2000 - kept);
    expect((await pipeline('v')).operators.reduce((sum, { usedBytes }) => sum + usedBytes, 0)).toBeLessThan(30_000);
  });
});

const spills = mapsFiles() ? describe : describe.skip;
spills("on_exceed = 'spill'", () => {
  const views = {
    rows: 'SELECT auction, price FROM bid',
    groups: 'SELECT auction, count(*) AS n, sum(price) AS total, max(price) AS most FROM bid GROUP BY auction',
    joined: 'SELECT l.auction, l.price, r.id FROM bid l JOIN item r ON l.auction = r.id',
    best: 'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS r FROM bid) WHERE r <= 2',
    texts: 'SELECT id, name FROM item',
  };
  const items = (from: number, count: number, name: string): Promise<void> =>
    insertRows('item', from, count, (i) => `(${i}, '${name} ${i ** 3}')`);

  test('goes on beyond memory, over changes, checkpoints and a crash, and stays right', async () => {
    for (const [name, query] of Object.entries(views))
      await rig.run(`CREATE MATERIALIZED VIEW ${name} WITH (max_state = '400kB', on_exceed = 'spill') AS ${query}`);
    const check = async (): Promise<void> => {
      await settle();
      for (const name of Object.keys(views)) {
        const stats = await pipeline(name);
        const { state, spilledBytes, operators } = stats;
        expect({ name, state, error: stats.error }).toEqual({ name, state: 'running', error: undefined });
        const used = operators.reduce((sum, operator) => sum + operator.usedBytes, 0);
        expect(spilledBytes).toBeGreaterThan(used);
        expect(used).toBeLessThan(400_000);
        expect(Object.values((await rig.rows(`VERIFY VIEW ${name}`))[0])[0]).toBe('equal');
      }
    };
    for (let from = 0; from < 20_000; from += 4000) {
      await insert(from, 4000);
      await items(from, 4000, 'a name of some length');
    }
    await check();
    // Rows that are in files change, are taken back and come again.
    await insert(2000, 4000);
    await items(3000, 4000, 'another');
    await rig.run('DELETE FROM item WHERE id % 3 = 0');
    await check();
    await rig.db.engine.checkpoint();
    await insert(1000, 3000);
    await rig.db.crash();
    await items(0, 2000, 'again');
    await check();
    const [row] = await rig.rows('EXPLAIN STATE groups');
    expect(row['spilled_bytes']).toBeGreaterThan(500_000);
    expect(await rig.rows('EXPLAIN groups')).toContainEqual({ plan: expect.stringMatching(/^big: .* in files/) });
  }, 60_000);

  test('pauses the view when there is no room for its files, and RESUME goes on', async () => {
    await rig.run(`CREATE MATERIALIZED VIEW v WITH (max_state = '100kB', on_exceed = 'spill') AS ${views.rows}`);
    const blocked = join(rig.db.dataDir, 'spill');
    mkdirSync(rig.db.dataDir);
    writeFileSync(blocked, 'no directory');
    await insert(0, 12_000);
    await settle();
    expect(await pipeline('v')).toMatchObject({
      state: 'paused',
      rows: 12_000,
      error: { code: 'STORAGE_FAILED', detail: expect.stringContaining('spill/') },
    });
    rmSync(blocked);
    await rig.run('RESUME MATERIALIZED VIEW v');
    await settle();
    expect(await pipeline('v')).toMatchObject({ state: 'running', spilledBytes: expect.any(Number) });
    expect((await rig.rows('SELECT count(*) AS n FROM v'))[0]['n']).toBe(12_000);
  });
});

describe('ttl', () => {
  test('takes rows back by the clock; a row that comes again lives on', async () => {
    await rig.run(`CREATE MATERIALIZED VIEW v WITH (ttl = '10 seconds') AS
      SELECT name, count(*) AS n FROM bid JOIN item ON id = auction GROUP BY name`);
    await rig.run("INSERT INTO item VALUES (1, 'one'), (2, 'two'); INSERT INTO bid VALUES (1, 5), (2, 5); FLUSH");
    const start = rig.db.clock.nowMs();
    const at = async (seconds: number): Promise<unknown> => {
      rig.db.clock.moveTo(start + seconds * 1000);
      await rig.run('FLUSH');
      return rig.rows('SELECT * FROM v ORDER BY name');
    };
    expect(await at(9)).toMatchObject([
      { name: 'one', n: 1 },
      { name: 'two', n: 1 },
    ]);
    await rig.run("INSERT INTO bid VALUES (1, 6); INSERT INTO item VALUES (1, 'uno'); FLUSH");
    expect(await at(9.9)).toMatchObject([
      { name: 'two', n: 1 },
      { name: 'uno', n: 2 },
    ]);
    expect(await at(10)).toMatchObject([{ name: 'uno', n: 1 }]);
    expect(await at(18.9)).toMatchObject([{ name: 'uno', n: 1 }]);
    expect(await at(19)).toEqual([]);
    expect((await pipeline('v')).operators.reduce((sum, { stateRows }) => sum + stateRows, 0)).toBe(0);
    expect((await rig.rows('EXPLAIN v')).map(({ plan }) => plan).join()).toContain('Keep for 10 s');
  });

  test.each([
    ["CREATE MATERIALIZED VIEW x WITH (ttl = 'soon') AS SELECT * FROM bid", 'OPTION_INVALID'],
    ["CREATE MATERIALIZED VIEW x WITH (max_state = 'much') AS SELECT * FROM bid", 'OPTION_INVALID'],
    ["CREATE MATERIALIZED VIEW x WITH (on_exceed = 'fail') AS SELECT * FROM bid", 'OPTION_INVALID'],
    [
      "CREATE MATERIALIZED VIEW x WITH (max_state = '1GB', on_exceed = 'explode') AS SELECT * FROM bid",
      'OPTION_INVALID',
    ],
    ["ALTER MATERIALIZED VIEW w SET (ttl = '1s')", 'SQL_UNSUPPORTED'],
    ["ALTER MATERIALIZED VIEW w SET (max_state = '1MB', on_exceed = 'expire')", 'SQL_UNSUPPORTED'],
    ['VERIFY VIEW t', 'SQL_UNSUPPORTED'],
  ])('%s', async (sql, code) => {
    await rig.run(
      "CREATE MATERIALIZED VIEW w AS SELECT * FROM bid; CREATE MATERIALIZED VIEW t WITH (ttl = '1h') AS SELECT * FROM bid",
    );
    await expect(rig.run(sql)).rejects.toMatchObject({ code });
  });
});
