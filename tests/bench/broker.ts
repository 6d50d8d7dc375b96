import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { prepareJava } from '../support/java.ts';
import { temporaryDirectory } from '../support/process.ts';
import type { Bench, Result } from './bench.ts';
import { createTopic, deleteTopic, type LoadTool, type ProduceLoad } from './broker-load.ts';
import { type BrokerBenchOptions, brokerOptions } from './broker-options.ts';
import { javaLoad } from './java-load.ts';
import { median, usageOf } from './measure.ts';
import { type Peer, type StartPeer, startKafka, startOurs } from './peers.ts';
import { rdkafkaLoad } from './rdkafka-load.ts';

type Load = Pick<ProduceLoad, 'recordBytes' | 'partitions' | 'acks' | 'codec'>;

/** What is measured in each round, by its name. Processor seconds are the broker's: other load on the machine touches them least. */
type Figures = Readonly<Record<string, number>>;

const LATENCY_SECONDS = 6;
/** Of each topic: reading is quicker than writing. */
const FETCHES = 2;
/** So that 10 KiB records fill some batches and 100 B records do not take all day. */
const MOST_RECORDS = 2_000_000;
/** With other codecs than none: the codec is the client's work, the broker stores what it gets. */
const CODEC_LOAD = { recordBytes: 1024, partitions: 1, acks: 'all' } as const;

/**
 * Produce, fetch, latency, start, recovery and memory, by clients in processes of their own. With --beside-kafka each round
 * measures ours and Apache Kafka one after the other, so that what else runs on the machine hits both, and the ratio is that of the medians.
 */
export const bench: Bench = async (report, args) => {
  const options = brokerOptions(args);
  const tool = options.tool === 'java' ? javaLoad : rdkafkaLoad;
  const absent = tool.prepare() ?? (options.besideKafka ? prepareJava() : undefined);
  if (absent !== undefined) throw new Error(absent);
  const starts = [startOurs(options.server), ...(options.besideKafka ? [startKafka] : [])];
  const say = (what: string, load: object, rounds: Rounds): void => report(summary(what, tool, load, rounds));

  const loads = options.parts.has('produce') || options.parts.has('fetch');
  if (loads || options.parts.has('latency')) {
    await withPeers(starts, async (peers) => {
      if (loads) await throughput(peers, tool, options, say);
      if (options.parts.has('latency')) await latencies(peers, tool, options, say);
      const rounds = await inTurn(peers, 1, async ({ pid }) => ({ peakRssMb: usageOf(pid).peakRssMb }));
      say('memory after all that', {}, rounds);
    });
  }
  if (options.parts.has('start')) say('start', {}, await startTimes(starts, options.rounds));
  if (options.parts.has('recovery')) {
    const { recoveryMegabytes: megabytes, rounds } = options;
    say('recovery', { megabytes }, await recoveries(starts, tool, megabytes, rounds));
  }
};

async function throughput(
  peers: readonly Peer[],
  tool: LoadTool,
  options: BrokerBenchOptions,
  say: (what: string, load: object, rounds: Rounds) => void,
): Promise<void> {
  for (const load of loadsOf(options)) {
    const records = Math.min(MOST_RECORDS, Math.round((options.megabytes << 20) / load.recordBytes));
    const fetched: Rounds = {};
    const produced = await inTurn(peers, options.rounds, async (peer, round) => {
      const topic = `load-${load.recordBytes}-${load.partitions}-${load.acks}-${load.codec}-${round}`;
      const full = { ...load, address: peer.address, topic, records };
      await createTopic(peer.address, topic, load.partitions);
      const made = await timed(peer, () => tool.produce(full));
      if (options.parts.has('fetch') && load.acks === 'all') {
        fetched[peer.name] ??= [];
        for (let time = 0; time < FETCHES; time++) fetched[peer.name].push(await timed(peer, () => tool.fetch(full)));
      }
      await deleteTopic(peer.address, topic);
      return made;
    });
    if (options.parts.has('produce')) say('produce', load, produced);
    if (Object.keys(fetched).length > 0) say('fetch', load, fetched);
  }
}

function loadsOf({ sizes, partitions, acks, codecs }: BrokerBenchOptions): Load[] {
  const plain = !codecs.includes('none')
    ? []
    : sizes.flatMap((recordBytes) =>
        partitions.flatMap((count) =>
          acks.map((one) => ({ recordBytes, partitions: count, acks: one, codec: 'none' })),
        ),
      );
  return [...plain, ...codecs.filter((codec) => codec !== 'none').map((codec) => ({ ...CODEC_LOAD, codec }))];
}

async function latencies(
  peers: readonly Peer[],
  tool: LoadTool,
  options: BrokerBenchOptions,
  say: (what: string, load: object, rounds: Rounds) => void,
): Promise<void> {
  for (const perSecond of options.rates) {
    const rounds = await inTurn(peers, options.rounds, async ({ address }, round) => {
      const topic = `latency-${perSecond}-${round}`;
      await createTopic(address, topic, 1);
      const load = { ...CODEC_LOAD, codec: 'none', address, topic, records: perSecond * LATENCY_SECONDS };
      const { p50, p99, p999 } = await tool.latency(load, perSecond);
      await deleteTopic(address, topic);
      return { p50Ms: p50, p99Ms: p99, p999Ms: p999 };
    });
    say('latency', { ...CODEC_LOAD, perSecond }, rounds);
  }
}

/** On empty directories, until a first request is answered. */
async function startTimes(starts: readonly StartPeer[], rounds: number): Promise<Rounds> {
  const out: Rounds = {};
  for (let round = 0; round < rounds; round++) {
    await withPeers(starts, async ([peer]) => noted(out, peer, idle(peer)), true);
  }
  return out;
}

const idle = ({ startMs, pid }: Peer): Figures => ({ startMs: Math.round(startMs), peakRssMb: usageOf(pid).peakRssMb });

/** After kill −9 with so much log in one partition, until a first request is answered and until a consumer has read a record. */
async function recoveries(
  starts: readonly StartPeer[],
  tool: LoadTool,
  megabytes: number,
  rounds: number,
): Promise<Rounds> {
  const out: Rounds = {};
  const records = megabytes << 10;
  for (const start of starts) {
    const directory = temporaryDirectory();
    let peer = await start(directory.path);
    const load = { address: peer.address, topic: 'big', partitions: 1, records };
    await createTopic(peer.address, 'big', 1);
    await tool.produce({ ...load, ...CODEC_LOAD, codec: 'none' });
    for (let round = 0; round < rounds; round++) {
      await peer.kill('SIGKILL');
      const began = performance.now();
      peer = await start(directory.path);
      const { startMs, address } = peer;
      await tool.fetch({ ...load, address, records: 1 });
      noted(out, peer, { startMs: Math.round(startMs), readMs: Math.round(performance.now() - began) });
    }
    await peer.kill('SIGKILL');
    directory.remove();
  }
  return out;
}

type Rounds = Record<string, Figures[]>;

/** Every round measures all peers, in the other order each time: none is always the first. */
async function inTurn(
  peers: readonly Peer[],
  rounds: number,
  measure: (peer: Peer, round: number) => Promise<Figures>,
): Promise<Rounds> {
  const out: Rounds = {};
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? peers : [...peers].reverse();
    for (const peer of order) noted(out, peer, await measure(peer, round));
  }
  return out;
}

function noted(rounds: Rounds, { name }: Peer, figures: Figures): void {
  rounds[name] ??= [];
  rounds[name].push(figures);
}

async function timed({ pid }: Peer, run: () => Promise<number>): Promise<Figures> {
  const before = usageOf(pid).cpuSeconds;
  const recordsPerSecond = await run();
  return { recordsPerSecond, brokerCpuSeconds: usageOf(pid).cpuSeconds - before };
}

/** Runs with all of them up together, or one after the other. */
async function withPeers(
  starts: readonly StartPeer[],
  run: (peers: readonly Peer[]) => Promise<void> | void,
  oneByOne = false,
): Promise<void> {
  const groups = oneByOne ? starts.map((start) => [start]) : [starts];
  for (const group of groups) {
    const directory = temporaryDirectory();
    const peers: Peer[] = [];
    try {
      for (const [at, start] of group.entries()) peers.push(await start(join(directory.path, String(at))));
      await run(peers);
    } finally {
      for (const peer of peers) await peer.kill('SIGTERM');
      rmSync(directory.path, { recursive: true, force: true });
    }
  }
}

/** Medians by peer, and how ours stands to Kafka's: above 1 is more of it, which is better for rates and worse for the rest. */
function summary(what: string, { name: tool }: LoadTool, load: object, rounds: Rounds): Result {
  const medians = (figures: readonly Figures[]): Figures =>
    Object.fromEntries(Object.keys(figures[0]).map((name) => [name, rounded(median(figures.map((one) => one[name])))]));
  const of = Object.fromEntries(Object.entries(rounds).map(([name, figures]) => [name, medians(figures)]));
  const { streamline, kafka } = of;
  const ratio =
    kafka === undefined
      ? {}
      : {
          ratio: Object.fromEntries(
            Object.keys(streamline).map((name) => [name, rounded(streamline[name] / kafka[name])]),
          ),
        };
  const counts = Object.values(rounds)[0].length;
  return { bench: 'broker', what, ...load, tool, rounds: counts, ...of, ...ratio };
}

const rounded = (value: number): number => Number(value.toPrecision(3));
