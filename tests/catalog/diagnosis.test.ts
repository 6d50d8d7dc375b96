import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { diagnose, type Running } from '../../src/catalog/diagnosis.ts';
import type { ObjectStats, OperatorStats } from '../../src/ports/engine.ts';
import { SqlRig } from './sql-rig.ts';

const RATES = { rowsInPerSecond: 0, rowsOutPerSecond: 0, busyShare: 0, stateBytesPerHour: 0 };
const operator = (more: Partial<OperatorStats>): OperatorStats => ({
  id: 'o',
  name: 'aggregate',
  detail: '',
  inputs: [],
  changelog: 'append',
  rowsIn: 0,
  rowsOut: 0,
  stateRows: 0,
  stateBytes: 0,
  usedBytes: 0,
  spilledBytes: 0,
  busyMs: 0,
  growth: null,
  rates: RATES,
  ...more,
});
const running = (stats: Partial<ObjectStats>, object: Partial<NonNullable<Running['object']>> = {}): Running => ({
  stats: {
    id: 'x',
    name: 'x',
    kind: 'view',
    state: 'running',
    rows: 0,
    errors: 0,
    late: 0,
    rates: RATES,
    operators: [],
    ...stats,
  },
  object: { name: 'x', kind: 'view', watermark: null, late: 'update', idleTimeoutMs: 0, options: {}, ...object },
});
const source = (stats: Partial<ObjectStats>, object: Partial<NonNullable<Running['object']>> = {}): Running =>
  running({ id: 's', name: 's', kind: 'source', ...stats }, { kind: 'source', ...object });
const partition = (n: number, watermarkMicros: number | null, idle = false) => ({
  partition: n,
  offset: 10,
  highWatermark: 10,
  watermarkMicros,
  idle,
});
const S = 1_000_000;

test('nothing stands out where all is well', () => {
  const one = running({ rows: 5, operators: [operator({ stateBytes: 1000 })] });
  expect(diagnose(one, [source({ rows: 5, offsets: [partition(0, 5 * S), partition(1, 5 * S)] })])).toEqual([]);
});

describe('stuck', () => {
  test.each<[string, Running, Running[], RegExp, RegExp]>([
    ['paused', running({ state: 'paused' }), [], /^is paused$/, /RESUME MATERIALIZED VIEW "x"/],
    [
      'failed for its size',
      running({ state: 'failed', error: { code: 'STATE_LIMIT', detail: 'too much' } }),
      [],
      /^has failed: STATE_LIMIT: too much/,
      /SET \(max_state = …\), then RESUME/,
    ],
    ['a source is paused', running({}), [source({ state: 'paused' })], /^reads s: is paused/, /RESUME SOURCE "s"/],
    [
      'a partition that is behind',
      running({}),
      [source({ rows: 9, offsets: [partition(0, 100 * S), partition(1, 40 * S)] }, { idleTimeoutMs: 30_000 })],
      /^reads s: partition 1 holds the watermark back: it is 60 s behind the others$/,
      /nothing comes for 30 s \(idle_timeout\)/,
    ],
    [
      'a partition without a row, and no idle timeout',
      source({ rows: 9, offsets: [partition(0, 100 * S), partition(1, null)] }),
      [],
      /^partition 1 holds the watermark back: it had no row with a time$/,
      /idle_timeout = '30s'/,
    ],
    [
      'no time at all',
      source({ rows: 9, offsets: [partition(0, null)] }),
      [],
      /no row had a time in its WATERMARK column/,
      /NULL/,
    ],
    ['alignment', running({}), [source({ waitsFor: 'other' })], /more than max_drift ahead of other/, /max_drift/],
    [
      'a sink whose target is away',
      running({ kind: 'sink', waitingRows: 7, trouble: { code: 'SINK_UNAVAILABLE', detail: 'refused' } }),
      [],
      /^7 rows waiting: the target cannot be reached: refused$/,
      /tried again/,
    ],
    [
      'a topic that was deleted',
      running({}),
      [source({ isTopicGone: true })],
      /^reads s: its topic is gone$/,
      /create/,
    ],
  ])('%s', (_, one, reads, message, hint) => {
    const found = diagnose(one, reads);
    expect(found).toEqual([
      { kind: 'stuck', message: expect.stringMatching(message), hint: expect.stringMatching(hint) },
    ]);
  });

  test('an idle partition holds nothing back', () => {
    expect(diagnose(source({ rows: 9, offsets: [partition(0, 100 * S), partition(1, 40 * S, true)] }), [])).toEqual([]);
  });
});

test('wrong: rows that are missing, and where to see them', () => {
  const reads = [source({ late: 3, errors: 1 }, { late: 'dead_letter' })];
  expect(diagnose(running({ errors: 2, late: 8 }), reads)).toEqual([
    { kind: 'wrong', message: '2 rows without a result', hint: expect.stringContaining('"x$errors"') },
    {
      kind: 'wrong',
      message: 'reads s: 3 rows behind the watermark, left out',
      hint: 'SELECT * FROM "s$late"',
    },
    { kind: 'wrong', message: 'reads s: 1 record that could not be read', hint: expect.stringContaining('"s$errors"') },
    {
      kind: 'wrong',
      message: '5 rows too late for what had been emitted',
      hint: expect.stringContaining('RECORD_LATE'),
    },
  ]);
});

test('what was replayed is wrong no more; of very many the count tells', () => {
  expect(diagnose(running({ errors: 5, letters: 0 }), [])).toEqual([]);
  expect(diagnose(running({ errors: 5, letters: 2 }), [])).toMatchObject([{ message: '2 rows without a result' }]);
  expect(diagnose(running({ errors: 12_000, letters: 10_000 }), [])).toMatchObject([
    { message: '12000 rows without a result' },
  ]);
});

test('wrong: a column that no record has, a join without a match', () => {
  const join = operator({ name: 'inner join', detail: 'a = b', rowsIn: 20 });
  expect(diagnose(running({ operators: [join] }), [source({ rows: 20, emptyColumns: ['usr'] })])).toEqual([
    {
      kind: 'wrong',
      message: 'reads s: column "usr" was NULL in all records that were read',
      hint: expect.any(String),
    },
    {
      kind: 'wrong',
      message: 'no rows: inner join a = b has taken 20 rows and found no match',
      hint: expect.any(String),
    },
  ]);
  expect(diagnose(running({ rows: 1, operators: [join] }), [])).toEqual([]);
});

test('slow: a join that pairs very many rows', () => {
  const join = operator({ name: 'inner join', detail: 'a = b', rowsIn: 6000, rowsOut: 9_000_000 });
  expect(diagnose(running({ rows: 1, operators: [join] }), [])).toMatchObject([
    { kind: 'slow', message: 'inner join a = b has made 9000000 pairs of 6000 rows: many rows share a key' },
  ]);
});

test('slow: a target that takes rows slower than they come', () => {
  expect(diagnose(running({ kind: 'sink', waitingRows: 7, isHeldUp: true }), [])).toEqual([
    {
      kind: 'slow',
      message: '7 rows waiting: the target takes rows slower than they come',
      hint: expect.stringContaining('in the log'),
    },
  ]);
});

test('slow: what is behind, since when, and where the time goes', () => {
  const lagging = source({
    offsets: [{ partition: 0, offset: 10, highWatermark: 5010 }],
    behindForMs: 12_000,
    rates: { ...RATES, rowsInPerSecond: 250 },
  });
  const busy = { ...RATES, busyShare: 0.9 };
  const one = running({
    rates: { ...RATES, busyShare: 1 },
    operators: [operator({ name: 'filter' }), operator({ name: 'join', detail: 'a = b', rates: busy })],
  });
  expect(diagnose(one, [lagging])).toEqual([
    { kind: 'slow', message: 'reads s: 5000 records behind for 12 s, reading 250 a second', hint: expect.any(String) },
    {
      kind: 'slow',
      message: "join a = b is the busiest operator: 90 % of a core, 90 % of this object's time",
      hint: 'EXPLAIN ANALYZE "x" shows all of them',
    },
  ]);
  const catching = running({ recordsBehind: 70, backfill: { done: 30, total: 100, secondsLeft: 3.5 } });
  expect(diagnose(catching, [])).toEqual([
    {
      kind: 'slow',
      message: 'catches up with the log: 30 of 100 records read, about 3.5 s to go',
      hint: expect.any(String),
    },
  ]);
});

test('big: the operator that holds the bytes, why, and what bounds it', () => {
  const growth = { bound: 'unbounded' as const, reason: 'keeps every row of s', fix: 'WITH (ttl = …)' };
  const operators = [
    operator({ stateBytes: 1 << 20 }),
    operator({ name: 'join', stateBytes: 9 << 20, usedBytes: 9e6, growth }),
  ];
  expect(diagnose(running({ operators }, { options: { max_state: '10MB' } }), [])).toEqual([
    {
      kind: 'big',
      message: 'uses 90 % of its max_state of 10MB',
      hint: expect.stringContaining('SET (max_state = …)'),
    },
    { kind: 'big', message: 'join holds 9 MiB of 10 MiB, without bound: keeps every row of s', hint: 'WITH (ttl = …)' },
  ]);
});

describe('EXPLAIN', () => {
  const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 * 2 ** 20 });
  let rig: SqlRig;
  const explained = async (what: string): Promise<string> =>
    (await rig.rows(`EXPLAIN ${what}`)).map(({ plan }) => plan).join('\n');
  beforeAll(async () => {
    rig = await SqlRig.open(analytics);
    await rig.run(`
      CREATE SOURCE bid (auction BIGINT, price BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '5 seconds')
        WITH (topic = 'bid', partitions = 2, late = 'drop', idle_timeout = '0s');
      CREATE SOURCE loose (auction BIGINT, at TIMESTAMP, WATERMARK FOR at AS at);
      CREATE SOURCE plain (auction BIGINT);
      CREATE MATERIALIZED VIEW w AS SELECT window_end, 10 / sum(price) AS x FROM TUMBLE(bid, at, INTERVAL '10 seconds') GROUP BY window_end;
      INSERT INTO bid VALUES (1, 0, '2026-01-01 00:01:00'); FLUSH;
      INSERT INTO bid VALUES (1, 1, '2025-01-01'), (1, 1, '2025-01-01'), (1, 1, '2025-01-01'), (1, 1, '2025-01-01'); FLUSH`);
  });
  afterAll(async () => {
    await rig.close();
    await analytics.close();
  });

  test('says what bounds state and event time', async () => {
    const text = await explained('w');
    expect(text).toContain('\nevent time of bid: at; late rows are left out\nevent time of the result: window_end\n');
    expect(text).toMatch(/\nstate of Aggregate by window_end: sum\(price\): what the watermark has not passed/);
    expect(await explained('SUBSCRIBE (SELECT auction, count(*) FROM loose GROUP BY auction)')).toMatch(
      /event time of loose|event time: none/,
    );
    expect(await explained('CREATE MATERIALIZED VIEW x AS SELECT DISTINCT at FROM loose')).toMatch(
      /late rows still count[^\n]*\nevent time of the result: at\n/,
    );
    const join = await explained(
      'CREATE MATERIALIZED VIEW x AS SELECT p.auction FROM plain p JOIN plain q ON p.auction = q.auction',
    );
    expect(join).toMatch(/event time: none/);
    expect(join).toMatch(/state of Join on auction = auction: without bound: keeps every row of plain/);
    expect(await explained('SELECT count(*) FROM plain')).not.toContain('state of');
  });

  test('a column that no record has is named, until one has it', async () => {
    await rig.run(`CREATE SOURCE named (usr BIGINT, v BIGINT, other BIGINT);
      CREATE MATERIALIZED VIEW by_user AS SELECT usr, sum(v) AS v FROM named GROUP BY usr`);
    for (let i = 0; i < 12; i++) await rig.run(`INSERT INTO named (v) VALUES (${i})`);
    await rig.run('FLUSH');
    expect(await explained('by_user')).toMatch(/\nwrong: reads named: column "usr" was NULL in all records/);
    // What nobody reads is not looked at; a view that comes later is told of what it has read.
    expect(await explained('by_user')).not.toContain('"other"');
    await rig.run('CREATE MATERIALIZED VIEW others AS SELECT max(other) AS m FROM named; FLUSH');
    expect(await explained('others')).toMatch(/column "other" was NULL/);
    await rig.run('INSERT INTO named VALUES (1, 1, 1); FLUSH');
    expect(await explained('by_user')).not.toMatch(/was NULL/);
  });

  test('says what stands out as it runs', async () => {
    const text = await explained('w');
    expect(text).toMatch(
      /\nstuck: reads bid: partition \d holds the watermark back: it had no row with a time — idle_timeout is 0/,
    );
    expect(text).toMatch(/\nwrong: reads bid: \d rows? behind the watermark, left out/);
    expect(text).toMatch(/\nwrong: \d rows? without a result — SELECT \* FROM "w\$errors"/);
    await rig.run('PAUSE SOURCE bid');
    expect(await explained('w')).toMatch(/\nstuck: reads bid: is paused — RESUME SOURCE "bid"/);
    await rig.run('RESUME SOURCE bid');
  });
});
