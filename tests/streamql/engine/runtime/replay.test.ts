import { afterEach, describe, expect, test } from 'vitest';
import type { Log } from '../../../../src/lib/log.ts';
import type { StreamEngine } from '../../../../src/ports/engine.ts';
import { encodeBatch } from '../../../../src/protocol/records.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import type { Plan } from '../../../../streamql/plan/plan.ts';
import { optimize } from '../../../../streamql/rules/optimize.ts';
import { catalogOf } from '../../catalog.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsIn, scan, source, view } from './support.ts';

const engines: StreamEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});
async function start(log: FakeLog, more: Parameters<typeof openEngine>[1] = {}): Promise<StreamEngine> {
  const engine = await openEngine(log, more);
  engines.push(engine);
  return engine;
}

const record = (value: unknown) => ({
  key: null,
  value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
});
const order = (id: number, n = id) => ({ id, grp: id % 2 === 0 ? 'even' : 'odd', n });

/** What a repaired producer, key ring or release makes of a record: another value at the same offset. */
function mend(log: FakeLog, offset: number, value: unknown): void {
  const [batches] = log.topics.get('orders')!.partitions;
  const at = batches.findIndex(({ first }) => first === offset);
  batches[at] = { ...batches[at], bytes: encodeBatch([record(value)], { baseOffset: offset, defaultTimestampMs: 5 }) };
}

async function withRecords(values: readonly unknown[]): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 1 });
  for (const value of values) await log.append('orders', 0, [record(value)]);
  return log;
}

const totals = (): Plan => countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);
const catalog = catalogOf('CREATE SOURCE orders (id BIGINT, grp VARCHAR, n BIGINT, at TIMESTAMP)');
const planOf = (sql: string): Plan =>
  optimize(bindQuery((parseStatements(sql)[0] as QueryStatement).query, catalog, { mode: 'view' }).plan);

describe('letters of a source', () => {
  test('come again, once, to all that follows it; what fails again stays', async () => {
    const log = await withRecords([order(1), 'oops', 'worse', order(4)]);
    const disk = new MemoryDisk();
    const engine = await start(log, { disk });
    await engine.add(source('orders'));
    await engine.add(view('totals', totals(), [0]));
    await engine.resume();
    await engine.flush();
    expect(await rowsIn(engine, 'totals', 3)).toEqual([
      ['even', 1, 4],
      ['odd', 1, 1],
    ]);
    mend(log, 1, order(6));
    expect(await engine.replay('orders')).toEqual({ replayed: 1, failed: 1, late: 0, left: 0 });
    await engine.flush();
    const expected = [
      ['even', 2, 10],
      ['odd', 1, 1],
    ];
    expect(await rowsIn(engine, 'totals', 3)).toEqual(expected);
    expect((await rowsIn(engine, 'orders$errors', 8)).map((row) => [row[4], row[7]])).toEqual([[2, 'decode']]);
    expect(await engine.replay('orders')).toEqual({ replayed: 0, failed: 1, late: 0, left: 0 });
    // A view that starts later reads the mended record in its place, and is the same.
    await engine.add(view('later', totals(), [0]));
    expect(await rowsIn(engine, 'later', 3)).toEqual(expected);
    await engine.close();
    // Durable when it was answered: nothing comes twice after a restart.
    const again = await start(log, { disk });
    await again.add(source('orders'));
    await again.add(view('totals', totals(), [0]));
    await again.resume();
    await again.flush();
    expect(await rowsIn(again, 'totals', 3)).toEqual(expected);
    expect((await rowsIn(again, 'orders$errors', 5)).map((row) => row[4])).toEqual([2]);
  });

  test('whose records are gone from the log are left; those of a table are refused', async () => {
    const log = await withRecords(['oops', order(1)]);
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(source('keyed', { topic: 'orders', primaryKey: [0] }));
    await engine.resume();
    await engine.flush();
    log.topics.get('orders')!.starts[0] = 1;
    expect(await engine.replay('orders')).toEqual({ replayed: 0, failed: 0, late: 0, left: 1 });
    await expect(engine.replay('keyed')).rejects.toMatchObject({ code: 'SQL_UNSUPPORTED' });
  });
});

describe('letters of a view', () => {
  test('name operator, record and row, are logged, and go through the operator that refused them', async () => {
    const logged: Record<string, unknown>[] = [];
    const logger: Log = {
      debug: () => undefined,
      info: () => undefined,
      warn: (event, fields) => void logged.push({ event, ...fields }),
      error: () => undefined,
    };
    const log = await withRecords([order(1, 5), order(2, 0), order(3, 2)]);
    const engine = await start(log, { logger });
    await engine.add(source('orders'));
    await engine.add(view('quotients', planOf('SELECT grp, 10 / n AS q FROM orders WHERE id > 0')));
    await engine.add(view('totals', totals(), [0]));
    await engine.resume();
    await engine.flush();
    const letters = await rowsIn(engine, 'quotients$errors', 8);
    expect(letters).toEqual([
      [
        'VALUE_DIVISION_BY_ZERO',
        expect.any(String),
        'orders',
        0,
        1,
        expect.any(Number),
        '[2,"even",0]',
        '0.project filter + project',
      ],
    ]);
    expect(logged).toContainEqual(
      expect.objectContaining({
        event: 'row.refused',
        name: 'quotients',
        operator: '0.project filter + project',
        offset: 1,
      }),
    );
    mend(log, 1, order(2, 1));
    expect(await engine.replay('quotients')).toEqual({ replayed: 1, failed: 0, late: 0, left: 0 });
    await engine.flush();
    expect(await rowsIn(engine, 'quotients', 2)).toEqual([
      ['even', 10],
      ['odd', 2],
      ['odd', 5],
    ]);
    expect(await rowsIn(engine, 'quotients$errors', 1)).toEqual([]);
    // Others had the row already.
    expect(await rowsIn(engine, 'totals', 3)).toContainEqual(['even', 1, 0]);
  });
});
