import { describe, expect, test } from 'vitest';
import { encodeConsumerSubscription } from '../../src/protocol/consumer-protocol.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { NO_DELAY, Rig } from './rig.ts';

const metadata = (text: string) => [{ name: 'range', metadata: Buffer.from(text) }];

/** Two members, a (leader) and b, in a stable generation 2. */
function stablePair(rig: Rig) {
  const first = rig.join({ clientId: 'a', protocols: metadata('a') }).result!;
  const b = rig.join({ clientId: 'b', protocols: metadata('b') });
  expect(rig.coordinator.heartbeat('g', first.memberId, null, 1)).toBe(E.REBALANCE_IN_PROGRESS);
  const a = rig.join({ memberId: first.memberId, protocols: metadata('a') });
  const ids = [a.result!.memberId, b.result!.memberId] as const;
  const follower = rig.sync(ids[1], 2);
  expect(follower.result).toBeUndefined();
  const leader = rig.sync(ids[0], 2, { [ids[0]]: 'A', [ids[1]]: 'B' });
  expect([leader.result!.assignment.toString(), follower.result!.assignment.toString()]).toEqual(['A', 'B']);
  return { a: ids[0], b: ids[1], joinA: a.result!, joinB: b.result! };
}

describe('joining', () => {
  test('one leader sees all members, followers none', () => {
    const { joinA, joinB, a, b } = stablePair(new Rig());
    expect(joinA).toMatchObject({
      error: 0,
      generation: 2,
      leader: a,
      protocolName: 'range',
      protocolType: 'consumer',
    });
    expect(joinA.members.map((m) => [m.memberId, m.metadata.toString()])).toEqual([
      [a, 'a'],
      [b, 'b'],
    ]);
    expect(joinB).toMatchObject({ error: 0, generation: 2, leader: a, members: [] });
  });

  test('a new dynamic member of v4+ gets its id first', () => {
    const rig = new Rig();
    const asked = rig.join({ requiresKnownId: true }).result!;
    expect(asked.error).toBe(E.MEMBER_ID_REQUIRED);
    expect(asked.memberId).toBe('client-1');
    const joined = rig.join({ requiresKnownId: true, memberId: asked.memberId }).result!;
    expect(joined).toMatchObject({ error: 0, generation: 1, memberId: 'client-1', leader: 'client-1' });
  });

  test('an id that was handed out and not used holds the barrier only for a session', () => {
    const rig = new Rig();
    const { a } = stablePair(rig);
    rig.join({ requiresKnownId: true });
    const again = rig.join({ memberId: a, protocols: metadata('changed') });
    rig.clock.advance(9_000);
    expect(again.result).toBeUndefined();
    rig.clock.advance(60_000);
    expect(again.result).toMatchObject({ error: 0, generation: 3 });
  });

  test('the first barrier waits, and waits on while members come', () => {
    const rig = new Rig({ initialRebalanceDelayMs: 3000 });
    const a = rig.join({ clientId: 'a' });
    rig.clock.advance(2000);
    const b = rig.join({ clientId: 'b' });
    rig.clock.advance(2000);
    expect([a.result, b.result]).toEqual([undefined, undefined]);
    rig.clock.advance(2000);
    expect([a.result!.generation, b.result!.generation]).toEqual([1, 1]);
    expect(a.result!.members).toHaveLength(2);
  });

  test('the protocol most members prefer among the common ones is chosen', () => {
    const rig = new Rig({ initialRebalanceDelayMs: 10 });
    const named = (...names: string[]) => names.map((name) => ({ name, metadata: Buffer.from(name) }));
    const joins = [named('x', 'y', 'z'), named('z', 'y'), named('z', 'y', 'x')].map((protocols) =>
      rig.join({ protocols }),
    );
    rig.clock.advance(30);
    for (const { result } of joins) expect(result!.protocolName).toBe('z');
    expect(rig.join({ protocols: named('w') }).result!.error).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(rig.join({ protocolType: 'connect', protocols: named('z') }).result!.error).toBe(
      E.INCONSISTENT_GROUP_PROTOCOL,
    );
  });

  test('bad requests are refused', () => {
    const rig = new Rig({ ...NO_DELAY, maxSize: 1 });
    expect(rig.join({ groupId: '' }).result!.error).toBe(E.INVALID_GROUP_ID);
    expect(rig.join({ sessionTimeoutMs: 10 }).result!.error).toBe(E.INVALID_SESSION_TIMEOUT);
    expect(rig.join({ sessionTimeoutMs: 1e9 }).result!.error).toBe(E.INVALID_SESSION_TIMEOUT);
    expect(rig.join({ memberId: 'nobody' }).result!.error).toBe(E.UNKNOWN_MEMBER_ID);
    expect(rig.join({ protocols: [] }).result!.error).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(rig.join().result!.error).toBe(0);
    expect(rig.join().result!.error).toBe(E.GROUP_MAX_SIZE_REACHED);
  });

  test('metadata does not keep the frame it came in', () => {
    const rig = new Rig();
    const frame = Buffer.from('----meta----');
    const joined = rig.join({ protocols: [{ name: 'range', metadata: frame.subarray(4, 8) }] }).result!;
    frame.fill(0);
    expect(joined.members[0]!.metadata.toString()).toBe('meta');
  });
});

describe('rebalancing', () => {
  test('a silent member is evicted at its session timeout and the others rebalance', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    rig.clock.advance(6000);
    expect(rig.coordinator.heartbeat('g', a, null, 2)).toBe(0);
    rig.clock.advance(6000);
    expect(rig.coordinator.heartbeat('g', b, null, 2)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(rig.coordinator.heartbeat('g', a, null, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    expect(rig.join({ memberId: a, protocols: metadata('a') }).result).toMatchObject({ generation: 3, leader: a });
  });

  test('who does not rejoin within the rebalance timeout is out', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    const again = rig.join({ memberId: a, protocols: metadata('new') });
    for (let i = 0; i < 11; i++) {
      expect(rig.coordinator.heartbeat('g', b, null, 2)).toBe(E.REBALANCE_IN_PROGRESS);
      expect(again.result).toBeUndefined();
      rig.clock.advance(5000);
    }
    rig.clock.advance(5000);
    expect(again.result!.members).toHaveLength(1);
    expect(rig.coordinator.heartbeat('g', b, null, 2)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  test('a leader that never syncs is dropped and its followers begin again', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    const first = rig.join({ memberId: b, protocols: metadata('x') });
    rig.join({ memberId: a, protocols: metadata('a') });
    const waiting = rig.sync(b, 3);
    for (let i = 0; i < 13; i++) {
      rig.coordinator.heartbeat('g', a, null, 3);
      rig.clock.advance(5000);
    }
    expect(first.result!.generation).toBe(3);
    expect(waiting.result!.error).toBe(E.REBALANCE_IN_PROGRESS);
    expect(rig.join({ memberId: b, protocols: metadata('x') }).result).toMatchObject({ generation: 4, leader: b });
  });

  test('a repeated join of a follower is answered at once, a leader’s begins a rebalance', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    expect(rig.join({ memberId: b, protocols: metadata('b') }).result).toMatchObject({ generation: 2, members: [] });
    expect(rig.join({ memberId: a, protocols: metadata('a') }).result).toBeUndefined();
    expect(rig.coordinator.heartbeat('g', b, null, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    expect(rig.sync(b, 2).result!.error).toBe(E.REBALANCE_IN_PROGRESS);
  });

  test('leaving rebalances the rest; the last one leaves an empty group', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    expect(rig.coordinator.leave('g', a, null)).toBe(0);
    expect(rig.coordinator.leave('g', a, null)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(rig.coordinator.heartbeat('g', b, null, 2)).toBe(E.REBALANCE_IN_PROGRESS);
    rig.coordinator.leave('g', b, null);
    expect(rig.coordinator.describe('g')).toMatchObject({ state: 'Empty', members: [], protocolType: 'consumer' });
  });

  test('wrong generations and strangers are told so', () => {
    const rig = new Rig();
    const { a } = stablePair(rig);
    expect(rig.coordinator.heartbeat('g', a, null, 1)).toBe(E.ILLEGAL_GENERATION);
    expect(rig.coordinator.heartbeat('g', 'x', null, 2)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(rig.coordinator.heartbeat('other', a, null, 2)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(rig.sync(a, 7).result!.error).toBe(E.ILLEGAL_GENERATION);
    expect(rig.sync(a, 2).result!.assignment.toString()).toBe('A');
  });

  test('an assignment is given out only once it is durable', () => {
    const rig = new Rig();
    const { memberId } = rig.join().result!;
    rig.journal.held = [];
    const synced = rig.sync(memberId, 1, { [memberId]: 'A' });
    expect(synced.result).toBeUndefined();
    rig.journal.release();
    expect(synced.result!.assignment.toString()).toBe('A');
  });

  test('an assignment that cannot be written begins a new round', () => {
    const rig = new Rig();
    const { memberId } = rig.join().result!;
    rig.journal.failing = true;
    expect(rig.sync(memberId, 1, { [memberId]: 'A' }).result!.error).toBe(E.COORDINATOR_NOT_AVAILABLE);
    rig.journal.failing = false;
    expect(rig.join({ memberId }).result).toMatchObject({ error: 0, generation: 2 });
  });
});

describe('static members', () => {
  const asStatic = (id: string, protocols = metadata(id)) => ({ instanceId: id, clientId: id, protocols });

  function stableStaticPair(rig: Rig) {
    const first = rig.join(asStatic('i1')).result!;
    const b = rig.join(asStatic('i2'));
    const a = rig.join({ ...asStatic('i1'), memberId: first.memberId });
    const [ida, idb] = [a.result!.memberId, b.result!.memberId];
    rig.sync(idb, 2, {}, 'i2');
    rig.sync(ida, 2, { [ida]: 'A', [idb]: 'B' }, 'i1');
    return { a: ida, b: idb };
  }

  test('a restarted member keeps its assignment without a rebalance; the old id is fenced', () => {
    const rig = new Rig();
    const { a, b } = stableStaticPair(rig);
    const back = rig.join({ ...asStatic('i2'), canSkipAssignment: true }).result!;
    expect(back).toMatchObject({ error: 0, generation: 2, leader: a, skipAssignment: false });
    expect(back.memberId).not.toBe(b);
    expect(rig.sync(back.memberId, 2, {}, 'i2').result!.assignment.toString()).toBe('B');
    expect(rig.coordinator.heartbeat('g', b, 'i2', 2)).toBe(E.FENCED_INSTANCE_ID);
    expect(rig.coordinator.heartbeat('g', a, 'i1', 2)).toBe(0);
  });

  test('a restarted leader is told to skip the assignment, or before v9 that another one leads', () => {
    const rig = new Rig();
    const { a } = stableStaticPair(rig);
    const back = rig.join({ ...asStatic('i1'), canSkipAssignment: true }).result!;
    expect(back).toMatchObject({ leader: back.memberId, skipAssignment: true });
    expect(back.members).toHaveLength(2);
    const old = rig.join(asStatic('i1')).result!;
    expect(old).toMatchObject({ leader: back.memberId, skipAssignment: false, members: [] });
    expect(old.memberId).not.toBe(old.leader);
    expect(rig.coordinator.heartbeat('g', a, 'i1', 2)).toBe(E.FENCED_INSTANCE_ID);
  });

  test('an administrator removes one by its instance id', () => {
    const rig = new Rig();
    stableStaticPair(rig);
    expect(rig.coordinator.leave('g', '', 'i2')).toBe(0);
    expect(rig.coordinator.leave('g', '', 'i9')).toBe(E.UNKNOWN_MEMBER_ID);
  });

  test('a static member that does not rejoin keeps its place until its session ends', () => {
    const rig = new Rig();
    const { a, b } = stableStaticPair(rig);
    const again = rig.join({ ...asStatic('i1', metadata('new')), memberId: a, rebalanceTimeoutMs: 6000 });
    rig.coordinator.heartbeat('g', b, 'i2', 2);
    rig.clock.advance(9_000);
    expect(again.result).toBeUndefined();
    rig.clock.advance(60_000);
    expect(again.result!.members.map((m) => m.groupInstanceId)).toEqual(['i1']);
  });
});

describe('offsets', () => {
  test('keep metadata and leader epoch, and survive a restart', () => {
    const rig = new Rig();
    expect(
      rig.commit([
        { offset: 5, leaderEpoch: 3, metadata: 'note' },
        { partition: 1, offset: 9 },
      ]),
    ).toEqual([0, 0]);
    for (const coordinator of [rig.coordinator, rig.restart()]) {
      expect(coordinator.committed('g', 't', 0)).toMatchObject({ offset: 5, leaderEpoch: 3, metadata: 'note' });
      expect([...coordinator.allCommitted('g')]).toHaveLength(2);
      expect(coordinator.committed('g', 't', 7)).toBeUndefined();
    }
    expect(rig.restart({}).list()).toEqual([]);
  });

  test('are seen once durable', () => {
    const rig = new Rig();
    rig.journal.held = [];
    expect(rig.commit([{ offset: 5 }])).toBeUndefined();
    expect(rig.coordinator.committed('g', 't', 0)).toBeUndefined();
    rig.journal.release();
    expect(rig.coordinator.committed('g', 't', 0)!.offset).toBe(5);
  });

  test('are taken from members of the generation only', () => {
    const rig = new Rig();
    const { a } = stablePair(rig);
    expect(rig.commit([{}], { memberId: a, generation: 2 })).toEqual([0]);
    expect(rig.commit([{}], { memberId: a, generation: 1 })).toEqual([E.ILLEGAL_GENERATION]);
    expect(rig.commit([{}], { memberId: 'x', generation: 2 })).toEqual([E.UNKNOWN_MEMBER_ID]);
    expect(rig.commit([{}])).toEqual([E.UNKNOWN_MEMBER_ID]);
    expect(rig.commit([{}], { groupId: 'none', generation: 4 })).toEqual([E.ILLEGAL_GENERATION]);
    rig.join({ memberId: a, protocols: metadata('z') });
    expect(rig.commit([{}], { memberId: a, generation: 2 })).toEqual([0]);
  });

  test('long notes and bad offsets are refused one by one', () => {
    const rig = new Rig();
    expect(
      rig.commit([
        { metadata: 'x'.repeat(4097) },
        { partition: 1, offset: -5 },
        { partition: 2, error: 3 },
        { partition: 3 },
      ]),
    ).toEqual([E.OFFSET_METADATA_TOO_LARGE, E.INVALID_COMMIT_OFFSET_SIZE, 3, 0]);
  });

  test('expire only when the group has been empty for the retention time', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    rig.commit([{ offset: 1 }], { memberId: a, generation: 2 });
    for (let hours = 0; hours < 8 * 24; hours++) {
      for (let i = 0; i < 3; i++) {
        rig.coordinator.heartbeat('g', a, null, 2);
        rig.coordinator.heartbeat('g', b, null, 2);
        rig.clock.advance(9_000);
      }
    }
    expect(rig.coordinator.committed('g', 't', 0)).toBeDefined();
    rig.coordinator.leave('g', a, null);
    rig.coordinator.leave('g', b, null);
    rig.clock.advance(6 * 86_400_000);
    expect(rig.coordinator.committed('g', 't', 0)).toBeDefined();
    rig.clock.advance(86_400_000 + 600_000);
    expect(rig.coordinator.has('g')).toBe(false);
    expect(rig.restart().list()).toEqual([]);
  });

  test('of a deleted or re-created topic are gone', () => {
    const rig = new Rig();
    rig.commit([{ offset: 1 }, { topic: 'u', topicId: 'U', offset: 2 }]);
    rig.coordinator.topicChanged('t', 'T');
    expect(rig.coordinator.committed('g', 't', 0)).toBeDefined();
    rig.coordinator.topicChanged('t', 'T2');
    rig.coordinator.topicChanged('u', undefined);
    expect([...rig.coordinator.allCommitted('g')]).toEqual([]);
  });

  test('are deleted unless the group subscribes to the topic', () => {
    const rig = new Rig();
    const run = (topic: string) => {
      let answer: unknown;
      rig.coordinator.deleteOffsets('g', [{ topic, partition: 0 }], (error, errors) => {
        answer = [error, errors];
      });
      return answer;
    };
    expect(run('t')).toEqual([E.GROUP_ID_NOT_FOUND, []]);
    rig.commit([{ offset: 1 }]);
    rig.join({ protocols: [{ name: 'range', metadata: encodeConsumerSubscription(['t']) }] });
    expect(run('t')).toEqual([0, [E.GROUP_SUBSCRIBED_TO_TOPIC]]);
    expect(run('u')).toEqual([0, [0]]);
  });
});

describe('administration', () => {
  test('a stable group is described whole and only an empty one deleted', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    rig.commit([{ offset: 1 }], { memberId: a, generation: 2 });
    const described = rig.coordinator.describe('g');
    expect(described).toMatchObject({ state: 'Stable', protocolName: 'range', protocolType: 'consumer' });
    expect(described.members.map((m) => [m.memberId, String(m.memberMetadata), String(m.memberAssignment)])).toEqual([
      [a, 'a', 'A'],
      [b, 'b', 'B'],
    ]);
    const remove = () => {
      let code: number | undefined;
      rig.coordinator.deleteGroup('g', (error) => {
        code = error;
      });
      return code;
    };
    expect(remove()).toBe(E.NON_EMPTY_GROUP);
    rig.coordinator.leave('g', a, null);
    rig.coordinator.leave('g', b, null);
    expect(remove()).toBe(0);
    expect(remove()).toBe(E.GROUP_ID_NOT_FOUND);
    expect(rig.restart().list()).toEqual([]);
  });

  test('a group goes on after a restart without a rebalance', () => {
    const rig = new Rig();
    const { a, b } = stablePair(rig);
    const coordinator = rig.restart();
    expect(coordinator.heartbeat('g', a, null, 2)).toBe(0);
    expect(coordinator.describe('g').members.map((m) => m.memberAssignment.toString())).toEqual(['A', 'B']);
    rig.clock.advance(8_000);
    expect(coordinator.heartbeat('g', a, null, 2)).toBe(0);
    rig.clock.advance(8_000);
    expect(coordinator.heartbeat('g', b, null, 2)).toBe(E.UNKNOWN_MEMBER_ID);
  });

  test('closing answers everyone and leaves no timer', () => {
    const rig = new Rig();
    const { a } = stablePair(rig);
    const waiting = rig.join({ memberId: a, protocols: metadata('z') });
    rig.coordinator.close();
    expect(waiting.result!.error).toBe(E.COORDINATOR_NOT_AVAILABLE);
    expect(rig.clock.pending).toBe(0);
  });
});
