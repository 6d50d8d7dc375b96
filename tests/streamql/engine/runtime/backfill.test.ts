import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../src/cli/sql-test/virtual-clock.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsIn, scan, source, view } from './support.ts';

const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);
const turns = () => new Promise((resolve) => setTimeout(resolve, 5));

test('a view with a rate reads no faster, says how far it is, and is level in the end; others wait for nothing', async () => {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 2 });
  const clock = new VirtualClock(0);
  const engine = await openEngine(log, { clock, settings: { epochIntervalMs: 0 } });
  await engine.add(source('orders'));
  await engine.resume();
  const orders = (count: number) => Array.from({ length: count }, (_, id) => ({ id, grp: 'g', n: 1, at: id }));
  await log.produce('orders', 0, orders(150));
  await log.produce('orders', 1, orders(50));
  await engine.flush();
  await engine.add({ ...view('limited', totals, [0]), backfillRate: 40 });
  const progress = async () => (await engine.stats()).objects.find(({ id }) => id === 'limited')?.backfill;
  await turns();
  expect(await progress()).toEqual({ done: 4, total: 200, secondsLeft: null });
  const reading = expect(engine.snapshot([{ id: 'limited', columns: [0] }], [], 70)).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(
      /^limited had not caught up after 70 ms: \d+ records of the log are to be read first$/,
    ),
  });
  const seen: number[] = [];
  for (let second = 1; second < 200 && (await progress()) !== undefined; second++) {
    clock.moveTo(second * 100);
    await turns();
    const { done, secondsLeft } = (await progress()) ?? { done: 200, secondsLeft: 0 };
    if (second === 1) await reading;
    seen.push(done);
    if (second === 20) expect(secondsLeft).toBeGreaterThan(1);
  }
  expect(seen.slice(0, 3)).toEqual([8, 12, 16]);
  // The last second's worth is read at once, while its source waits.
  expect(seen.at(-2)).toBeLessThanOrEqual(160);
  expect(seen.at(-1)).toBe(200);
  await log.produce('orders', 0, orders(1));
  await engine.flush();
  expect(await rowsIn(engine, 'limited', 3)).toEqual([['g', 201, 201]]);
  await engine.close();
});
