import { ANOMALIES, type Anomaly, check } from '../checker.ts';
import { DirectConsumer, Group, GroupMember } from './consumers.ts';
import { COMPACTED, KeyedProducer, Ledger, readWhole, TRIMMED, Trimmer } from './kept.ts';
import type { Lab, Place } from './lab.ts';
import { ModernMember } from './modern-members.ts';
import { IdempotentProducer, PlainProducer } from './producers.ts';
import { TransactionalProducer } from './transactions.ts';

export const PLACES: readonly Place[] = [
  { topic: 'a', partition: 0 },
  { topic: 'a', partition: 1 },
  { topic: 'b', partition: 0 },
];

/** How long producers go on after the last fault at least; how long readers may take to catch up. */
const PRODUCE_ON_MS = 600;
const CATCH_UP_MS = 30_000;

type Producer = IdempotentProducer | PlainProducer | TransactionalProducer;

export interface Judgement {
  /** Anomalies and complaints in words; empty when all is well. */
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<Anomaly, number>>;
  readonly concurrentCycles: number;
}

/** All clients of one run, the way to its end, and what the checker says about it. */
export class Workload {
  readonly #lab: Lab;
  readonly #group: Group;
  readonly #producers: readonly Producer[];
  readonly #direct: readonly DirectConsumer[];
  readonly #members: readonly GroupMember[];
  readonly #modernGroup: Group;
  readonly #modernMembers: readonly ModernMember[];
  readonly #keyed: KeyedProducer;
  readonly #keyedTransactions: TransactionalProducer;
  readonly #trimmer: Trimmer;
  #producing: Promise<unknown> = Promise.resolve();
  #running: Promise<unknown> = Promise.resolve();

  constructor(lab: Lab) {
    const { world } = lab;
    this.#lab = lab;
    this.#group = new Group(lab, 'g');
    this.#producers = [
      new IdempotentProducer(lab, 'i1'),
      new IdempotentProducer(lab, 'i2'),
      new TransactionalProducer(lab, 't1'),
      new TransactionalProducer(lab, 't2'),
      new PlainProducer(lab, 'p1', -1),
      new PlainProducer(lab, 'p2', world.pick([0, 1] as const)),
    ];
    this.#keyed = new KeyedProducer(lab, 'k1');
    this.#keyedTransactions = new TransactionalProducer(lab, 'k2', new Ledger(lab, 'k2'));
    this.#trimmer = new Trimmer(lab, 'r1');
    this.#direct = [new DirectConsumer(lab, 'd0', 0), new DirectConsumer(lab, 'd1', 1)];
    this.#members = Array.from({ length: world.between(1, 3) }, (_, at) => new GroupMember(lab, this.#group, `m${at}`));
    this.#modernGroup = new Group(lab, 'h');
    this.#modernMembers = Array.from(
      { length: world.between(1, 3) },
      (_, at) => new ModernMember(lab, this.#modernGroup, `n${at}`),
    );
  }

  /** Runs until the faults are over (`faults`), then lets producers go on for a while and readers catch up. */
  async run(faults: () => Promise<void>): Promise<void> {
    const writers = [...this.#producers, this.#keyed, this.#keyedTransactions, this.#trimmer];
    this.#producing = Promise.all(writers.map((one) => one.run()));
    this.#running = Promise.all([
      this.#producing,
      ...[...this.#direct, ...this.#members, ...this.#modernMembers].map((one) => one.run()),
    ]);
    // A client that throws ends the run at once.
    const failed = this.#running.then(() => new Promise<never>(() => {}));
    failed.catch(() => {});
    await Promise.race([faults().then(() => this.#finish()), failed]);
    await this.#running;
  }

  acknowledged(): string[] {
    return this.#lab.recorder.ops.flatMap(({ outcome, steps }) =>
      outcome === 'ok' ? steps.flatMap((step) => (step.kind === 'send' ? [step.value] : [])) : [],
    );
  }

  /** Each reader by itself saw everything, and all together are consistent. */
  judge(): Judgement {
    const { recorder } = this.#lab;
    const readers = [
      ...this.#direct.map(({ name }) => ({ who: name, is: (process: string) => process === name })),
      { who: 'group', is: (process: string) => process.startsWith('m') },
      { who: 'modern group', is: (process: string) => process.startsWith('n') },
      { who: 'everybody', is: () => true },
    ];
    const counts = Object.fromEntries(ANOMALIES.map((name) => [name, 0])) as Record<Anomaly, number>;
    const problems = [...recorder.complaints];
    let concurrentCycles = 0;
    for (const { who, is } of readers) {
      const alive = who === 'everybody' ? [...this.#hopeful(), ...this.#direct].map(({ name }) => name) : [];
      const verdict = check(recorder.history(is, alive));
      for (const name of ANOMALIES) counts[name] = Math.max(counts[name], verdict.counts[name]);
      problems.push(...verdict.found.map(({ anomaly, text }) => `${who}: ${anomaly}: ${text}`));
      concurrentCycles = verdict.concurrentCycles;
    }
    return { problems, counts, concurrentCycles };
  }

  /** Those who are told when they got something done. */
  #hopeful(): Producer[] {
    return this.#producers.filter((one) => !(one instanceof PlainProducer) || one.acks === -1);
  }

  async #finish(): Promise<void> {
    const lab = this.#lab;
    const { world, recorder } = lab;
    recorder.healedAt = recorder.tick();
    const until = world.now + CATCH_UP_MS;
    do await world.sleep(PRODUCE_ON_MS);
    while (world.now < until && this.#hopeful().some(({ okSinceHealed }) => okSinceHealed === 0));
    lab.productionOver = true;
    await Promise.race([this.#producing, world.sleep(until - world.now)]);
    const acknowledged = this.acknowledged();
    const readers = [this.#group.seen, this.#modernGroup.seen, ...this.#direct.map(({ seen }) => seen)];
    do await world.sleep(100);
    while (world.now < until && !acknowledged.every((value) => readers.every((seen) => seen.has(value))));
    await this.#judgeKept(until);
    // What was not acknowledged but is there shall be read too.
    await world.sleep(500);
    lab.over = true;
  }

  /** What the topics that do not keep everything hold in the end, when everything in them is decided. */
  async #judgeKept(until: number): Promise<void> {
    const { world, recorder } = this.#lab;
    const whole = async (place: Place) => {
      for (;;) {
        const read = await readWhole(this.#lab, 'whole', place);
        if (read !== undefined) return read;
        if (world.now > until) {
          recorder.complaints.push(`${place.topic} could not be read`);
          return { start: 0, seen: [] };
        }
        await world.sleep(100);
      }
    };
    const compacted = await whole(COMPACTED);
    const newest = new Map(compacted.seen.map(({ key, value }) => [key!, value]));
    this.#keyed.ledger.judge(newest);
    this.#keyedTransactions.ledger!.judge(newest);
    const { start, seen } = await whole(TRIMMED);
    this.#trimmer.judge(start, new Map(seen.map(({ offset, value }) => [offset, value])));
  }
}
