import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Connection } from '../../src/broker/connection.ts';
import type { ByteStream } from '../../src/broker/network.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { sendFile, sendsFiles } from '../../src/lib/send-file.ts';
import type { StoredBytes } from '../../src/ports/stored-bytes.ts';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { QUICK, startBroker, WireClient } from './rig.ts';

const directory = mkdtempSync(join(tmpdir(), 'streamline-stored-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A socket that takes `most` bytes of each stored range; everything that leaves is in `out`. */
function connectionOver(most: number): { out: Buffer[]; ask: () => void; isClosed: () => boolean } {
  const out: Buffer[] = [];
  let onData = (_: Buffer): void => {};
  let closed = false;
  const content = Buffer.from('0123456789');
  const stored: StoredBytes = {
    length: 10,
    position: 0,
    fd: () => 1,
    read: (skip) => (most < 0 ? Promise.reject(new Error('gone')) : Promise.resolve(content.subarray(skip))),
  };
  const stream: ByteStream = {
    writableLength: 0,
    on: (event: string, listener: unknown) => {
      if (event === 'data') onData = listener as typeof onData;
    },
    setTimeout: () => {},
    setNoDelay: () => {},
    pause: () => {},
    resume: () => {},
    cork: () => {},
    uncork: () => {},
    write: (chunk) => out.push(chunk),
    destroy: () => {
      closed = true;
    },
    sendStored: () => {
      const sent = Math.max(0, most);
      out.push(content.subarray(0, sent));
      return sent;
    },
  };
  new Connection(stream, {
    serve: async () => [Buffer.from('<'), stored, Buffer.from('>')],
    log: silentLog,
    maxRequestBytes: 1000,
    idleConnectionMs: 1000,
    queued: { used: 0, most: 1000 },
    clock: systemClock,
    advertised: { host: '127.0.0.1', port: 1 },
    onRefused: () => {},
  });
  const request = Buffer.alloc(12);
  request.writeInt32BE(8);
  request.writeInt16BE(1, 4);
  return { out, ask: () => onData(request), isClosed: () => closed };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('an answer with bytes of a file', () => {
  test.each([10, 4, 0])('keeps its order when the socket takes %i of them at once', async (most) => {
    const { out, ask } = connectionOver(most);
    for (let i = 0; i < 3; i++) ask();
    for (let i = 0; i < 4; i++) await settled();
    expect(Buffer.concat(out).toString()).toBe('<0123456789>'.repeat(3));
  });

  test('ends the connection when the file is gone after its length was sent', async () => {
    const { ask, isClosed } = connectionOver(-1);
    ask();
    await settled();
    expect(isClosed()).toBe(true);
  });
});

test('a file goes to a socket as far as that takes it', async () => {
  const path = join(directory, 'file');
  const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
  writeFileSync(path, content);
  readFileSync(path);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  const socket = await accepted;
  const fd = openSync(path, 'r');
  const socketFd = (socket as unknown as { _handle: { fd: number } })._handle.fd;
  const sent = sendFile(socketFd, fd, 1000, 200_000);
  expect(sent > 0).toBe(sendsFiles());
  expect(sendFile(socketFd, fd, content.length, 10)).toBe(0);
  closeSync(fd);
  socket.end();
  const got: Buffer[] = [];
  for await (const chunk of client) got.push(chunk as Buffer);
  expect(Buffer.concat(got).equals(content.subarray(1000, 1000 + sent))).toBe(true);
  server.close();
});

test('records that lie in a segment arrive as they were produced, to quick and to slow clients', async () => {
  const where = { dir: join(directory, 'log') };
  const before = await startBroker(QUICK, where);
  await before.storage.createTopic('t', { partitions: 1 });
  const log = before.storage.partition('t', 0)!;
  for (let i = 0; i < 40; i++) {
    const records = Array.from({ length: 10 }, (_, at) => ({ key: null, value: Buffer.alloc(20_000, i * 10 + at) }));
    log.append(encodeBatch(records));
  }
  await before.storage.flush();
  await before.close();
  // Nothing is in a cache of this process any more.
  const after = await startBroker(QUICK, where);
  const client = await WireClient.connect(after.address);
  const fetchFrom = (fetchOffset: number) => ({
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 64 << 20,
    topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }],
  });
  let offset = 0;
  while (offset < 400) {
    const body = await client.call('fetch', 11, fetchFrom(offset));
    const cursor = new RecordCursor(body.responses[0]!.partitions[0]!.records!);
    const from = offset;
    while (cursor.next()) {
      if (cursor.offset < offset) continue;
      expect(cursor.offset).toBe(offset);
      expect(cursor.value()!.equals(Buffer.alloc(20_000, offset++))).toBe(true);
    }
    expect(offset).toBeGreaterThan(from);
  }
  client.socket.pause();
  for (let i = 0; i < 30; i++) client.send('fetch', 11, fetchFrom((i % 30) * 10));
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.socket.resume();
  for (let i = 0; i < 30; i++) expect((await client.frame()).length).toBeGreaterThan(800_000);
  client.close();
  await after.close();
});
