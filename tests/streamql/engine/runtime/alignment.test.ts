import { expect, test } from 'vitest';
import type { Plan } from '../../../../streamql/plan/plan.ts';
import { FakeLog, ORDERS, openEngine, rowsOf, scan, source, view } from './support.ts';

const SECOND = 1_000_000;
const isoAt = (micros: number): string => new Date(micros / 1000).toISOString();

/** Epoch by epoch, how far each source had come when rows of `fast` were read while `slow` had more. */
async function leads(maxDriftMicros: number | undefined): Promise<number> {
  const log = new FakeLog();
  await log.createTopic('fast', { partitions: 1 });
  await log.createTopic('slow', { partitions: 1 });
  const engine = await openEngine(log, { settings: { batchRecords: 10, sliceMs: 0 } });
  const watermark = { column: 3, delayMicros: 0 };
  await engine.add(source('fast', { watermark, ...(maxDriftMicros === undefined ? {} : { maxDriftMicros }) }));
  await engine.add(source('slow', { watermark }));
  const inputs = ['fast', 'slow'].map((id) => scan(id, [1, 3], ORDERS));
  const both: Plan = { op: 'union', inputs, schema: inputs[0].schema };
  await engine.add(view('both', both));
  await engine.resume();
  await engine.flush();
  const last = { fast: 0, slow: 0 };
  let most = 0;
  await engine.subscribe('both', { snapshot: false }, ({ batch }) => {
    for (const [grp, at] of rowsOf(batch)) {
      const name = grp as 'fast' | 'slow';
      last[name] = Math.max(last[name], at as number);
    }
    if (last.slow < 99 * SECOND) most = Math.max(most, last.fast - last.slow);
  });
  const records = (grp: string, step: number) =>
    Array.from({ length: 100 }, (_, id) => ({ id, grp, n: id, at: isoAt(id * step * SECOND) }));
  // In one go, so that neither is read before the other is there.
  await Promise.all([log.produce('slow', 0, records('slow', 1)), log.produce('fast', 0, records('fast', 60))]);
  await engine.flush();
  expect(last).toEqual({ fast: 99 * 60 * SECOND, slow: 99 * SECOND });
  await engine.close();
  return most;
}

test('a source waits for another that is behind it in event time', async () => {
  // One batch of ten records may go beyond the limit.
  expect(await leads(60 * SECOND)).toBeLessThanOrEqual(60 * SECOND + 10 * 60 * SECOND);
  expect(await leads(undefined)).toBeGreaterThan(60 * 60 * SECOND);
});
