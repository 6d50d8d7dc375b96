import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { partitionsOf } from '../../src/consumer/assignment.ts';
import type { ConsumerHeartbeat } from '../../src/consumer/consumer-membership.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { Client, counts, SESSION_MS, settle, World } from './consumer-world.ts';
import { joinRequest } from './rig.ts';

describe('a group', () => {
  test('a member gets all, shares with a second one once it has let go, and takes over when that leaves', () => {
    const world = new World();
    const [a, b] = [new Client(world, 'a'), new Client(world, 'b')];
    expect(a.beat()).toMatchObject({ error: 0, memberEpoch: 1 });
    expect(a.owned.size).toBe(4);
    // Until a has let go b has the epoch and nothing else.
    expect(b.beat()).toMatchObject({ error: 0, memberEpoch: 2, assignment: [] });
    expect(world.coordinator.consumerGroup('g')!.state).toBe('Reconciling');
    expect(a.beat()).toMatchObject({ memberEpoch: 1 });
    expect(a.owned.size).toBe(2);
    expect(b.beat().assignment).toBeNull();
    expect(a.beat()).toMatchObject({ memberEpoch: 2, assignment: null });
    b.beat();
    expect(counts([a, b])).toEqual([2, 2]);
    expect(world.coordinator.consumerGroup('g')!.state).toBe('Stable');
    expect(b.leave()).toMatchObject({ error: 0, memberEpoch: -1 });
    a.beat();
    expect(a.owned.size).toBe(4);
  });

  test('a silent member is out after its session, one that does not let go after its rebalance timeout', () => {
    const world = new World();
    const [a, b] = [new Client(world, 'a'), new Client(world, 'b')];
    settle([a, b]);
    for (let i = 0; i < 10; i++) {
      world.clock.advance(SESSION_MS / 9);
      b.beat();
    }
    expect(b.owned.size).toBe(4);
    expect(a.beat().error).toBe(E.UNKNOWN_MEMBER_ID);
    const c = new Client(world, 'c');
    c.beat();
    const owned = b.topicPartitions;
    for (let i = 0; i < 3; i++) {
      // b never lets go of what it is told to.
      world.beat({ memberId: 'b', memberEpoch: b.epoch, owned });
      world.clock.advance(7000);
    }
    expect(world.beat({ memberId: 'b', memberEpoch: b.epoch, owned }).error).toBe(E.UNKNOWN_MEMBER_ID);
    settle([c]);
    expect(c.owned.size).toBe(4);
  });

  test('a lost answer is made good by the epoch before; any other epoch is fenced', () => {
    const world = new World();
    const [a, b] = [new Client(world, 'a'), new Client(world, 'b')];
    settle([a]);
    b.beat();
    a.beat();
    a.beat(true);
    expect(a.beat()).toMatchObject({ error: 0, memberEpoch: 2 });
    const beats = (memberEpoch: number) => world.beat({ memberId: 'a', memberEpoch, owned: a.topicPartitions }).error;
    expect(beats(1)).toBe(E.NONE);
    expect(beats(3)).toBe(E.FENCED_MEMBER_EPOCH);
    expect(
      world.beat({ memberId: 'a', memberEpoch: 1, owned: [{ topicId: 'id-t', partitions: [0, 1, 2, 3] }] }).error,
    ).toBe(E.FENCED_MEMBER_EPOCH);
  });

  test('a static member that comes back takes its place without a rebalance; while it is there nobody else can', () => {
    const world = new World();
    const [a, b] = [new Client(world, 'a', 'one'), new Client(world, 'b')];
    settle([a, b]);
    const before = new Set(a.owned);
    expect(new Client(world, 'x', 'one').beat().error).toBe(E.UNRELEASED_INSTANCE_ID);
    expect(a.leave()).toMatchObject({ error: 0, memberEpoch: -2 });
    const epoch = world.coordinator.consumerGroup('g')!.epoch;
    b.beat();
    const again = new Client(world, 'a2', 'one');
    again.beat();
    expect(again.owned).toEqual(before);
    expect(world.coordinator.consumerGroup('g')!.epoch).toBe(epoch);
    expect(world.beat({ memberId: 'a', instanceId: 'one', memberEpoch: 2, owned: [] }).error).toBe(
      E.FENCED_INSTANCE_ID,
    );
    // Away for longer than a session: gone.
    again.leave();
    for (let i = 0; i < 10; i++) {
      world.clock.advance(SESSION_MS / 9);
      b.beat();
    }
    expect(b.owned.size).toBe(4);
  });

  test('topics that appear, grow and go are assigned anew; an expression finds them, as far as they may be known', () => {
    const world = new World();
    const a = new Client(world, 'a');
    a.wants = { topicRegex: 't|log-.*' };
    a.isVisible = (topic) => topic !== 'log-secret';
    a.beat();
    expect(a.owned.size).toBe(4);
    world.setTopic('log-1', 2);
    world.setTopic('log-secret', 2);
    world.setTopic('other', 2);
    a.beat();
    expect(a.owned.size).toBe(6);
    world.setTopic('t', 5);
    a.beat();
    expect(a.owned.size).toBe(7);
    world.setTopic('t', 0);
    settle([a]);
    expect([...a.owned].sort()).toEqual(['id-log-1 0', 'id-log-1 1']);
    expect(world.beat({ memberId: 'b', rebalanceTimeoutMs: 1, owned: [], topicRegex: '(' }).error).toBe(
      E.INVALID_REGULAR_EXPRESSION,
    );
  });

  test('an empty group changes its protocol, one with members refuses those of the other', () => {
    const world = new World();
    const a = new Client(world, 'a');
    settle([a]);
    let joined: number | undefined;
    const join = () =>
      world.coordinator.join(joinRequest({ memberId: '', requiresKnownId: false }), ({ error }) => {
        joined = error;
      });
    join();
    expect(joined).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(world.coordinator.list()).toMatchObject([{ groupId: 'g', type: 'consumer', state: 'Stable' }]);
    a.leave();
    join();
    world.clock.advance(3000);
    expect(joined).toBe(E.NONE);
    expect(a.beat().error).toBe(E.GROUP_ID_NOT_FOUND);
    world.restart();
    // The member has not got an assignment yet, and of the other protocol nothing is left.
    expect(world.coordinator.list()).toEqual([]);
  });

  test('commits of members are fenced by their epoch, but for what was on its way', () => {
    const world = new World();
    const [a, b] = [new Client(world, 'a'), new Client(world, 'b')];
    settle([a]);
    const commit = (memberId: string, generation: number, partition: number): number => {
      let answer = -1;
      const offset = { topic: 't', topicId: 'id-t', partition, offset: 1, leaderEpoch: 0, metadata: '' };
      const request = { groupId: 'g', memberId, instanceId: null, generation, offsets: [offset] };
      world.coordinator.commit(request, ([error]) => {
        answer = error!;
      });
      return answer;
    };
    expect(commit('a', 1, 0)).toBe(E.NONE);
    b.beat();
    settle([a, b]);
    const mine = Number([...a.owned][0]!.split(' ')[1]);
    const theirs = Number([...b.owned][0]!.split(' ')[1]);
    expect(commit('a', 1, mine)).toBe(E.NONE);
    expect(commit('a', 1, theirs)).toBe(E.STALE_MEMBER_EPOCH);
    expect(commit('a', 7, mine)).toBe(E.STALE_MEMBER_EPOCH);
    expect(commit('x', 1, mine)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(commit('', -1, mine)).toBe(E.UNKNOWN_MEMBER_ID);
    expect(world.coordinator.checkFetch('g', 'a', 2)).toBe(E.NONE);
    expect(world.coordinator.checkFetch('g', 'a', 1)).toBe(E.STALE_MEMBER_EPOCH);
    expect(world.coordinator.checkFetch('g', null, -1)).toBe(E.NONE);
  });

  test('requests that cannot be meant are refused', () => {
    const world = new World();
    const join = { rebalanceTimeoutMs: 1, owned: [], topicNames: ['t'] };
    const refused: [Partial<ConsumerHeartbeat>, number][] = [
      [{ ...join, groupId: '' }, E.INVALID_REQUEST],
      [{ ...join, memberId: '' }, E.INVALID_REQUEST],
      [{ ...join, instanceId: '' }, E.INVALID_REQUEST],
      [{ ...join, topicNames: null }, E.INVALID_REQUEST],
      [{ ...join, rebalanceTimeoutMs: -1 }, E.INVALID_REQUEST],
      [{ ...join, owned: [{ topicId: 'id-t', partitions: [0] }] }, E.INVALID_REQUEST],
      [{ ...join, memberEpoch: -3 }, E.INVALID_REQUEST],
      [{ ...join, memberEpoch: -2 }, E.INVALID_REQUEST],
      [{ ...join, serverAssignor: 'mine' }, E.UNSUPPORTED_ASSIGNOR],
      [{ ...join, memberEpoch: 1 }, E.GROUP_ID_NOT_FOUND],
      [{ memberEpoch: -1 }, E.GROUP_ID_NOT_FOUND],
    ];
    for (const [fields, error] of refused) expect(world.beat(fields).error, JSON.stringify(fields)).toBe(error);
    const given = world.beat({ ...join, memberId: '', bringsId: false });
    expect(given.memberId).toMatch(/^[0-9a-f-]{36}$/);
    expect(world.beat({ ...join, memberId: 'x', memberEpoch: 1 }).error).toBe(E.UNKNOWN_MEMBER_ID);
  });
});

test('whatever members do, no two own a partition at a time, and when they settle each partition has one, fairly', () => {
  const action = fc.record({
    what: fc.constantFrom('beat', 'beat', 'beat', 'lost', 'leave', 'crash', 'topic', 'restart', 'wait'),
    who: fc.nat(4),
    size: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const world = new World();
      let ids = 0;
      const clients = Array.from({ length: 5 }, (_, i) => new Client(world, `m${ids++}`, i < 2 ? `static-${i}` : null));
      const check = (): void => {
        const owners = new Set<string>();
        for (const { owned } of clients) {
          for (const name of owned) {
            expect(owners.has(name), `${name} has two owners`).toBe(false);
            owners.add(name);
          }
        }
      };
      for (const { what, who, size } of actions) {
        const client = clients[who]!;
        if (what === 'beat') client.beat();
        else if (what === 'lost') client.beat(true);
        else if (what === 'topic') world.setTopic('t', size);
        else if (what === 'restart') world.restart();
        else if (what === 'wait') {
          world.clock.advance(SESSION_MS / 5);
          for (const one of clients) if (one.joined) one.beat();
        } else if (what === 'leave' && client.joined) {
          client.leave();
          client.memberId = `m${ids++}`;
        } else if (what === 'crash') {
          // Its process is gone; whoever comes next has another id, and the same place if it is a static member.
          client.owned.clear();
          client.joined = false;
          client.epoch = 0;
          if (client.instanceId === null) client.memberId = `m${ids++}`;
        }
        check();
      }
      for (let round = 0; round < 24; round++) {
        world.clock.advance(SESSION_MS / 9);
        for (const client of clients) {
          client.beat();
          check();
        }
      }
      expect(counts(clients).reduce((a, b) => a + b, 0)).toBe(world.partitions.get('t'));
      expect(Math.max(...counts(clients)) - Math.min(...counts(clients))).toBeLessThanOrEqual(1);
      const group = world.coordinator.consumerGroup('g')!;
      expect(group.state).toBe('Stable');
      for (const { memberId, owned } of clients)
        expect(new Set([...partitionsOf(group.members.get(memberId)!.assigned)].map(([t, p]) => `${t} ${p}`))).toEqual(
          owned,
        );
    }),
    { numRuns: 300 },
  );
});
