import { expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { joinRequest, Rig } from './rig.ts';

const PRODUCER = { producerId: 7, producerEpoch: 0 };

function commit(rig: Rig, offset: number, more: object = {}): readonly number[] | undefined {
  let answer: readonly number[] | undefined;
  const offsets = [{ topic: 't', topicId: 'T', partition: 0, offset, leaderEpoch: -1, metadata: null }];
  const as = { groupId: 'g', memberId: '', instanceId: null, generation: -1 };
  rig.coordinator.commit({ ...as, offsets, producer: PRODUCER, ...more }, (errors) => {
    answer = errors;
  });
  return answer;
}

const end = (rig: Rig, committed: boolean, coordinator = rig.coordinator): boolean | undefined => {
  let done: boolean | undefined;
  coordinator.endTransaction(PRODUCER, committed, (ok) => {
    done = ok;
  });
  return done;
};

test('offsets of a transaction count when it is committed, also after a restart', () => {
  const rig = new Rig();
  expect(commit(rig, 5)).toEqual([E.NONE]);
  expect(rig.coordinator.committed('g', 't', 0)).toBeUndefined();
  expect(rig.coordinator.isUnstable('g', 't', 0)).toBe(true);
  const after = rig.restart();
  expect([after.committed('g', 't', 0), after.isUnstable('g', 't', 0)]).toEqual([undefined, true]);
  expect(end(rig, true, after)).toBe(true);
  expect(after.committed('g', 't', 0)).toMatchObject({ offset: 5, topicId: 'T' });
  expect(after.isUnstable('g', 't', 0)).toBe(false);
  expect(rig.restart().committed('g', 't', 0)?.offset).toBe(5);
});

test('those of an aborted one, of a deleted topic and of a write that failed are forgotten', () => {
  const rig = new Rig();
  commit(rig, 5);
  expect(end(rig, false)).toBe(true);
  expect([rig.coordinator.committed('g', 't', 0), rig.coordinator.isUnstable('g', 't', 0)]).toEqual([undefined, false]);
  commit(rig, 6);
  rig.coordinator.topicChanged('t', undefined);
  expect(rig.coordinator.isUnstable('g', 't', 0)).toBe(false);
  expect(end(rig, true)).toBe(true);
  expect(rig.coordinator.committed('g', 't', 0)).toBeUndefined();
  rig.journal.failing = true;
  expect(commit(rig, 7)).toEqual([E.COORDINATOR_NOT_AVAILABLE]);
  expect(rig.coordinator.isUnstable('g', 't', 0)).toBe(false);
});

test('a member is fenced by its generation, a producer that names none is not (KIP-447)', () => {
  const rig = new Rig();
  const asked = rig.join(joinRequest({ groupId: 'g' }));
  const joined = rig.join({ groupId: 'g', memberId: asked.result?.memberId ?? '' });
  const { memberId, generation } = (joined.result ?? asked.result)!;
  expect(commit(rig, 1, { memberId, generation: generation + 1 })).toEqual([E.ILLEGAL_GENERATION]);
  expect(commit(rig, 1, { memberId: 'stranger', generation })).toEqual([E.UNKNOWN_MEMBER_ID]);
  expect(commit(rig, 1, { memberId, generation })).toEqual([E.NONE]);
  expect(commit(rig, 2)).toEqual([E.NONE]);
});
