import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { QUICK, startBroker, WireClient } from '../broker/rig.ts';

/** Flips a bit in the first segment's first batch of a partition. */
function damage(dir: string, topic: string): void {
  const name = readdirSync(join(dir, 'topics')).find((one) => one.startsWith(`${topic}.`))!;
  const path = join(dir, 'topics', name, '0');
  const segment = join(path, readdirSync(path).find((file) => file.endsWith('.strm'))!);
  const bytes = readFileSync(segment);
  bytes[50]! ^= 1;
  writeFileSync(segment, bytes);
}

test('a damaged partition is offline, the others and the rest of the broker go on', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'streamline-offline-'));
  const before = await startBroker(QUICK, { dir });
  for (const topic of ['good', 'bad']) await before.storage.createTopic(topic, { partitions: 1 });
  const first = await WireClient.connect(before.address);
  for (const topic of ['good', 'bad']) expect((await first.produce(topic, ['a', 'b'])).errorCode).toBe(E.NONE);
  first.close();
  await before.close();
  damage(dir, 'bad');

  const rig = await startBroker(QUICK, { dir });
  expect(rig.lines.join('')).toMatch(/partition offline.*"topic":"bad".*00000000000000000000\.strm/);
  const client = await WireClient.connect(rig.address);
  const wanted = [{ name: 'good' }, { name: 'bad' }];
  const { topics } = await client.call('metadata', 9, { topics: wanted });
  expect(topics.map(({ partitions: [one] }) => [one!.errorCode, one!.leaderId, one!.offlineReplicas])).toEqual([
    [E.NONE, 1, []],
    [E.LEADER_NOT_AVAILABLE, -1, [1]],
  ]);
  expect((await client.produce('good', ['c'])).baseOffset).toBe(2);
  expect((await client.produce('bad', ['c'])).errorCode).toBe(E.KAFKA_STORAGE_ERROR);
  const asked = await client.call('listOffsets', 5, {
    replicaId: -1,
    topics: [{ name: 'bad', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  });
  expect(asked.topics[0]!.partitions[0]!.errorCode).toBe(E.KAFKA_STORAGE_ERROR);
  const fetched = await client.call('fetch', 11, {
    maxWaitMs: 0,
    minBytes: 0,
    topics: [{ topic: 'bad', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
  });
  expect(fetched.responses[0]!.partitions[0]!.errorCode).toBe(E.KAFKA_STORAGE_ERROR);
  // Deleting the topic is one way out; mending the file and starting again is the other.
  await rig.storage.deleteTopic('bad');
  await rig.storage.createTopic('bad', { partitions: 1 });
  expect((await client.produce('bad', ['d'])).baseOffset).toBe(0);
  client.close();
  await rig.close();
  rmSync(dir, { recursive: true });
});
