import { NexmarkGenerator } from '../../src/playground/nexmark-generator.ts';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { QUERIES, queryText, SOURCES } from '../support/nexmark.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { usageOf } from './measure.ts';

const EVENTS = Number(process.env['STREAMLINE_BENCH_EVENTS'] ?? 500_000);
const PER_BATCH = 2000;

/**
 * Events as JSON in our own log, durable state; each query as a materialized view made over the full log, timed until FLUSH says that
 * it reflects everything. Rates count all events of the stream, as the published figures do, not only those a query reads.
 */
export const bench: Bench = async (report) => {
  const directory = temporaryDirectory();
  let server = await ServerProcess.start(directory.path);
  await server.sql(SOURCES);
  await load(server);
  for (const query of QUERIES) {
    // A fresh process for each, so that memory and CPU are this query's.
    await server.stop();
    server = await ServerProcess.start(directory.path);
    const before = usageOf(server.pid).cpuSeconds;
    const started = performance.now();
    await server.sql(`CREATE MATERIALIZED VIEW ${query} AS ${queryText(query)}`);
    const { json } = await server.request('POST', '/api/v1/sql', { sql: 'FLUSH', timeoutMs: 600_000 });
    const seconds = (performance.now() - started) / 1000;
    if (json.results === undefined) throw new Error(JSON.stringify(json));
    const { json: pipeline } = await server.request('GET', `/api/v1/pipelines/${query}`);
    const usage = usageOf(server.pid);
    report({
      bench: 'nexmark',
      query,
      events: EVENTS,
      eventsPerSecond: Math.round(EVENTS / seconds),
      cpuSeconds: Number((usage.cpuSeconds - before).toFixed(2)),
      viewRows: pipeline.rows,
      stateBytes: pipeline.stateBytes,
      peakRssMb: usage.peakRssMb,
    });
    await server.sql(`DROP MATERIALIZED VIEW ${query}`);
  }
  await server.stop();
  directory.remove();
};

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
      Object.entries(values).map(([topic, list]) => (list.length > 0 ? producer.produce(topic, 0, list) : undefined)),
    );
  }
  producer.close();
}
