import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { ClassicClient } from './classic-client.ts';
import { Client, World } from './consumer-world.ts';
import { joinRequest } from './rig.ts';

const NO_DELAY = { initialRebalanceDelayMs: 0 };
type Any = Client | ClassicClient;

function settle(world: World, clients: readonly Any[], rounds = 30, check: () => void = () => {}): void {
  for (let round = 0; round < rounds; round++) {
    world.clock.advance(1000);
    for (const client of clients) {
      if (client instanceof Client) client.beat();
      else client.step();
      check();
    }
  }
}

const counts = (clients: readonly Any[]): number[] => clients.map(({ owned }) => owned.size);
const typeOf = (world: World) => world.coordinator.list().map(({ type }) => type)[0];

describe.each([true, false])('a group whose consumers are replaced one by one, cooperative: %s', (cooperative) => {
  test('goes to the new protocol and back, and every partition has an owner', () => {
    const world = new World(NO_DELAY);
    const old = [0, 1, 2].map((i) => new ClassicClient(world, `c${i}`, cooperative));
    settle(world, old);
    expect(typeOf(world)).toBe('classic');
    expect(counts(old).reduce((a, b) => a + b)).toBe(4);
    const modern = ['a', 'b', 'c'].map((id) => new Client(world, id));
    const present: Any[] = [...old];
    for (const client of modern) {
      const goes = present.shift() as ClassicClient;
      present.push(client);
      settle(world, present.concat(goes));
      expect(typeOf(world)).toBe('consumer');
      goes.leave();
      settle(world, present);
      expect(counts(present).reduce((a, b) => a + b)).toBe(4);
      expect(Math.max(...counts(present)) - Math.min(...counts(present))).toBeLessThanOrEqual(1);
    }
    for (const goes of modern) {
      present.push(new ClassicClient(world, `again-${goes.memberId}`, cooperative));
      settle(world, present);
      present.splice(present.indexOf(goes), 1);
      goes.leave();
      settle(world, present);
      expect(counts(present).reduce((a, b) => a + b)).toBe(4);
    }
    expect(typeOf(world)).toBe('classic');
  });

  test('is restored with both kinds of members, which go on without a rebalance', () => {
    const world = new World(NO_DELAY);
    const clients: Any[] = [new ClassicClient(world, 'c', cooperative), new Client(world, 'a')];
    settle(world, clients.slice(0, 1));
    settle(world, clients);
    const before = world.coordinator.consumerGroup('g')!.epoch;
    const owned = clients.map((client) => new Set(client.owned));
    world.restart();
    settle(world, clients);
    expect(clients.map((client) => client.owned)).toEqual(owned);
    expect(world.coordinator.consumerGroup('g')!.epoch).toBe(before);
  });
});

test('a classic member that does not come back when it is asked to is out after its rebalance timeout', () => {
  const world = new World(NO_DELAY);
  const silent = new ClassicClient(world, 'c', true);
  settle(world, [silent]);
  const { memberId, generation } = silent;
  const modern = new Client(world, 'a');
  for (let i = 0; i < 6; i++) {
    modern.beat();
    world.clock.advance(4000);
    world.coordinator.heartbeat('g', memberId, null, generation);
  }
  expect(world.coordinator.heartbeat('g', memberId, null, generation)).toBe(E.UNKNOWN_MEMBER_ID);
  settle(world, [modern]);
  expect(modern.owned.size).toBe(4);
});

test('a commit of a classic member counts in its generation only', () => {
  const world = new World(NO_DELAY);
  const clients: [ClassicClient, Client] = [new ClassicClient(world, 'c', true), new Client(world, 'a')];
  settle(world, clients.slice(0, 1));
  settle(world, clients);
  const commit = (memberId: string, generation: number): number => {
    let answer = -1;
    const offset = { topic: 't', topicId: 'id-t', partition: 0, offset: 1, leaderEpoch: 0, metadata: '' };
    world.coordinator.commit({ groupId: 'g', memberId, instanceId: null, generation, offsets: [offset] }, ([error]) => {
      answer = error!;
    });
    return answer;
  };
  expect(commit(clients[0].memberId, clients[0].generation)).toBe(E.NONE);
  expect(commit(clients[0].memberId, clients[0].generation - 1)).toBe(E.ILLEGAL_GENERATION);
});

test('a static member keeps its place when its process comes back with the other protocol', () => {
  const world = new World(NO_DELAY);
  const classic = new ClassicClient(world, 'c', true, 'one');
  const other = new ClassicClient(world, 'd', true);
  settle(world, [classic, other]);
  classic.crash();
  const modern = new Client(world, 'a', 'one');
  settle(world, [modern, other]);
  expect(counts([modern, other])).toEqual([2, 2]);
  expect(world.coordinator.consumerGroup('g')!.members.size).toBe(2);
  const back = new ClassicClient(world, 'e', true, 'one');
  settle(world, [back, other]);
  expect(counts([back, other])).toEqual([2, 2]);
  expect(typeOf(world)).toBe('classic');
});

test('what is not of consumers, or cannot be read, does not go', () => {
  for (const wrong of [{ protocolType: 'connect' }, { protocols: [{ name: 'range', metadata: Buffer.from('m') }] }]) {
    const world = new World(NO_DELAY);
    world.coordinator.join(joinRequest(wrong), () => {});
    expect(new Client(world, 'a').beat().error).toBe(E.GROUP_ID_NOT_FOUND);
    expect(typeOf(world)).toBe('classic');
  }
});

test('the settings say which way is open', () => {
  for (const migrationPolicy of ['disabled', 'upgrade', 'downgrade', 'bidirectional'] as const) {
    const world = new World({ ...NO_DELAY, migrationPolicy });
    const classic = new ClassicClient(world, 'c', true);
    settle(world, [classic]);
    const modern = new Client(world, 'a');
    const up = migrationPolicy === 'upgrade' || migrationPolicy === 'bidirectional';
    expect(modern.beat().error).toBe(up ? E.NONE : E.GROUP_ID_NOT_FOUND);
    if (!up) continue;
    settle(world, [classic, modern]);
    modern.leave();
    settle(world, [classic]);
    expect(typeOf(world)).toBe(migrationPolicy === 'upgrade' ? 'consumer' : 'classic');
    expect(classic.owned.size).toBe(4);
    // A consumer group that only has classic members takes care of new partitions too.
    world.setTopic('t', 6);
    settle(world, [classic]);
    if (migrationPolicy === 'upgrade') expect(classic.owned.size).toBe(6);
  }
});

test('whatever members of both protocols do, no two own a partition at a time, and when they settle each partition has one', () => {
  const action = fc.record({
    what: fc.constantFrom('step', 'step', 'step', 'leave', 'crash', 'topic', 'restart', 'wait'),
    who: fc.nat(5),
    size: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), fc.boolean(), (actions, cooperative) => {
      const world = new World(NO_DELAY);
      let ids = 0;
      const clients: Any[] = [0, 1, 2].map(
        (i) => new ClassicClient(world, `c${i}`, cooperative, i === 0 ? 'static-c' : null),
      );
      for (const i of [0, 1, 2]) clients.push(new Client(world, `m${ids++}`, i === 0 ? 'static-m' : null));
      const check = (): void => {
        const owners = new Set<string>();
        for (const { owned } of clients) {
          for (const name of owned) {
            expect(owners.has(name), `${name} has two owners`).toBe(false);
            owners.add(name);
          }
        }
      };
      const active = new Set<Any>(clients.slice(0, 3));
      for (const { what, who, size } of actions) {
        const client = clients[who]!;
        if (what === 'step') {
          active.add(client);
          if (client instanceof Client) client.beat();
          else client.step();
        } else if (what === 'topic') world.setTopic('t', size);
        else if (what === 'restart') world.restart();
        else if (what === 'wait') settle(world, [...active], 3, check);
        else if (!active.delete(client)) continue;
        else if (client instanceof ClassicClient) {
          if (what === 'leave') client.leave();
          else client.crash();
        } else {
          if (what === 'leave' && client.joined) client.leave();
          client.owned.clear();
          client.joined = false;
          client.epoch = 0;
          if (client.instanceId === null || what === 'leave') client.memberId = `m${ids++}`;
        }
        check();
      }
      settle(world, [...active], 100, check);
      if (active.size === 0) return;
      expect(counts([...active]).reduce((a, b) => a + b, 0)).toBe(world.partitions.get('t'));
      expect(Math.max(...counts([...active])) - Math.min(...counts([...active]))).toBeLessThanOrEqual(1);
      if ([...active].some((client) => client instanceof Client)) expect(typeOf(world)).toBe('consumer');
    }),
    { numRuns: 60 },
  );
});
