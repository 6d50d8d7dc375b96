import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { BIGINT } from '../../../../src/values/types.ts';
import { ExpireOperator } from '../../../../streamql/engine/operators/expire.ts';
import type { Expire, Plan } from '../../../../streamql/plan/plan.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { Bag, info, rowKey } from '../history.ts';

const AFTER = 10;
const schema = [{ name: 'a', type: BIGINT, nullable: true }];
const input: Plan = { op: 'values', rows: [], schema };
const plan = (afterMicros: number | null): Expire => ({ op: 'expire', input, afterMicros, schema });

class Rig {
  readonly output = new Bag();
  operator: ExpireOperator;
  readonly #after: number | null;
  readonly #appendOnly: boolean;

  constructor(after: number | null, appendOnly = false) {
    this.#after = after;
    this.#appendOnly = appendOnly;
    this.operator = this.#make();
  }

  #make(): ExpireOperator {
    const context = { emit: this.output.addBatch.bind(this.output), onError: () => undefined };
    return new ExpireOperator(info('x'), context, plan(this.#after), this.#appendOnly);
  }

  epoch(changes: readonly (readonly [value: number | null, weight: number])[], nowMicros: number): void {
    if (changes.length > 0) {
      const rows = changes.map(([value]) => [value]);
      const weights = this.#appendOnly ? undefined : changes.map(([, weight]) => weight);
      this.operator.push(0, batchOfRows([BIGINT], rows, weights));
    }
    this.operator.tick(nowMicros);
    this.operator.endEpoch();
  }

  restart(): void {
    const pieces = this.operator.state.map((table) => savedBytes(table, true)!);
    this.operator = this.#make();
    this.operator.state.forEach((table, i) => {
      table.load(pieces[i]);
    });
  }
}

/** Rows by value: copies, and when one came last. */
function reference(held: Map<string, { copies: number; at: number }>, now: number): void {
  for (const [key, { copies, at }] of held) if (copies <= 0 || at <= now - AFTER) held.delete(key);
}

test('what is there is what came within the time and was not taken back, over restarts too', () => {
  const change = fc.record({ value: fc.option(fc.nat(3)), comes: fc.boolean(), copies: fc.constantFrom(1, 1, 2) });
  const epoch = fc.record({ changes: fc.array(change, { maxLength: 4 }), later: fc.nat(6), restarts: fc.nat(4) });
  fc.assert(
    fc.property(fc.array(epoch, { maxLength: 20 }), (epochs) => {
      const rig = new Rig(AFTER);
      const held = new Map<string, { copies: number; at: number }>();
      let now = 100;
      for (const { changes, later, restarts } of epochs) {
        now += later;
        // What has gone above was there above, maybe expired here.
        rig.epoch(
          changes.map(({ value, comes, copies }) => [value, comes ? copies : -copies]),
          now,
        );
        for (const { value, copies } of changes.filter(({ comes }) => comes)) {
          const key = rowKey([value]);
          held.set(key, { copies: (held.get(key)?.copies ?? 0) + copies, at: now });
        }
        for (const { value, copies } of changes.filter(({ comes }) => !comes)) {
          const one = held.get(rowKey([value]));
          if (one !== undefined) one.copies = Math.max(0, one.copies - copies);
        }
        reference(held, now);
        const expected = [...held].map(([key, { copies }]) => [key, copies]).sort();
        expect(rig.output.sorted()).toEqual(expected);
        expect(rig.operator.state[0].rows).toBe(held.size);
        if (restarts === 0) rig.restart();
      }
      // The time of the next one is known.
      const oldest = Math.min(...[...held.values()].map(({ at }) => at));
      expect(rig.operator.wakeAtMicros).toBe(held.size === 0 ? null : oldest + AFTER);
    }),
  );
});

test('the oldest make room when told', () => {
  const rig = new Rig(null);
  rig.epoch(
    [
      [1, 1],
      [2, 1],
    ],
    10,
  );
  rig.epoch(
    [
      [3, 1],
      [1, 1],
    ],
    20,
  );
  rig.epoch([[4, 1]], 30);
  expect(rig.operator.wakeAtMicros).toBeNull();
  rig.operator.evict(0.5);
  expect(rig.operator.wakeAtMicros).toBe(0);
  rig.epoch([], 40);
  // 2 came first; 1 came again with 3.
  expect(rig.output.sorted().map(([key]) => key)).toEqual([rowKey([1]), rowKey([4])]);
});

test('where nothing is taken back every row has its own time', () => {
  const rig = new Rig(AFTER, true);
  rig.epoch([[1, 1]], 100);
  rig.epoch([[1, 1]], 105);
  expect(rig.output.sorted()).toEqual([[rowKey([1]), 2]]);
  rig.restart();
  rig.epoch([], 110);
  expect(rig.output.sorted()).toEqual([[rowKey([1]), 1]]);
  rig.epoch([], 115);
  expect(rig.output.sorted()).toEqual([]);
});
