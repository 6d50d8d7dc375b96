import { Broker } from '../../../src/broker/broker.ts';
import type { BrokerSettings } from '../../../src/broker/broker-settings.ts';
import { createLog, type Log } from '../../../src/lib/log.ts';
import { Storage } from '../../../src/storage/storage.ts';
import { FaultDisk, seededRandom } from '../../support/fault-disk.ts';
import type { SimNetwork } from './network.ts';
import { LifeClock, type World } from './world.ts';

const SETTINGS: Partial<BrokerSettings> = {
  autoCreateTopics: false,
  groupInitialRebalanceDelayMs: 20,
  groupMinSessionTimeoutMs: 500,
  groupConsumerSessionTimeoutMs: 800,
};

/** One life of the broker: from a start to a crash or a stop. */
interface Life {
  readonly clock: LifeClock;
  readonly disk: FaultDisk;
  alive: boolean;
  storage: Storage | undefined;
  broker: Broker | undefined;
}

/** Spoils what a life gets, to plant a bug that the checker must find. */
export type Spoil = (disk: FaultDisk, isStarting: () => boolean) => void;

/** The computer that the broker runs on: a disk that outlives it, a clock, a place in the network. */
export class Machine {
  readonly lines: string[] = [];
  lives = 0;
  clockJumpMs = 0;
  readonly #world: World;
  readonly #network: SimNetwork;
  readonly #log: Log;
  readonly #spoil: Spoil | undefined;
  #disk: FaultDisk;
  #life: Life | undefined;
  #ids = 0;

  constructor(world: World, network: SimNetwork, seed: number, spoil?: Spoil) {
    this.#world = world;
    this.#network = network;
    this.#spoil = spoil;
    this.#disk = new FaultDisk(seededRandom(seed));
    this.#log = createLog('warn', (line) => this.lines.push(`${world.now.toFixed(1)} ${line}`));
  }

  get isUp(): boolean {
    return this.#life?.broker !== undefined;
  }

  /** Of the running broker. */
  get storage(): Storage | undefined {
    return this.#life?.storage;
  }

  get disk(): FaultDisk {
    return this.#disk;
  }

  /** Starts storage and broker on what the disk holds. */
  async start(): Promise<void> {
    const world = this.#world;
    const disk = this.#disk;
    const life: Life = {
      clock: new LifeClock(world, this.clockJumpMs),
      disk,
      alive: true,
      storage: undefined,
      broker: undefined,
    };
    disk.garbage = true;
    disk.dropsAtFailedSync = true;
    this.#life = life;
    this.lives++;
    this.#spoil?.(disk, () => life.broker === undefined);
    const slow = world.chance(0.2) ? 20 : 2;
    this.#disk.pace = (operation) =>
      new Promise((resolve) => {
        const ms = operation === 'sync' ? world.random() * slow : operation === 'append' ? world.random() * 0.2 : 0;
        if (ms === 0) resolve();
        else
          world.after(ms, () => {
            // A machine that is off does not go on.
            if (life.alive) resolve();
          });
      });
    const log = this.#only(life);
    const storage = await Storage.open({
      disk,
      clock: life.clock,
      log,
      newId: () => this.#newId(),
      tailCacheBytes: world.pick([0, 2000, 1 << 20]),
      // Small ones turn over often.
      walFileBytes: world.pick([1500, 8000, 1 << 20]),
      compactionCheckMs: 500,
      retentionCheckMs: 300,
    });
    if (!life.alive) return;
    life.storage = storage;
    const broker = await Broker.start({
      storage,
      clock: life.clock,
      log,
      listeners: [{ listen: { host: '10.0.0.1', port: 9092 }, network: this.#network }],
      settings: SETTINGS,
      newId: () => this.#newId(),
    });
    if (life.alive) life.broker = broker;
  }

  /** Power is lost, or only the process ends. */
  crash(power: boolean): void {
    this.#end();
    this.#disk = power ? this.#disk.crash() : this.#disk.kill();
  }

  /** As SIGTERM does it. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (!life?.broker || !life.storage) return this.crash(false);
    const { broker, storage } = life;
    life.broker = undefined;
    await broker.close();
    await storage.close();
    if (life.alive) {
      this.#end();
      this.#disk = this.#disk.kill();
    }
  }

  /** The wall clock is wrong by so much from now on. */
  setClock(ms: number): void {
    this.clockJumpMs = ms;
    if (this.#life) this.#life.clock.jumpMs = this.clockJumpMs;
  }

  #end(): void {
    if (!this.#life) return;
    this.#life.alive = false;
    this.#life.clock.end();
    this.#life = undefined;
    this.#network.stop();
  }

  #only(life: Life): Log {
    const line = (level: 'debug' | 'info' | 'warn' | 'error') => (event: string, fields?: Record<string, unknown>) => {
      if (life.alive) this.#log[level](event, fields);
    };
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
  }

  #newId(): string {
    return `00000000-0000-4000-8000-${(++this.#ids).toString(16).padStart(12, '0')}`;
  }
}
