import { writeSync } from 'node:fs';
import { encodeBatch } from '../../src/protocol/records.ts';
import { Storage } from '../../src/storage/storage.ts';

/**
 * Appends to both partitions of topic `t` in the directory given until it is killed. Each line on stdout is a promise made to a
 * client: `<partition> <offset> <id>` after the sync that covers it.
 */
const [dir, round] = process.argv.slice(2);
const storage = await Storage.open({ dir: dir! });
if (!storage.describeTopic('t'))
  await storage.createTopic('t', { partitions: 2, config: { 'segment.bytes': '65536' } });
let next = Number(round) * 1_000_000;

async function produce(partition: number): Promise<void> {
  const log = storage.partition('t', partition)!;
  const producerId = Number(round) * 10 + partition;
  for (let sequence = 0; ; ) {
    const inFlight: Promise<void>[] = [];
    for (let count = 0; count < 5; count++) {
      const records = Array.from({ length: 1 + (next % 4) }, () => ({
        key: null,
        value: Buffer.from(`${next++} ${'x'.repeat(next % 900)}`),
      }));
      const { baseOffset, lastOffset, error } = log.append(
        encodeBatch(records, { producerId, producerEpoch: 0, baseSequence: sequence }),
      );
      if (error !== undefined) throw new Error(`refused with ${error}`);
      sequence += records.length;
      const lines = records.map(
        (record, at) => `${partition} ${baseOffset + at} ${record.value.toString().split(' ', 1)[0]}\n`,
      );
      inFlight.push(log.durable(lastOffset).then(() => void writeSync(1, lines.join(''))));
    }
    await Promise.all(inFlight);
  }
}

await Promise.all([produce(0), produce(1)]);
