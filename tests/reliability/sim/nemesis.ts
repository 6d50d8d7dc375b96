import type { Machine } from './machine.ts';
import { FAIR, type SimNetwork } from './network.ts';
import type { World } from './world.ts';

/** What may go wrong; a number is how often beside the others. */
const FAULTS = {
  'power loss': 5,
  'kill -9': 4,
  'orderly restart': 2,
  'connections break': 3,
  'connections stand still': 4,
  'half-open connections': 3,
  'bad weather': 3,
  'fsync fails': 3,
  'writes fail': 1,
  'reads fail': 1,
  'disk full': 2,
  'clock jumps': 3,
} as const;

type Fault = keyof typeof FAULTS;

const CHOICES = (Object.keys(FAULTS) as Fault[]).flatMap((fault) => Array.from({ length: FAULTS[fault] }, () => fault));

/** Does one thing after another to the machine and the network, until told to heal everything. */
export class Nemesis {
  readonly done: string[] = [];
  readonly #world: World;
  readonly #network: SimNetwork;
  readonly #machine: Machine;

  constructor(world: World, network: SimNetwork, machine: Machine) {
    this.#world = world;
    this.#network = network;
    this.#machine = machine;
  }

  async run(untilMs: number): Promise<void> {
    const world = this.#world;
    while (world.now < untilMs) {
      await world.sleep(world.between(20, 500));
      const fault = world.pick(CHOICES);
      this.done.push(`${world.now.toFixed(0)} ${fault}`);
      await this.#do(fault);
    }
  }

  /** Nothing is broken any more, and the broker runs. */
  async heal(): Promise<void> {
    this.#network.weather = FAIR;
    this.#machine.disk.fault = () => undefined;
    this.#machine.disk.spaceBytes = Number.POSITIVE_INFINITY;
    if (this.#machine.isUp && !this.#machine.storage?.failure) return;
    this.#machine.crash(false);
    await this.#machine.start();
  }

  async #do(fault: Fault): Promise<void> {
    const world = this.#world;
    const machine = this.#machine;
    const network = this.#network;
    switch (fault) {
      case 'power loss':
      case 'kill -9':
        machine.crash(fault === 'power loss');
        return this.#restart();
      case 'orderly restart':
        await machine.stop();
        return this.#restart();
      case 'connections break':
        return network.disturb('break', world.pick([0.3, 1]));
      case 'connections stand still':
        return network.disturb('stall', world.pick([0.3, 1]));
      case 'half-open connections':
        return network.disturb('swallow', 0.3);
      case 'bad weather':
        network.weather = { latencyMs: [0.1, world.pick([5, 80])], splits: 0.5, drops: world.pick([0, 0.02, 0.1]) };
        await world.sleep(world.between(50, 500));
        network.weather = FAIR;
        return;
      case 'fsync fails':
        return this.#diskFault('sync');
      case 'writes fail':
        return this.#diskFault('append');
      case 'reads fail':
        machine.disk.fault = (operation) => (operation === 'read' && world.chance(0.5) ? 'EIO' : undefined);
        await world.sleep(world.between(10, 200));
        machine.disk.fault = () => undefined;
        return;
      case 'disk full':
        machine.disk.spaceBytes = machine.disk.usedBytes + world.between(0, 1500);
        await world.sleep(world.between(50, 400));
        machine.disk.spaceBytes = Number.POSITIVE_INFINITY;
        return;
      case 'clock jumps':
        // Less than an hour, beyond which records with the right time are refused.
        return machine.setClock(world.between(-2_400_000, 2_400_000));
    }
  }

  /** The log directory is dead from the first failure on; somebody restarts the machine. */
  async #diskFault(what: 'sync' | 'append'): Promise<void> {
    const world = this.#world;
    let left = world.between(1, 3);
    // The directory still takes the small file that says so: without it nobody could know after a restart.
    this.#machine.disk.fault = (operation, path) =>
      operation === what && path !== 'storage-failed' && left-- > 0 ? 'EIO' : undefined;
    await world.sleep(world.between(50, 400));
    this.#machine.disk.fault = () => undefined;
    if (!this.#machine.storage?.failure) return;
    this.#machine.crash(world.chance(0.5));
    return this.#restart();
  }

  async #restart(): Promise<void> {
    const world = this.#world;
    // The next start may be cut short too.
    while (world.chance(0.25)) {
      await world.sleep(world.between(1, 50));
      const starting = this.#machine.start().catch(() => {});
      await Promise.race([starting, world.sleep(world.between(1, 15))]);
      this.#machine.crash(world.chance(0.5));
    }
    await world.sleep(world.between(1, 300));
    await this.#machine.start();
  }
}
