import { Agent, get } from 'node:http';
import { ServerProcess } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { inFlight, quantiles } from './measure.ts';

const KEYS = 10_000;
const READS = 30_000;

/** GET /views/:name/rows?key= over kept-alive connections, ten at a time, as fast as they are answered. */
export const bench: Bench = async (report) => {
  const server = await ServerProcess.start(null);
  await server.sql(
    "CREATE SOURCE e (k BIGINT, v BIGINT) WITH (topic = 'e'); CREATE MATERIALIZED VIEW per_k AS SELECT k, sum(v) AS v FROM e GROUP BY k",
  );
  await server.produce(
    'e',
    Array.from({ length: KEYS }, (_, k) => ({ k, v: k })),
  );
  await server.sql('FLUSH');
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  const read = (key: number): Promise<void> =>
    new Promise((resolve, reject) => {
      get(`http://${server.http}/api/v1/views/per_k/rows?key=${key}`, { agent }, (response) => {
        response.resume();
        response.once('end', resolve);
      }).once('error', reject);
    });
  const latenciesMs: number[] = [];
  let left = READS;
  const started = performance.now();
  await inFlight(10, async () => {
    const from = performance.now();
    await read((left * 7919) % KEYS);
    latenciesMs.push(performance.now() - from);
    return --left > 0;
  });
  const seconds = (performance.now() - started) / 1000;
  report({ bench: 'point-read', readsPerSecond: Math.round(READS / seconds), ms: quantiles(latenciesMs) });
  agent.destroy();
  await server.stop();
};
