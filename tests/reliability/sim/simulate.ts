import { seededRandom } from '../../support/fault-disk.ts';
import { ANOMALIES, type Anomaly, check, type Verdict } from '../checker.ts';
import { DirectConsumer, Group, GroupMember } from './consumers.ts';
import type { Lab, Place } from './lab.ts';
import { Machine, type Spoil } from './machine.ts';
import { Nemesis } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { IdempotentProducer, PlainProducer } from './producers.ts';
import { Recorder } from './recorder.ts';
import { World } from './world.ts';

const PLACES: readonly Place[] = [
  { topic: 'a', partition: 0 },
  { topic: 'a', partition: 1 },
  { topic: 'b', partition: 0 },
];
/** How long faults come; then how long producers go on; then how long readers may take to catch up. */
const FAULTS_MS = [1000, 3500] as const;
const PRODUCE_ON_MS = 600;
const CATCH_UP_MS = 20_000;
const MOST_MS = 120_000;

export interface Outcome {
  readonly seed: number;
  readonly counts: Readonly<Record<Anomaly, number>>;
  /** Anomalies and complaints in words; empty when all is well. */
  readonly problems: readonly string[];
  readonly concurrentCycles: number;
  /** What the run went through. */
  readonly faults: readonly string[];
  readonly errors: Readonly<Record<string, number>>;
  readonly lives: number;
  readonly ops: number;
  readonly acknowledged: number;
  readonly simulatedMs: number;
  readonly eventCount: number;
  /** The whole history as text: equal for equal runs. */
  readonly history: () => string;
  readonly lines: readonly string[];
}

/** One run: clients work while everything goes wrong, everything heals, readers catch up, the checker judges. */
export async function simulate(seed: number, spoil?: Spoil): Promise<Outcome> {
  const world = new World(seededRandom(seed));
  const network = new SimNetwork(world);
  const machine = new Machine(world, network, seed + 1_000_000, spoil);
  const recorder = new Recorder();
  const padBytes = world.pick([0, 20, 300]);
  const lab: Lab = {
    world,
    network,
    recorder,
    places: PLACES,
    productionOver: false,
    over: false,
    nowMs: () => 1_767_225_600_000 + Math.floor(world.now),
    pad: () => ` ${'.'.repeat(Math.floor(world.random() * (padBytes + 1)))}`,
  };
  const nemesis = new Nemesis(world, network, machine);
  const group = new Group(lab, 'g');
  const producers = [
    new IdempotentProducer(lab, 'i1'),
    new IdempotentProducer(lab, 'i2'),
    new PlainProducer(lab, 'p1', -1),
    new PlainProducer(lab, 'p2', world.pick([0, 1] as const)),
  ];
  const direct = [new DirectConsumer(lab, 'd0', 0), new DirectConsumer(lab, 'd1', 1)];
  const members = Array.from({ length: world.between(1, 3) }, (_, at) => new GroupMember(lab, group, `m${at}`));

  const acknowledged = (): string[] =>
    recorder.ops.flatMap(({ outcome, steps }) =>
      outcome === 'ok' ? steps.flatMap((step) => (step.kind === 'send' ? [step.value] : [])) : [],
    );
  const main = async (): Promise<void> => {
    await machine.start();
    const config = { 'segment.bytes': world.pick(['1024', '3000', '100000']), 'retention.ms': '-1' };
    await machine.storage!.createTopic('a', { partitions: 2, config });
    await machine.storage!.createTopic('b', { partitions: 1, config });
    const clients = [...producers, ...direct, ...members].map((client) => client.run());
    const failed = Promise.all(clients);
    failed.catch(() => {});
    await Promise.race([nemesis.run(world.between(...FAULTS_MS)), failed]);
    await nemesis.heal();
    recorder.healedAt = recorder.tick();
    const until = world.now + CATCH_UP_MS;
    const waitsForAcks = (): boolean =>
      producers.some((one) => !(one instanceof PlainProducer && one.acks !== -1) && one.okSinceHealed === 0);
    do await world.sleep(PRODUCE_ON_MS);
    while (world.now < until && waitsForAcks());
    lab.productionOver = true;
    const readers = [group.seen, ...direct.map(({ seen }) => seen)];
    const caughtUp = (): boolean => acknowledged().every((value) => readers.every((seen) => seen.has(value)));
    do await world.sleep(100);
    while (world.now < until && !caughtUp());
    // What was not acknowledged but is there shall be read too.
    await world.sleep(500);
    lab.over = true;
    await failed;
    machine.crash(false);
  };
  await world.run(main(), MOST_MS);

  const readers = [
    ...direct.map(({ name }) => ({ who: name, is: (process: string) => process === name })),
    { who: 'group', is: (process: string) => process.startsWith('m') },
    { who: 'everybody', is: () => true },
  ];
  const alive = [...producers.filter((one) => !(one instanceof PlainProducer && one.acks !== -1)), ...direct];
  const counts = Object.fromEntries(ANOMALIES.map((name) => [name, 0])) as Record<Anomaly, number>;
  const problems = [...recorder.complaints];
  let last: Verdict | undefined;
  for (const { who, is } of readers) {
    const names = who === 'everybody' ? alive.map(({ name }) => name) : [];
    last = check(recorder.history(is, names));
    for (const name of ANOMALIES) counts[name] = Math.max(counts[name], last.counts[name]);
    problems.push(...last.found.map(({ anomaly, text }) => `${who}: ${anomaly}: ${text}`));
  }
  return {
    seed,
    counts,
    problems,
    concurrentCycles: last!.concurrentCycles,
    faults: nemesis.done,
    errors: recorder.errors,
    lives: machine.lives,
    ops: recorder.ops.length,
    acknowledged: acknowledged().length,
    simulatedMs: world.now,
    eventCount: world.eventCount,
    history: () => JSON.stringify(recorder.ops),
    lines: machine.lines,
  };
}
