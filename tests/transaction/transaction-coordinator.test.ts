import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import type {
  TransactionJournal,
  TransactionMarkers,
  TransactionOutcome,
  TransactionRecord,
} from '../../src/transaction/journal.ts';
import type { TopicPartition } from '../../src/transaction/transaction.ts';
import { type ProducerIdentity, TransactionCoordinator } from '../../src/transaction/transaction-coordinator.ts';
import { FakeClock } from '../consumer/fake-clock.ts';

/** What is durable, and what waits for the disk. A crash loses any part of what waits from some point on. */
class World implements TransactionJournal, TransactionMarkers {
  readonly clock = new FakeClock();
  readonly durable = new Map<string, TransactionRecord>();
  /** Data of each partition that no marker has ended, by producer id: the numbers of the transactions that wrote it. */
  readonly open = new Map<string, Set<number>>();
  readonly outcomes = new Map<number, Set<string>>();
  coordinator: TransactionCoordinator;
  failing = false;
  #waiting: { apply: () => void; done: (ok: boolean) => void }[] = [];
  #ids = 100;

  constructor() {
    this.coordinator = this.#start();
  }

  write(record: TransactionRecord, done: (ok: boolean) => void): void;
  write(outcome: TransactionOutcome, partitions: readonly TopicPartition[], done: (ok: boolean) => void): void;
  write(
    what: TransactionRecord | TransactionOutcome,
    second: ((ok: boolean) => void) | readonly TopicPartition[],
    third?: (ok: boolean) => void,
  ): void {
    if (typeof second === 'function') {
      const record = what as TransactionRecord;
      this.#waiting.push({ apply: () => this.durable.set(record.transactionalId, record), done: second });
      return;
    }
    const { producerId, committed } = what as TransactionOutcome;
    const apply = () => {
      for (const { topic, partition } of second) {
        const key = `${topic}-${partition} ${producerId}`;
        for (const number of this.open.get(key) ?? []) {
          const known = this.outcomes.get(number) ?? new Set();
          known.add(committed ? 'commit' : 'abort');
          this.outcomes.set(number, known);
        }
        this.open.delete(key);
      }
    };
    this.#waiting.push({ apply, done: third! });
  }

  /** Makes the next `count` writes durable, in order. */
  async flush(count = Number.POSITIVE_INFINITY): Promise<void> {
    for (let done = 0; done < count; done++) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (!this.failing) next.apply();
      next.done(!this.failing);
    }
  }

  crash(kept: number): void {
    this.coordinator.close();
    for (const { apply } of this.#waiting.splice(0).slice(0, kept)) apply();
    this.coordinator = this.#start();
  }

  #start(): TransactionCoordinator {
    const coordinator = new TransactionCoordinator({
      clock: this.clock,
      journal: this,
      markers: this,
      producerIds: { next: async () => this.#ids++ },
    });
    // The record does not hold the epoch before.
    const records = [...this.durable.values()].map(({ transactionalId, value }) => {
      return { transactionalId, value: value && { ...value, state: { ...value.state, lastEpoch: -1 } } };
    });
    coordinator.load(records);
    return coordinator;
  }

  init(transactionalId: string, from?: ProducerIdentity, timeoutMs = 60_000) {
    return this.answer<[number, ProducerIdentity]>((reply) => {
      const { producerId = -1, producerEpoch = -1 } = from ?? {};
      this.coordinator.init({ transactionalId, timeoutMs, producerId, producerEpoch }, (error, id, epoch) =>
        reply([error, { transactionalId, producerId: id, producerEpoch: epoch }]),
      );
    });
  }

  end(who: ProducerIdentity, committed: boolean, raisesEpoch: boolean) {
    return this.answer<[number, ProducerIdentity]>((reply) => {
      this.coordinator.end({ ...who, committed, raisesEpoch }, (error, producerId, producerEpoch) =>
        reply([error, { ...who, producerId, producerEpoch }]),
      );
    });
  }

  /** An answer that may never come. */
  answer<T>(ask: (reply: (answer: T) => void) => void): { value?: T } {
    const box: { value?: T } = {};
    ask((value) => {
      expect(box.value, 'answered once').toBeUndefined();
      box.value = value;
    });
    return box;
  }

  async settled<T>(box: { value?: T }): Promise<T> {
    await this.flush();
    expect(box.value).toBeDefined();
    return box.value as T;
  }
}

const P0 = { topic: 't', partition: 0 };

async function started(world: World): Promise<ProducerIdentity> {
  const [error, who] = await world.settled(world.init('tx'));
  expect(error).toBe(E.NONE);
  return who;
}

async function begun(world: World): Promise<ProducerIdentity> {
  const who = await started(world);
  const admitted = world.coordinator.admit(who, 't', 0, true);
  await world.flush();
  expect(await admitted).toBe(E.NONE);
  return who;
}

describe('the transaction coordinator', () => {
  test('admits batches once it is durable that their partition takes part, in order', async () => {
    const world = new World();
    const who = await started(world);
    const order: string[] = [];
    const first = world.coordinator.admit(who, 't', 0, true);
    const second = world.coordinator.admit(who, 't', 0, true);
    const third = world.coordinator.admit(who, 't', 1, true);
    void Promise.resolve(first).then(() => order.push('first'));
    void Promise.resolve(second).then(() => order.push('second'));
    void Promise.resolve(third).then(() => order.push('third'));
    expect((await world.settled(world.answer<number[]>((reply) => reply([])))).length).toBe(0);
    await Promise.all([first, second, third]);
    expect(order).toEqual(['first', 'second', 'third']);
    expect(world.coordinator.admit(who, 't', 0, false)).toBe(E.NONE);
    expect(world.coordinator.admit(who, 't', 2, false)).toBe(E.TRANSACTION_ABORTABLE);
    expect(world.coordinator.verify(who, P0)).toBe(E.NONE);
  });

  test('what is being ended or begun admits nothing', async () => {
    const world = new World();
    const who = await begun(world);
    const end = world.end(who, true, false);
    expect(world.coordinator.admit(who, 't', 0, true)).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(world.coordinator.admit(who, 't', 0, false)).toBe(E.TRANSACTION_ABORTABLE);
    expect(world.end(who, true, false).value![0]).toBe(E.CONCURRENT_TRANSACTIONS);
    expect(world.end(who, false, false).value![0]).toBe(E.INVALID_TXN_STATE);
    expect(world.init('tx').value![0]).toBe(E.CONCURRENT_TRANSACTIONS);
    expect((await world.settled(end))[0]).toBe(E.NONE);
    expect(world.coordinator.admit(who, 't', 0, true)).not.toBe(E.CONCURRENT_TRANSACTIONS);
  });

  test('a write that fails changes nothing', async () => {
    const world = new World();
    const who = await started(world);
    world.failing = true;
    const admitted = world.coordinator.admit(who, 't', 0, true);
    await world.flush();
    expect(await admitted).toBe(E.COORDINATOR_NOT_AVAILABLE);
    world.failing = false;
    const again = world.coordinator.admit(who, 't', 0, true);
    await world.flush();
    expect(await again).toBe(E.NONE);
    world.failing = true;
    expect((await world.settled(world.end(who, true, true)))[0]).toBe(E.COORDINATOR_NOT_AVAILABLE);
    world.failing = false;
    expect(await world.settled(world.end(who, true, true))).toEqual([E.NONE, { ...who, producerEpoch: 1 }]);
  });

  test('markers that cannot be written are tried again', async () => {
    const world = new World();
    const who = await begun(world);
    const end = world.end(who, true, false);
    await world.flush(1);
    world.failing = true;
    await world.flush();
    expect(end.value).toBeUndefined();
    world.failing = false;
    world.clock.advance(1000);
    expect((await world.settled(end))[0]).toBe(E.NONE);
  });

  test('a transaction that takes too long is aborted under a new epoch', async () => {
    const world = new World();
    const who = await begun(world);
    world.open.set(`t-0 ${who.producerId}`, new Set([1]));
    world.clock.advance(59_000);
    await world.flush();
    expect(world.outcomes.size).toBe(0);
    world.clock.advance(3000);
    await world.flush();
    expect(world.outcomes.get(1)).toEqual(new Set(['abort']));
    expect((await world.settled(world.end(who, true, false)))[0]).toBe(E.PRODUCER_FENCED);
    // Of the newer protocol the producer may learn its epoch by aborting.
    expect(world.coordinator.admit(who, 't', 0, true)).toBe(E.INVALID_PRODUCER_EPOCH);
  });

  test('ids that are not used are forgotten', async () => {
    const world = new World();
    await started(world);
    world.clock.advance(604_800_000 + 120_000);
    await world.flush();
    expect(world.coordinator.get('tx')).toBeUndefined();
    expect(world.durable.get('tx')!.value).toBeNull();
  });

  test('when the epochs of a producer id are used up it gets another', async () => {
    for (const raisesEpoch of [false, true]) {
      const world = new World();
      let who = await begun(world);
      const { value } = world.durable.get('tx')!;
      world.durable.set('tx', {
        transactionalId: 'tx',
        value: { ...value!, state: { ...value!.state, epoch: 32_766 } },
      });
      world.crash(0);
      who = { ...who, producerEpoch: 32_766 };
      const [error, next] = await world.settled(world.end(who, true, raisesEpoch));
      expect(error).toBe(E.NONE);
      if (raisesEpoch) {
        expect(next).toEqual({ transactionalId: 'tx', producerId: who.producerId + 1, producerEpoch: 0 });
        expect((await world.settled(world.end(who, true, true)))[1]).toEqual(next);
      } else {
        const [, renewed] = await world.settled(world.init('tx', who));
        expect(renewed).toEqual({ transactionalId: 'tx', producerId: who.producerId + 1, producerEpoch: 0 });
      }
    }
  });

  test('each transaction ends in one way, the one that was answered, whenever a crash comes', async () => {
    const step = fc.record({
      what: fc.constantFrom('write', 'write', 'commit', 'abort', 'flush', 'flush', 'crash', 'init', 'wait'),
      partition: fc.integer({ min: 0, max: 2 }),
      count: fc.integer({ min: 0, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 80 }), async (raisesEpoch, steps) => {
        const world = new World();
        let number = 1;
        const promised = new Map<number, string>();
        let who: ProducerIdentity | undefined;
        /** Asks again until the answer is final; gives the producer up when it is fenced. */
        const ended: { number: number; committed: boolean; box: ReturnType<World['end']> }[] = [];
        const takeAnswers = () => {
          for (const { number: of, committed, box } of ended.splice(0)) {
            if (box.value === undefined || box.value[0] !== E.NONE) continue;
            promised.set(of, committed ? 'commit' : 'abort');
            who = box.value[1];
          }
        };
        for (const { what, partition, count } of steps) {
          if (what === 'flush') await world.flush(count);
          else if (what === 'wait') world.clock.advance(count * 10_000);
          else if (what === 'crash') {
            world.crash(count);
            takeAnswers();
          } else if (what === 'init' || who === undefined) {
            await world.flush();
            takeAnswers();
            number++;
            const [error, next] = await world.settled(world.init('tx'));
            who = error === E.NONE ? next : undefined;
          } else if (what === 'write') {
            const key = `t-${partition} ${who.producerId}`;
            const admitted = world.coordinator.admit(who, 't', partition, true);
            await world.flush(typeof admitted === 'number' ? 0 : Number.POSITIVE_INFINITY);
            takeAnswers();
            if ((await admitted) !== E.NONE) continue;
            if (world.coordinator.admit(who, 't', partition, false) !== E.NONE) continue;
            world.open.set(key, (world.open.get(key) ?? new Set()).add(number));
          } else {
            const box = world.end(who, what === 'commit', raisesEpoch);
            ended.push({ number, committed: what === 'commit', box });
            if (count % 2 === 0) await world.flush();
            takeAnswers();
            number++;
            // Without an answer the producer starts again.
            if (box.value === undefined || box.value[0] !== E.NONE) who = undefined;
          }
        }
        await world.flush();
        takeAnswers();
        await world.settled(world.init('tx'));
        await world.flush();
        expect([...world.open.values()].flatMap((numbers) => [...numbers])).toEqual([]);
        for (const [of, outcomes] of world.outcomes) {
          expect(outcomes.size, `transaction ${of}`).toBe(1);
          if (promised.has(of)) expect([...outcomes]).toEqual([promised.get(of)]);
        }
      }),
      { numRuns: 200 },
    );
  });
});
