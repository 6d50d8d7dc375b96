import { expect, test } from 'vitest';
import { simulateSeeds } from './sim/seeds.ts';
import { simulate } from './sim/simulate.ts';

simulateSeeds(0, 2);

test('a seed gives the same history again', async () => {
  const [first, second, other] = [await simulate(4), await simulate(4), await simulate(5)];
  expect(first.history()).toBe(second.history());
  expect(first.history()).not.toBe(other.history());
}, 60_000);

test('runs go through what they are for: crashes, retries, refusals, full disks', async () => {
  const faults = new Set<string>();
  const errors = new Set<string>();
  let acknowledged = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const outcome = await simulate(seed);
    for (const fault of outcome.faults) faults.add(fault.slice(fault.indexOf(' ') + 1));
    for (const error of Object.keys(outcome.errors)) errors.add(error);
    acknowledged += outcome.acknowledged;
  }
  expect(faults.size).toBeGreaterThan(10);
  // KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE, REBALANCE_IN_PROGRESS
  for (const error of ['produce 56', 'produce 2', 'heartbeat 27']) expect(errors).toContain(error);
  // UNKNOWN_MEMBER_ID, as members of the consumer protocol meet it. (A commit on its way during a rebalance is good by now.)
  expect(errors).toContain('modern heartbeat 25');
  expect(acknowledged).toBeGreaterThan(1000);
}, 120_000);
