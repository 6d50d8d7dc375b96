import { expect, test } from 'vitest';
import { HIDDEN_COLUMNS } from '../../../../src/values/hidden-columns.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import type { CreateView } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import { optimize } from '../../../../streamql/rules/optimize.ts';
import { FaultDisk } from '../../../support/fault-disk.ts';
import { FakeLog, ORDERS, openEngine, RecordingTarget, recordingSink, sink, source } from './support.ts';

const SECOND = 1_000_000;
const time = { columns: [{ column: 3, lagMicros: 0, ofWindow: false }], firm: false, idleTimeoutMs: 0 };
const columns = [...ORDERS, ...HIDDEN_COLUMNS];
const relation = {
  id: 'orders',
  name: 'orders',
  kind: 'source',
  columns,
  key: null,
  changelog: 'append',
  time,
} as const;
const SQL = `CREATE MATERIALIZED VIEW v AS SELECT window_end, count(*), sum(n) FROM TUMBLE(orders, at, INTERVAL '10 seconds')
  GROUP BY window_end EMIT ON WINDOW CLOSE`;

test('a sink gets each window once, wherever the engine is killed', async () => {
  const [statement] = parseStatements(SQL) as CreateView[];
  const catalog = { relation: () => relation, relationNames: () => ['orders'] };
  const plan = optimize(bindQuery(statement.query, catalog, { mode: 'view' }).plan);
  for (let seed = 1; seed <= 4; seed++) {
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 1 });
    const target = new RecordingTarget();
    let disk = new FaultDisk(seed);
    const start = async () => {
      const settings = { batchRecords: 3, epochIntervalMs: 0, checkpointIntervalMs: 2, sliceMs: 0.1 };
      const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings });
      await engine.add(source('orders', { watermark: { column: 3, delayMicros: 3 * SECOND } }));
      await engine.add(sink('out', plan));
      await engine.resume();
      return engine;
    };
    let engine = await start();
    const windows = new Map<number, [number, number]>();
    let greatest = 0;
    for (let id = 0; id < 60; ) {
      const records = Array.from({ length: 1 + ((id * seed) % 9) }, () => {
        // Up to six seconds out of order: some are late.
        const at = (id * 2 - ((id * 7 + seed) % 7)) * SECOND + 10 * SECOND;
        if (at >= greatest - 3 * SECOND) {
          const end = Math.floor(at / (10 * SECOND)) * 10 * SECOND + 10 * SECOND;
          const [count, sum] = windows.get(end) ?? [0, 0];
          windows.set(end, [count + 1, sum + id]);
        }
        greatest = Math.max(greatest, at);
        return { id, grp: 'g', n: id++, at: new Date(at / 1000).toISOString() };
      });
      await log.produce('orders', 0, records);
      if (id % 3 !== 0) await engine.flush();
      if (id % 2 === 0) await new Promise((resolve) => setTimeout(resolve, seed));
      disk = disk.crash();
      await engine.close();
      engine = await start();
    }
    await engine.flush();
    await engine.close();
    const closed = [...windows].filter(([end]) => end <= greatest - 3 * SECOND);
    const sorted = (rows: unknown[][]) => rows.sort((a, b) => Number(a[0]) - Number(b[0]));
    expect(sorted(target.rows)).toEqual(sorted(closed.map(([end, [count, sum]]) => [end, count, sum])));
  }
});
