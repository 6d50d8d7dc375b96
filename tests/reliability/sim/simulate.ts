import { seededRandom } from '../../support/fault-disk.ts';
import { COMPACTED, TRIMMED } from './kept.ts';
import type { Lab } from './lab.ts';
import { Machine, type Spoil } from './machine.ts';
import { Nemesis } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { Recorder } from './recorder.ts';
import { type Judgement, PLACES, Workload } from './workload.ts';
import { World } from './world.ts';

/** How long faults come. */
const FAULTS_MS = [1000, 3500] as const;
const MOST_MS = 120_000;

export interface Outcome extends Judgement {
  readonly seed: number;
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
    sessionMs: 800,
    transactionMs: 700,
    retains: world.chance(0.5),
    nowMs: () => 1_767_225_600_000 + Math.floor(world.now),
    pad: () => ` ${'.'.repeat(Math.floor(world.random() * (padBytes + 1)))}`,
  };
  const nemesis = new Nemesis(world, network, machine);
  const workload = new Workload(lab);
  const main = async (): Promise<void> => {
    await machine.start();
    const config = { 'segment.bytes': world.pick(['1024', '3000', '100000']), 'retention.ms': '-1' };
    await machine.storage!.createTopic('a', { partitions: 2, config });
    await machine.storage!.createTopic('b', { partitions: 1, config });
    const compacted = {
      'cleanup.policy': 'compact',
      'segment.bytes': '1024',
      'min.cleanable.dirty.ratio': world.pick(['0', '0.5']),
      'delete.retention.ms': world.pick(['0', '3600000']),
    };
    await machine.storage!.createTopic(COMPACTED.topic, { partitions: 1, config: compacted });
    const trimmed = { ...config, 'retention.bytes': lab.retains ? '3000' : '-1' };
    await machine.storage!.createTopic(TRIMMED.topic, { partitions: 1, config: trimmed });
    await workload.run(async () => {
      await nemesis.run(world.between(...FAULTS_MS));
      await nemesis.heal();
    });
    machine.crash(false);
  };
  await world.run(main(), MOST_MS);
  return {
    ...workload.judge(),
    seed,
    faults: nemesis.done,
    errors: recorder.errors,
    lives: machine.lives,
    ops: recorder.ops.length,
    acknowledged: workload.acknowledged().length,
    simulatedMs: world.now,
    eventCount: world.eventCount,
    history: () => JSON.stringify(recorder.ops),
    lines: machine.lines,
  };
}
