import { WireProducer } from '../../src/playground/wire-producer.ts';
import { encodeBatch } from '../../src/protocol/records.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { inFlight, median, quantiles, usageOf } from './measure.ts';

const RUNS = 3;
const SECONDS = 4;
const CONNECTIONS = 2;
const IN_FLIGHT = 5;

/** Records of one size, acks=all with fsync, over several connections with five requests in flight each. */
export const bench: Bench = async (report) => {
  for (const [recordBytes, perBatch] of [
    [100, 160],
    [1024, 16],
    [1024, 64],
    [10_240, 8],
  ] as const) {
    const directory = temporaryDirectory();
    const server = await ServerProcess.start(directory.path);
    await server.request('POST', '/api/v1/topics', { name: 'bench', partitions: CONNECTIONS });
    const records = encodeBatch(
      Array.from({ length: perBatch }, () => ({ key: null, value: Buffer.alloc(recordBytes, 'x') })),
    );
    const rates: number[] = [];
    const latenciesMs: number[] = [];
    for (let run = 0; run < RUNS; run++) rates.push(await produceFor(server, records, perBatch, latenciesMs));
    const perSecond = median(rates);
    report({
      bench: 'produce',
      recordBytes,
      recordsPerBatch: perBatch,
      acks: 'all',
      fsync: true,
      recordsPerSecond: Math.round(perSecond),
      megabytesPerSecond: Number(((perSecond * recordBytes) / 1e6).toFixed(1)),
      requestMs: quantiles(latenciesMs),
      ...usageOf(server.pid),
    });
    await server.stop();
    directory.remove();
  }
};

async function produceFor(
  server: ServerProcess,
  records: Buffer,
  perBatch: number,
  latenciesMs: number[],
): Promise<number> {
  const producers = await Promise.all(Array.from({ length: CONNECTIONS }, () => WireProducer.connect(server.kafka)));
  const end = performance.now() + SECONDS * 1000;
  let sent = 0;
  await Promise.all(
    producers.map((producer, partition) =>
      inFlight(IN_FLIGHT, async () => {
        const started = performance.now();
        // The broker stores the very bytes it gets, so one encoded batch serves all requests.
        await producer.produceBatch('bench', partition, records);
        latenciesMs.push(performance.now() - started);
        sent += perBatch;
        return performance.now() < end;
      }),
    ),
  );
  for (const producer of producers) producer.close();
  return sent / SECONDS;
}
