import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JoinResult, SyncResult } from '../../src/consumer/group.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { Rig } from './rig.ts';

/**
 * Clients that behave in any way at all: they join, sync, beat, leave, vanish and come back in random order while time
 * passes and the journal is slow. What must hold: every JoinGroup and SyncGroup is answered exactly once, each generation
 * has one leader and a list of distinct members, and an assignment belongs to the generation it is given for.
 */
type Step =
  | { do: 'client'; act: 'join' | 'sync' | 'beat' | 'leave' | 'forget'; who: number; change: boolean }
  | { do: 'wait'; ms: number }
  | { do: 'hold' }
  | { do: 'release' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('client' as const),
      act: fc.constantFrom('join' as const, 'sync' as const, 'beat' as const, 'leave' as const, 'forget' as const),
      who: fc.nat(4),
      change: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 3000, 9000, 70_000) }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'hold' as const }, { do: 'release' as const }) },
);

interface Client {
  readonly instanceId: string | null;
  memberId: string;
  generation: number;
  leader: boolean;
  members: readonly string[];
  version: number;
}

function run(steps: readonly Step[], delayMs: number): void {
  const rig = new Rig({ initialRebalanceDelayMs: delayMs });
  const clients: Client[] = Array.from({ length: 5 }, (_, i) => ({
    instanceId: i >= 3 ? `instance-${i}` : null,
    memberId: '',
    generation: -1,
    leader: false,
    members: [],
    version: 0,
  }));
  let asked = 0;
  let answered = 0;
  const leaders = new Map<number, string>();
  const onJoin = (client: Client, memberIdThen: string) => (result: JoinResult) => {
    answered++;
    if (client.memberId !== memberIdThen) return;
    if (result.error === E.MEMBER_ID_REQUIRED) client.memberId = result.memberId;
    if (result.error === E.UNKNOWN_MEMBER_ID || result.error === E.FENCED_INSTANCE_ID) client.memberId = '';
    if (result.error !== 0) return;
    client.memberId = result.memberId;
    client.generation = result.generation;
    client.leader = result.leader === result.memberId;
    client.members = result.members.map((member) => member.memberId);
    expect(new Set(client.members).size).toBe(client.members.length);
    if (client.leader) expect(client.members).toContain(client.memberId);
    // Whoever answers for a generation names the same leader: a second one only when the first, static, came back.
    const known = leaders.get(result.generation);
    if (known !== undefined && known !== result.leader) expect(result.leader).toMatch(/^instance/);
    leaders.set(result.generation, result.leader);
  };
  const onSync = (client: Client, generation: number) => (result: SyncResult) => {
    answered++;
    if (result.error !== 0) return;
    const text = result.assignment.toString();
    if (text !== '') expect(Number(text.split(':')[0])).toBe(generation);
    expect(client.generation).toBeGreaterThanOrEqual(generation);
  };
  for (const next of steps) {
    if (next.do === 'wait') rig.clock.advance(next.ms);
    else if (next.do === 'hold') rig.journal.held ??= [];
    else if (next.do === 'release') rig.journal.release();
    else {
      const client = clients[next.who]!;
      const { memberId, instanceId, generation } = client;
      if (next.act === 'join') {
        if (next.change) client.version++;
        asked++;
        rig.coordinator.join(
          {
            groupId: 'g',
            memberId,
            instanceId,
            clientId: `c${next.who}`,
            clientHost: '/',
            sessionTimeoutMs: 10_000,
            rebalanceTimeoutMs: 20_000,
            protocolType: 'consumer',
            protocols: [{ name: 'range', metadata: Buffer.from(String(client.version)) }],
            requiresKnownId: next.who !== 0,
            canSkipAssignment: true,
          },
          onJoin(client, memberId),
        );
      } else if (next.act === 'sync' && memberId !== '') {
        asked++;
        const assignments = client.leader
          ? client.members.map((id) => ({ memberId: id, assignment: Buffer.from(`${generation}:${id}`) }))
          : [];
        rig.coordinator.sync(
          { groupId: 'g', memberId, instanceId, generation, protocolType: null, protocolName: null, assignments },
          onSync(client, generation),
        );
      } else if (next.act === 'beat') rig.coordinator.heartbeat('g', memberId, instanceId, generation);
      else if (next.act === 'leave') rig.coordinator.leave('g', memberId, instanceId);
      else if (next.act === 'forget') client.memberId = '';
    }
    const described = rig.coordinator.describe('g');
    const ids = described.members.map((member) => member.memberId);
    expect(new Set(ids).size).toBe(ids.length);
    const instances = described.members.map((m) => m.groupInstanceId).filter((id) => id !== null);
    expect(new Set(instances).size).toBe(instances.length);
    expect(described.state === 'Empty' || described.state === 'Dead').toBe(
      ids.length === 0 && described.state !== 'PreparingRebalance',
    );
    for (const member of described.members) {
      const assigned = member.memberAssignment.toString();
      if (assigned !== '' && member.groupInstanceId === null)
        expect(assigned.endsWith(`:${member.memberId}`)).toBe(true);
    }
  }
  // Silence: everyone is evicted in the end, and everyone who waits has been answered.
  rig.journal.release();
  rig.clock.advance(400_000);
  expect(rig.coordinator.describe('g').members).toEqual([]);
  expect(answered).toBe(asked);
}

test('any schedule keeps one leader a generation, no member twice, and answers everyone once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 3000), (steps, delayMs) => run(steps, delayMs)),
    { numRuns: 300 },
  );
});
