import { run } from '../clients/programs.ts';
import { javaClasspath, prepareJava } from '../support/java.ts';
import type { FetchLoad, LatencyMs, LoadTool, ProduceLoad } from './broker-load.ts';

const TOOLS = 'org.apache.kafka.tools';
const MINUTES_10_MS = 600_000;

const java = (main: string, args: readonly string[]): Promise<string> =>
  run('java', ['-Xmx512M', '-cp', javaClasspath(), `${TOOLS}.${main}`, ...args], '', MINUTES_10_MS);

/** Apache Kafka's perf tools in a JVM of their own: the whole run counts, with the JVM's warming up, for every broker alike. */
export const javaLoad: LoadTool = {
  name: "Apache Kafka's perf tools",
  prepare: prepareJava,
  produce: async (load) => (await producerPerformance(load, -1)).recordsPerSecond,

  latency: async (load, perSecond) => (await producerPerformance(load, perSecond)).ms,

  async fetch({ address, topic, records }: FetchLoad) {
    const out = await java('ConsumerPerformance', [
      ...['--bootstrap-server', address, '--topic', topic, '--messages', String(records), '--timeout', '60000'],
    ]);
    const last = out.trim().split('\n').at(-1)?.split(', ') ?? [];
    if (last.length < 10) throw new Error(`kafka-consumer-perf-test printed: ${out.slice(-300)}`);
    // Of the fetching itself, without the group's start.
    return Math.round(Number(last[9]));
  },
};

async function producerPerformance(
  { address, topic, records, recordBytes, acks, codec }: ProduceLoad,
  perSecond: number,
): Promise<{ recordsPerSecond: number; ms: LatencyMs }> {
  const properties = [
    `bootstrap.servers=${address}`,
    `acks=${acks}`,
    `compression.type=${codec}`,
    ...(acks === 'all' ? [] : ['enable.idempotence=false']),
  ];
  const out = await java('ProducerPerformance', [
    ...['--topic', topic, '--num-records', String(records), '--record-size', String(recordBytes)],
    ...['--throughput', String(perSecond), '--producer-props', ...properties],
  ]);
  const last = out.trim().split('\n').at(-1) ?? '';
  const found = /([\d.]+) records\/sec .* ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th, ([\d.]+) ms 99\.9th/.exec(
    last,
  );
  if (found === null) throw new Error(`kafka-producer-perf-test printed: ${last}`);
  const [recordsPerSecond, p50, p99, p999] = found.slice(1).map(Number);
  return { recordsPerSecond: Math.round(recordsPerSecond), ms: { p50, p99, p999 } };
}
