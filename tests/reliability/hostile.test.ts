import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHostPort } from '../../src/lib/config-table.ts';
import { APIS, type ApiName, encodeRequest } from '../../src/protocol/protocol.ts';
import type { MessageSchema } from '../../src/protocol/schema.ts';
import { type BrokerRig, produceBody, QUICK, startBroker, WireClient } from '../broker/rig.ts';
import { ofFields, versionsOf } from '../protocol/arbitrary.ts';
import { seededRandom } from '../support/fault-disk.ts';
import { ServerProcess } from '../support/process.ts';

/** Frames that nobody should send: HOSTILE_RUNS=20000 is a long run, HOSTILE_SEED=n begins elsewhere. */
const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 2000);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 1);
const NAMES = Object.keys(APIS) as ApiName[];

/** A socket that says when it is closed and counts what it was given. */
function open(address: string): { socket: Socket; closed: Promise<void>; isClosed: () => boolean } {
  const socket = connect({ ...parseHostPort(address), noDelay: true });
  let over = false;
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      over = true;
      resolve();
    });
  });
  socket.on('error', () => {});
  socket.resume();
  return { socket, closed, isClosed: () => over };
}

const soon = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds: () => boolean): Promise<void> {
  for (let wait = 0; wait < 200 && !holds(); wait++) await soon(20);
  expect(holds()).toBe(true);
}

async function servesOthers(rig: BrokerRig, witness: WireClient): Promise<void> {
  const { errorCode } = await witness.produce('witness', ['still here']);
  expect(errorCode).toBe(0);
  expect(rig.lines.filter((line) => line.includes('request.failed'))).toEqual([]);
}

test(`random and mutated requests of every API (${RUNS} from seed ${SEED}): an answer or a closed connection, others unaffected`, async () => {
  const rig = await startBroker({ ...QUICK, maxRequestBytes: 1 << 20 });
  await rig.storage.createTopic('witness', { partitions: 1 });
  await rig.storage.createTopic('t', { partitions: 2 });
  const witness = await WireClient.connect(rig.address);
  const random = seededRandom(SEED);
  const below = (most: number): number => Math.floor(random() * most);
  for (let run = 0; run < RUNS; run++) {
    const name = NAMES[below(NAMES.length)]!;
    const versions = versionsOf(APIS[name].request as MessageSchema);
    const version = versions[below(versions.length)]!;
    const [body] = fc.sample(ofFields(APIS[name].request.fields, version), {
      numRuns: 1,
      seed: SEED * 1_000_003 + run,
    });
    const frame = encodeRequest(name, version, run, 'hostile', body as never);
    // A third as it is: well formed, with values that make no sense.
    const changes = run % 3 === 0 ? 0 : 1 + below(4);
    for (let change = 0; change < changes; change++) {
      const at = 8 + below(frame.length - 8);
      frame[at] = random() < 0.3 ? 0xff : below(256);
    }
    const { socket, closed } = open(rig.address);
    for (let at = 0; at < frame.length; ) {
      const size = random() < 0.8 ? frame.length : 1 + below(frame.length);
      socket.write(frame.subarray(at, at + size));
      at += size;
    }
    // No more comes: the broker answers or refuses, then sees the end.
    socket.end();
    await Promise.race([closed, soon(200)]);
    socket.destroy();
    if (run % 50 === 0) await servesOthers(rig, witness);
  }
  await servesOthers(rig, witness);
  witness.close();
  await rig.close();
}, 120_000);

test('requests that wait on all connections together are bounded', async () => {
  const rig = await startBroker({ ...QUICK, queuedMaxRequestBytes: 4 << 20 });
  await rig.storage.createTopic('witness', { partitions: 1 });
  const witness = await WireClient.connect(rig.address);
  const head = Buffer.alloc(4);
  head.writeInt32BE(90 << 20);
  const chunk = Buffer.alloc(3 << 19);
  const greedy = Array.from({ length: 5 }, () => open(rig.address));
  for (const { socket } of greedy) {
    socket.write(head);
    socket.write(chunk);
  }
  await until(() => greedy.filter(({ isClosed }) => isClosed()).length >= 2);
  expect(rig.lines.join('')).toContain('bytes of requests wait on all connections');
  await servesOthers(rig, witness);
  for (const { socket, closed } of greedy) {
    socket.destroy();
    await closed;
  }
  await until(() => rig.broker.stats().connections === 1);
  // What they held is free again.
  const large = await witness.call(
    'produce',
    9,
    produceBody(
      'witness',
      Array.from({ length: 900 }, () => 'x'.repeat(1000)),
    ),
  );
  expect(large.responses[0]!.partitionResponses[0]!.errorCode).toBe(0);
  witness.close();
  await rig.close();
});

test('connections from one address are bounded', async () => {
  const rig = await startBroker({ ...QUICK, maxConnectionsPerIp: 3 });
  const kept = await Promise.all([0, 1, 2].map(() => WireClient.connect(rig.address)));
  const more = open(rig.address);
  await more.closed;
  expect(rig.lines.join('')).toContain('3 are open from there');
  kept[0]!.close();
  await until(() => rig.broker.stats().connections === 2);
  const again = await WireClient.connect(rig.address);
  expect((await again.call('apiVersions', 0, {})).errorCode).toBe(0);
  for (const client of [...kept, again]) client.close();
  await rig.close();
});

test('a request of millions of tiny elements costs its own bytes and not a hundred times as much', async () => {
  const server = await ServerProcess.start(null);
  const rssMb = (): number =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  const count = 15_000_000;
  const empty = encodeRequest('joinGroup', 9, 1, 'x', {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 1000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [],
  });
  // In place of no protocols that many: an empty name, no metadata, no tags. Then reason and tags as before.
  const protocols = Buffer.alloc(count * 3, Buffer.from([1, 1, 0]));
  const frame = Buffer.concat([empty.subarray(0, -3), uvarint(count + 1), protocols, empty.subarray(-2)]);
  frame.writeInt32BE(frame.length - 4);
  const { socket, closed } = open(server.kafka);
  socket.write(frame);
  await closed;
  expect(server.stderr.join('')).toContain('array elements');
  if (process.platform === 'linux') expect(rssMb()).toBeLessThan(500);
  const client = await WireClient.connect(server.kafka);
  expect((await client.call('apiVersions', 0, {})).errorCode).toBe(0);
  client.close();
  await server.kill();
}, 60_000);

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}
