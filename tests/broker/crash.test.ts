import { expect, test } from 'vitest';
import { RecordCursor } from '../../src/protocol/records.ts';
import { FaultDisk } from '../support/fault-disk.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from './rig.ts';

/** What clients were told before the power went. */
interface Promised {
  readonly values: Map<number, string>;
  committed: number;
  readonly producerIds: Set<number>;
}

async function work(rig: BrokerRig, promised: Promised, isOver: () => boolean): Promise<void> {
  const connecting = await Promise.allSettled([0, 1, 2].map(() => WireClient.connect(rig.address)));
  const clients = connecting.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  if (clients.length < connecting.length) {
    // On a busy machine the power may go before all are connected.
    for (const client of clients) client.close();
    expect(isOver(), 'connections are refused while the broker lives').toBe(true);
    return;
  }
  const [producer, committer, beginner] = clients as [WireClient, WireClient, WireClient];
  const whileOn = async (step: () => Promise<void>): Promise<void> => {
    while (!isOver()) await step();
  };
  let sent = 0;
  await Promise.race([
    Promise.all([
      whileOn(async () => {
        const value = `v${promised.values.size}-${sent++}`;
        const { errorCode, baseOffset } = await producer.produce('t', [value]);
        if (errorCode === 0 && !isOver()) promised.values.set(baseOffset, value);
      }),
      whileOn(async () => {
        const offset = promised.committed + 1;
        const { topics } = await committer.call('offsetCommit', 8, {
          groupId: 'g',
          topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }],
        });
        if (topics[0]!.partitions[0]!.errorCode === 0 && !isOver()) promised.committed = offset;
      }),
      whileOn(async () => {
        const answer = await beginner.call('initProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1 });
        if (isOver() || answer.errorCode !== 0) return;
        expect(promised.producerIds.has(answer.producerId)).toBe(false);
        promised.producerIds.add(answer.producerId);
      }),
    ]),
    Promise.all(clients.map(({ closed }) => closed)),
  ]);
  for (const client of clients) client.close();
}

async function check(rig: BrokerRig, promised: Promised): Promise<void> {
  const client = await WireClient.connect(rig.address);
  const found = new Map<number, string>();
  const { highWatermark } = rig.storage.bounds('t', 0);
  for (let offset = 0; offset < highWatermark; ) {
    const cursor = new RecordCursor(await rig.storage.read('t', 0, offset, 1 << 20));
    while (cursor.next()) found.set(cursor.offset, String(cursor.value()));
    offset = cursor.endOffset;
  }
  for (const [offset, value] of promised.values) expect(found.get(offset)).toBe(value);
  const topics = [{ name: 't', partitionIndexes: [0] }];
  const fetched = await client.call('offsetFetch', 7, { groupId: 'g', topics });
  expect(fetched.topics[0]!.partitions[0]!.committedOffset).toBeGreaterThanOrEqual(promised.committed);
  promised.committed = fetched.topics[0]!.partitions[0]!.committedOffset;
  client.close();
}

test('what was acknowledged before a power loss is there after it: records, offsets, producer ids', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    let disk = new FaultDisk(seed);
    const promised: Promised = { values: new Map(), committed: -1, producerIds: new Set() };
    const least = () => Math.min(promised.values.size, promised.committed, promised.producerIds.size);
    // On a busy machine a life may be too short for anything.
    for (let life = 0; life < 4 || (least() <= 0 && life < 40); life++) {
      const rig = await startBroker(QUICK, { disk });
      if (life === 0) await rig.storage.createTopic('t', { partitions: 1 });
      await check(rig, promised);
      let over = false;
      const working = work(rig, promised, () => over);
      await new Promise((resolve) => setTimeout(resolve, 5 + ((seed * 7 + life * 13) % 30)));
      over = true;
      disk = disk.crash();
      await rig.close().catch(() => {});
      await working;
    }
    expect(least()).toBeGreaterThan(0);
  }
});
