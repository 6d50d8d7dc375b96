import { prepareJava } from '../support/java.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { ApacheKafka, freePort } from './apache-kafka.ts';
import type { Bench, Result } from './bench.ts';
import { consumeByJava, createTopicByJava, type ProduceFigures, produceByJava } from './java-load.ts';
import { median, usageOf } from './measure.ts';

/** A broker under test: ours or Apache Kafka, both with the settings they come with. */
interface Peer {
  readonly name: 'streamline' | 'kafka';
  readonly address: string;
  readonly pid: number;
  kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

type StartPeer = (directory: string) => Promise<Peer>;

const startOurs: StartPeer = async (directory) => {
  const server = await ServerProcess.start(directory);
  const kill = async (signal: string): Promise<void> =>
    void (await (signal === 'SIGKILL' ? server.kill() : server.stop()));
  return { name: 'streamline', address: server.kafka, pid: server.pid, kill };
};

const startKafka: StartPeer = async (directory) => {
  const kafka = await ApacheKafka.start(directory, await freePort());
  return { name: 'kafka', address: kafka.address, pid: kafka.pid, kill: (signal) => kafka.kill(signal) };
};

const START_RUNS = 5;
const RECOVERY_BYTES = 1_000_000_000;

interface Load {
  readonly recordBytes: number;
  readonly partitions: number;
  readonly acks: '0' | '1' | 'all';
  readonly codec: string;
}

const SIZES = [100, 1024, 10_240];
const LOADS: readonly Load[] = [
  ...SIZES.flatMap((recordBytes) =>
    [1, 6].flatMap((partitions) =>
      (['0', '1', 'all'] as const).map((acks) => ({ recordBytes, partitions, acks, codec: 'none' })),
    ),
  ),
  ...['gzip', 'snappy', 'lz4', 'zstd'].map((codec) => ({
    recordBytes: 1024,
    partitions: 1,
    acks: 'all' as const,
    codec,
  })),
];
/** Enough for some seconds, so that the JVM's start weighs little. */
const recordsOf = (recordBytes: number): number => Math.min(2_000_000, Math.round(800_000_000 / recordBytes));

/** Produce, fetch, latency, start, recovery and memory, by Apache Kafka's own perf tools from another process. */
export const bench: Bench = (report) => compare([startOurs], report);

/** The same against a real Apache Kafka, case by case in turn, and the ratio of ours to it. */
export const besideKafka: Bench = (report) => compare([startOurs, startKafka], report);

async function compare(starts: readonly StartPeer[], report: (result: Result) => void): Promise<void> {
  const absent = prepareJava();
  if (absent !== undefined) throw new Error(`the load comes from Apache Kafka's tools: ${absent}`);
  const say = (what: string, load: object, figures: Record<string, number | object>, higherIsBetter = true): void => {
    const [ours, kafka] = [figures.streamline, figures.kafka];
    const rate = (one: number | object): number =>
      typeof one === 'number' ? one : (one as ProduceFigures).recordsPerSecond;
    const ratio = kafka === undefined ? {} : { ratio: Number((rate(ours) / rate(kafka)).toFixed(2)), higherIsBetter };
    report({ bench: 'broker', what, ...load, ...figures, ...ratio });
  };
  const each = async <T>(peers: readonly Peer[], measure: (peer: Peer) => Promise<T>): Promise<Record<string, T>> => {
    const out: Record<string, T> = {};
    for (const peer of peers) out[peer.name] = await measure(peer);
    return out;
  };

  const directories = starts.map(() => temporaryDirectory());
  const peers: Peer[] = [];
  for (const [i, start] of starts.entries()) peers.push(await start(directories[i].path));
  for (const [i, load] of LOADS.entries()) {
    const records = recordsOf(load.recordBytes);
    const topic = `load-${i}`;
    const figures = await each(peers, async ({ address }) => {
      await createTopicByJava(address, topic, load.partitions);
      return produceByJava({ ...load, address, topic, records, perSecond: -1 });
    });
    say('produce', load, figures);
    if (load.acks !== 'all') continue;
    say('fetch', load, await each(peers, ({ address }) => consumeByJava(address, topic, records)));
  }
  for (const perSecond of [1_000, 10_000, 50_000]) {
    const topic = `latency-${perSecond}`;
    const load = { recordBytes: 1024, partitions: 1, acks: 'all' as const, codec: 'none' };
    const figures = await each(peers, async ({ address }) => {
      await createTopicByJava(address, topic, 1);
      return produceByJava({ ...load, address, topic, records: perSecond * 10, perSecond });
    });
    say(`latency at ${perSecond}/s`, load, figures);
  }
  say('peak RSS, MB', {}, await each(peers, async ({ pid }) => usageOf(pid).peakRssMb), false);
  for (const peer of peers) await peer.kill('SIGTERM');
  for (const directory of directories) directory.remove();

  const startMs: Record<string, number> = {};
  const recoveryMs: Record<string, number> = {};
  for (const start of starts) {
    const times: number[] = [];
    for (let run = 0; run < START_RUNS; run++) {
      const directory = temporaryDirectory();
      const started = performance.now();
      const peer = await start(directory.path);
      times.push(performance.now() - started);
      await peer.kill('SIGKILL');
      directory.remove();
    }
    const directory = temporaryDirectory();
    const peer = await start(directory.path);
    startMs[peer.name] = Math.round(median(times));
    await createTopicByJava(peer.address, 'big', 1);
    const load = { recordBytes: 1024, acks: 'all' as const, codec: 'none', perSecond: -1 };
    await produceByJava({ ...load, address: peer.address, topic: 'big', records: RECOVERY_BYTES / 1024 });
    await peer.kill('SIGKILL');
    const started = performance.now();
    const again = await start(directory.path);
    await consumeByJava(again.address, 'big', 1);
    recoveryMs[peer.name] = Math.round(performance.now() - started);
    await again.kill('SIGKILL');
    directory.remove();
  }
  say('start, ms', {}, startMs, false);
  say('start after kill −9 with 1 GB of log until a consumer reads, ms', {}, recoveryMs, false);
}
