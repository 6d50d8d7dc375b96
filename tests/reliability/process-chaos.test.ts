import { expect, test } from 'vitest';
import { seededRandom } from '../support/fault-disk.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { buildFsyncShim, type FsyncShim } from './real/fsync-shim.ts';
import { ChaosProxy } from './real/proxy.ts';
import { RealTime } from './real/real-time.ts';
import type { Lab } from './sim/lab.ts';
import { Recorder } from './sim/recorder.ts';
import { PLACES, Workload } from './sim/workload.ts';

/** Faults one after another to a real server; STREAMLINE_FAULTS=60 is a long run. */
const FAULTS = Number(process.env['STREAMLINE_FAULTS'] ?? 8);
const SEED = Number(process.env['STREAMLINE_SEED'] ?? Date.now() % 100_000);

/** How long group members of either protocol may be silent. */
const SESSION_MS = 6000;
const SESSION = ['--group-consumer-session-timeout-ms', String(SESSION_MS)];

/** A server behind a proxy, and what one can do to it. */
class Rig {
  server!: ServerProcess;
  readonly done: string[] = [];
  readonly #directory: string;
  readonly #proxy: ChaosProxy;
  readonly #world: RealTime;
  readonly #shim: FsyncShim | undefined;

  constructor(directory: string, proxy: ChaosProxy, world: RealTime, shim: FsyncShim | undefined) {
    this.#directory = directory;
    this.#proxy = proxy;
    this.#world = world;
    this.#shim = shim;
  }

  async start(): Promise<void> {
    this.server = await ServerProcess.start(this.#directory, SESSION, this.#shim?.env);
    this.#proxy.aim(this.server.kafka);
  }

  async one(): Promise<void> {
    const world = this.#world;
    const proxy = this.#proxy;
    const fault = world.pick([
      'kill',
      'kill',
      'fsync',
      'pause',
      'break',
      'stall',
      'swallow',
      'weather',
      'stop',
    ] as const);
    this.done.push(fault);
    if (fault === 'kill' || fault === 'stop') {
      proxy.aim(undefined);
      if (fault === 'kill') await this.server.kill();
      else expect(await this.server.stop()).toBe(0);
      await this.start();
    } else if (fault === 'fsync') {
      this.#shim?.fail(true);
      await world.sleep(world.between(50, 300));
      this.#shim?.fail(false);
      // The directory stays closed to appends until a restart, whatever fsync says now.
      await world.sleep(200);
      await this.server.kill();
      await this.start();
    } else if (fault === 'pause') {
      this.server.pause(true);
      await world.sleep(world.between(100, 1800));
      this.server.pause(false);
    } else if (fault === 'weather') {
      Object.assign(proxy, { delayMs: 60, splits: 0.6, drops: 0.03 });
      await world.sleep(world.between(200, 800));
    } else proxy.disturb(fault, 0.5);
    Object.assign(proxy, { delayMs: 0, splits: 0.1, drops: 0 });
  }
}

test(
  `a server process through ${FAULTS} faults (seed ${SEED}): no anomaly`,
  async () => {
    const directory = temporaryDirectory();
    const tools = temporaryDirectory();
    const world = new RealTime(seededRandom(SEED));
    const proxy = await ChaosProxy.start(world);
    const shim = buildFsyncShim(tools.path);
    if (typeof shim === 'string') console.log(`fsync does not fail in this run: ${shim}`);
    const rig = new Rig(directory.path, proxy, world, typeof shim === 'string' ? undefined : shim);
    await rig.start();
    await rig.server.request('POST', '/api/v1/topics', {
      name: 'a',
      partitions: 2,
      config: { 'segment.bytes': '20000' },
    });
    await rig.server.request('POST', '/api/v1/topics', { name: 'b', partitions: 1 });
    await rig.server.request('POST', '/api/v1/topics', {
      name: 'c',
      partitions: 1,
      config: { 'cleanup.policy': 'compact', 'segment.bytes': '2000', 'min.cleanable.dirty.ratio': '0' },
    });
    await rig.server.request('POST', '/api/v1/topics', { name: 'd', partitions: 1 });
    const recorder = new Recorder();
    const lab: Lab = {
      world,
      network: proxy,
      recorder,
      places: PLACES,
      productionOver: false,
      over: false,
      sessionMs: SESSION_MS,
      transactionMs: 1500,
      nowMs: () => Date.now(),
      pad: () => ` ${'.'.repeat(world.between(0, 100))}`,
    };
    const workload = new Workload(lab);
    try {
      await workload.run(async () => {
        for (let fault = 0; fault < FAULTS; fault++) {
          await world.sleep(world.between(50, 600));
          await rig.one();
        }
      });
    } finally {
      lab.over = true;
      await proxy.close();
      await rig.server.kill();
    }
    const { problems } = workload.judge();
    expect(problems, rig.done.join(', ')).toEqual([]);
    expect(recorder.ops.length).toBeGreaterThan(100);
    directory.remove();
    tools.remove();
  },
  120_000 + FAULTS * 10_000,
);
