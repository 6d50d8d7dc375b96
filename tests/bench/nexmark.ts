import { NexmarkGenerator } from '../../src/playground/nexmark-generator.ts';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { QUERIES, queryText, SOURCES, TOPICS } from '../support/nexmark.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { FLINK_QUERIES, prepareFlink, runFlink } from './flink/flink.ts';
import { median, usageOf } from './measure.ts';
import { PEERS, peerTable } from './nexmark-peers.ts';

const EVENTS = Number(process.env['STREAMLINE_BENCH_EVENTS'] ?? 500_000);
const RUNS = Number(process.env['STREAMLINE_BENCH_RUNS'] ?? 1);
/** `view`: rows are kept and readable; `blackhole`: they are thrown away, as the published figures do. */
const INTO = process.env['STREAMLINE_BENCH_INTO'] ?? 'view';
const CHOSEN: readonly string[] = process.env['STREAMLINE_BENCH_QUERIES']?.split(',') ?? QUERIES;
const PER_BATCH = 2000;
/** Partitions of each topic, and threads of the engine: with more threads than partitions some have nothing to decode. */
const PARTITIONS = Number(process.env['STREAMLINE_BENCH_PARTITIONS'] ?? 1);
const WORKERS = Number(process.env['STREAMLINE_ENGINE_WORKERS'] ?? 1);

/**
 * Events as JSON in our own log, durable state; each query made over the full log, timed until FLUSH says that it reflects everything.
 * Rates count all events of the stream, as the published figures do, not only those a query reads. The peers' figures a core stand
 * beside ours in the table on stderr.
 */
export const bench: Bench = async (report) => {
  const directory = temporaryDirectory();
  let server = await ServerProcess.start(directory.path);
  await createTopics(server);
  await server.sql(SOURCES);
  await load(server);
  const rates = new Map<string, number>();
  for (const query of CHOSEN) {
    const results: Awaited<ReturnType<typeof measure>>[] = [];
    for (let run = 0; run < RUNS; run++) {
      // A fresh process for each, so that memory and CPU are this query's.
      await server.stop();
      server = await ServerProcess.start(directory.path);
      results.push(await measure(server, query, INTO));
    }
    const middle = (figure: (one: (typeof results)[number]) => number): number => median(results.map(figure));
    const eventsPerSecond = Math.round(middle((one) => EVENTS / one.seconds));
    rates.set(query, eventsPerSecond);
    report({
      bench: 'nexmark',
      query,
      into: INTO,
      workers: WORKERS,
      partitions: PARTITIONS,
      events: EVENTS,
      runs: RUNS,
      eventsPerSecond,
      cpuSeconds: Number(middle((one) => one.cpuSeconds).toFixed(2)),
      rowsOut: results[0].rows,
      stateBytes: results[0].stateBytes,
      checkpointMs: middle((one) => one.checkpointMs),
      peakRssMb: middle((one) => one.peakRssMb),
    });
  }
  await server.stop();
  directory.remove();
  process.stderr.write(peerTable(rates, PEERS));
};

/**
 * Each query on Streamline and then on Apache Flink over the same topics of the same broker, on the same machine; both throw their
 * rows away. Flink's JVM runs its first query once more before, so that its planner is loaded and its code is warm.
 */
export const besideFlink: Bench = async (report) => {
  const reason = prepareFlink();
  if (reason !== undefined) throw new Error(reason);
  const directory = temporaryDirectory();
  const flinkDirectory = temporaryDirectory();
  const queries = FLINK_QUERIES.filter((query) => CHOSEN.includes(query));
  let server = await ServerProcess.start(directory.path);
  await createTopics(server);
  await server.sql(SOURCES);
  await load(server);
  const ours = new Map<string, number>();
  for (const query of queries) {
    await server.stop();
    server = await ServerProcess.start(directory.path);
    const runs: number[] = [];
    for (let run = 0; run < RUNS; run++) runs.push((await measure(server, query, 'blackhole')).seconds);
    ours.set(query, median(runs));
  }
  const theirs = await runFlink(server.kafka, flinkDirectory.path, [queries[0], ...queries]);
  for (const query of queries) {
    const [our, their] = [ours.get(query) as number, theirs.get(query) as number];
    report({
      bench: 'nexmark-beside-flink',
      query,
      events: EVENTS,
      streamline: Math.round(EVENTS / our),
      flink: Math.round(EVENTS / their),
      ratio: Number((their / our).toFixed(2)),
    });
  }
  await server.stop();
  directory.remove();
  flinkDirectory.remove();
};

async function measure(server: ServerProcess, query: string, into: string) {
  const before = usageOf(server.pid).cpuSeconds;
  const started = performance.now();
  const text = queryText(query);
  await server.sql(
    into === 'blackhole'
      ? `CREATE SINK ${query} AS ${text} INTO BLACKHOLE`
      : `CREATE MATERIALIZED VIEW ${query} AS ${text}`,
  );
  const { json } = await server.request('POST', '/api/v1/sql', { sql: 'FLUSH', timeoutMs: 600_000 });
  const seconds = (performance.now() - started) / 1000;
  if (json.results === undefined) throw new Error(JSON.stringify(json));
  const usage = usageOf(server.pid);
  const { json: pipeline } = await server.request('GET', `/api/v1/pipelines/${query}`);
  const { json: all } = await server.request('GET', '/api/v1/pipelines');
  await server.sql(into === 'blackhole' ? `DROP SINK ${query}` : `DROP MATERIALIZED VIEW ${query}`);
  return {
    seconds,
    cpuSeconds: usage.cpuSeconds - before,
    peakRssMb: usage.peakRssMb,
    rows: pipeline.rows as number,
    stateBytes: pipeline.stateBytes as number,
    checkpointMs: Math.round(all.checkpoint.durationMs as number),
  };
}

async function createTopics(server: ServerProcess): Promise<void> {
  for (const name of TOPICS) await server.request('POST', '/api/v1/topics', { name, partitions: PARTITIONS });
}

async function load(server: ServerProcess): Promise<void> {
  const producer = await WireProducer.connect(server.kafka);
  const generator = new NexmarkGenerator({
    seed: 1,
    baseTimeMs: Date.parse('2015-07-15T00:00:00Z'),
    eventsPerSecond: 10_000,
  });
  for (let from = 0; from < EVENTS; from += PER_BATCH) {
    const values: Record<string, Buffer[]> = { person: [], auction: [], bid: [] };
    for (let i = from; i < Math.min(EVENTS, from + PER_BATCH); i++) {
      const event = generator.event(i);
      values[event.kind].push(Buffer.from(event.json));
    }
    await Promise.all(
      Object.entries(values).map(([topic, list]) =>
        list.length > 0 ? producer.produce(topic, (from / PER_BATCH) % PARTITIONS, list) : undefined,
      ),
    );
  }
  producer.close();
}
