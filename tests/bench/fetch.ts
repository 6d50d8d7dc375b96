import { WireClient } from '../../src/playground/wire-client.ts';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { inFlight, median, usageOf } from './measure.ts';

const RUNS = 5;
const RECORDS = 400_000;
const RECORD_BYTES = 1024;
const PER_BATCH = 64;

/** Reads a topic of 1 KiB records from its beginning over one connection, 1 MiB a fetch; the records are walked, not just received. */
export const bench: Bench = async (report) => {
  const directory = temporaryDirectory();
  const server = await ServerProcess.start(directory.path);
  await server.request('POST', '/api/v1/topics', { name: 'bench' });
  const producer = await WireProducer.connect(server.kafka);
  const records = encodeBatch(
    Array.from({ length: PER_BATCH }, () => ({ key: null, value: Buffer.alloc(RECORD_BYTES, 'x') })),
  );
  let left = RECORDS;
  await inFlight(5, async () => {
    await producer.produceBatch('bench', 0, records);
    left -= PER_BATCH;
    return left > 0;
  });
  producer.close();
  const rates: number[] = [];
  for (let run = 0; run < RUNS; run++) rates.push(await readAll(server));
  const perSecond = median(rates);
  report({
    bench: 'fetch',
    recordBytes: RECORD_BYTES,
    recordsPerSecond: Math.round(perSecond),
    megabytesPerSecond: Number(((perSecond * RECORD_BYTES) / 1e6).toFixed(1)),
    ...usageOf(server.pid),
  });
  await server.stop();
  directory.remove();
};

async function readAll(server: ServerProcess): Promise<number> {
  const client = await WireClient.connect(server.kafka);
  const started = performance.now();
  let offset = 0;
  while (offset < RECORDS) {
    const answer = await client.call('fetch', 11, {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 8 << 20,
      topics: [{ topic: 'bench', partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: 1 << 20 }] }],
    });
    const cursor = new RecordCursor(answer.responses[0].partitions[0].records ?? Buffer.alloc(0));
    while (cursor.next()) offset = cursor.offset + 1;
  }
  client.close();
  return RECORDS / ((performance.now() - started) / 1000);
}
