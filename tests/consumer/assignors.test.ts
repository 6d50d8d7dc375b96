import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Assignment, NO_PARTITIONS, partitionsOf } from '../../src/consumer/assignment.ts';
import { ASSIGNORS, range, type Subscriber, uniform } from '../../src/consumer/assignors.ts';

const subscriber = (
  memberId: string,
  topicIds: readonly string[],
  current: Assignment = NO_PARTITIONS,
): Subscriber => ({
  memberId,
  instanceId: null,
  topicIds: new Set(topicIds),
  current,
});

const sizes = (assignment: Map<string, Assignment>): number[] =>
  [...assignment.values()].map((one) => [...partitionsOf(one)].length);

const worlds = fc.record({
  topics: fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }),
  wants: fc.array(fc.array(fc.nat(4), { maxLength: 4 }), { minLength: 1, maxLength: 7 }),
  had: fc.infiniteStream(fc.nat(20)),
});

describe.each(Object.entries(ASSIGNORS))('%s', (name, assign) => {
  test('gives every partition that somebody wants to exactly one of those who want it', () => {
    fc.assert(
      fc.property(worlds, ({ topics, wants, had }) => {
        const partitions = new Map(topics.map((count, at) => [`t${at}`, count]));
        const members = wants.map((some, at) =>
          subscriber(
            `m${at}`,
            some.map((topic) => `t${topic}`),
            new Map([['t0', new Set([had.next().value as number])]]),
          ),
        );
        const given = assign(members, partitions);
        expect([...given.keys()].sort()).toEqual(members.map(({ memberId }) => memberId).sort());
        const owners = new Map<string, string>();
        for (const [memberId, assignment] of given) {
          for (const [topicId, partition] of partitionsOf(assignment)) {
            expect(members.find((one) => one.memberId === memberId)!.topicIds.has(topicId)).toBe(true);
            expect(partition).toBeLessThan(partitions.get(topicId) ?? 0);
            expect(owners.has(`${topicId} ${partition}`)).toBe(false);
            owners.set(`${topicId} ${partition}`, memberId);
          }
        }
        const wanted = new Set(members.flatMap(({ topicIds }) => [...topicIds]));
        let total = 0;
        for (const [topicId, count] of partitions) if (wanted.has(topicId)) total += count;
        expect(owners.size).toBe(total);
        // Again from what came out: nothing is left to improve.
        if (name === 'uniform') {
          const again = assign(
            members.map((one) => ({ ...one, current: given.get(one.memberId)! })),
            partitions,
          );
          expect(again).toEqual(given);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('uniform: with equal wishes nobody has two more than another, and no more moves than must', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), (count, before, after) => {
      const partitions = new Map([['t', count]]);
      const members = (n: number, current: Map<string, Assignment> = new Map()) =>
        Array.from({ length: n }, (_, i) => subscriber(`m${i}`, ['t'], current.get(`m${i}`) ?? NO_PARTITIONS));
      const first = uniform(members(before), partitions);
      const second = uniform(members(after, first), partitions);
      for (const given of [first, second])
        expect(Math.max(...sizes(given)) - Math.min(...sizes(given))).toBeLessThanOrEqual(1);
      let moved = 0;
      for (let i = 0; i < Math.min(before, after); i++) {
        const had = first.get(`m${i}`)!.get('t') ?? new Set<number>();
        const has = second.get(`m${i}`)!.get('t') ?? new Set<number>();
        for (const partition of had) if (!has.has(partition)) moved++;
      }
      // Those who stay give up only what newcomers must have.
      const newcomers =
        after > before
          ? sizes(second)
              .slice(before)
              .reduce((a, b) => a + b, 0)
          : 0;
      expect(moved).toBeLessThanOrEqual(newcomers);
    }),
    { numRuns: 200 },
  );
});

test('uniform: 10,000 partitions, from one member to a hundred', () => {
  const partitions = new Map([['t', 10_000]]);
  const alone = uniform([subscriber('m0', ['t'])], partitions);
  const members = Array.from({ length: 100 }, (_, i) =>
    subscriber(`m${i}`, ['t'], alone.get(`m${i}`) ?? NO_PARTITIONS),
  );
  const given = uniform(members, partitions);
  expect(new Set(sizes(given))).toEqual(new Set([100]));
});

test('range: neighbours stay together, and topics of equal size are cut alike', () => {
  const given = range(
    [subscriber('b', ['x', 'y']), subscriber('a', ['x', 'y'])],
    new Map([
      ['x', 5],
      ['y', 5],
    ]),
  );
  expect(given.get('a')).toEqual(
    new Map([
      ['x', new Set([0, 1, 2])],
      ['y', new Set([0, 1, 2])],
    ]),
  );
  expect(given.get('b')).toEqual(
    new Map([
      ['x', new Set([3, 4])],
      ['y', new Set([3, 4])],
    ]),
  );
});
