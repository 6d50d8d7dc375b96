import { run } from '../clients/programs.ts';
import { javaClasspath } from '../support/java.ts';

const TOOLS = 'org.apache.kafka.tools';
const MINUTES_10_MS = 600_000;

const java = (main: string, args: readonly string[]): Promise<string> =>
  run('java', ['-Xmx512M', '-cp', javaClasspath(), `${TOOLS}.${main}`, ...args], '', MINUTES_10_MS);

export interface ProduceLoad {
  readonly address: string;
  readonly topic: string;
  readonly records: number;
  readonly recordBytes: number;
  readonly acks: '0' | '1' | 'all';
  readonly codec: string;
  /** Records a second; -1 for as fast as it goes. */
  readonly perSecond: number;
}

export interface ProduceFigures {
  readonly recordsPerSecond: number;
  readonly ms: { readonly p50: number; readonly p99: number; readonly p999: number };
}

/** kafka-producer-perf-test in a JVM of its own: the whole run counts, with the JVM's warming up, for every broker alike. */
export async function produceByJava(load: ProduceLoad): Promise<ProduceFigures> {
  const properties = [
    `bootstrap.servers=${load.address}`,
    `acks=${load.acks}`,
    `compression.type=${load.codec}`,
    ...(load.acks === 'all' ? [] : ['enable.idempotence=false']),
  ];
  const out = await java('ProducerPerformance', [
    ...['--topic', load.topic, '--num-records', String(load.records), '--record-size', String(load.recordBytes)],
    ...['--throughput', String(load.perSecond), '--producer-props', ...properties],
  ]);
  const last = out.trim().split('\n').at(-1) ?? '';
  const found = /([\d.]+) records\/sec .* ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th, ([\d.]+) ms 99\.9th/.exec(
    last,
  );
  if (found === null) throw new Error(`kafka-producer-perf-test printed: ${last}`);
  const [recordsPerSecond, p50, p99, p999] = found.slice(1).map(Number);
  return { recordsPerSecond: Math.round(recordsPerSecond), ms: { p50, p99, p999 } };
}

/** kafka-consumer-perf-test: records a second of the fetching itself, without the group's start. */
export async function consumeByJava(address: string, topic: string, records: number): Promise<number> {
  const out = await java('ConsumerPerformance', [
    ...['--bootstrap-server', address, '--topic', topic, '--messages', String(records), '--timeout', '60000'],
  ]);
  const last = out.trim().split('\n').at(-1)?.split(', ') ?? [];
  if (last.length < 10) throw new Error(`kafka-consumer-perf-test printed: ${out.slice(-300)}`);
  return Math.round(Number(last[9]));
}

export const createTopicByJava = (address: string, topic: string, partitions: number): Promise<string> =>
  java('TopicCommand', [
    ...['--bootstrap-server', address, '--create', '--if-not-exists', '--topic', topic],
    ...['--partitions', String(partitions)],
  ]);
