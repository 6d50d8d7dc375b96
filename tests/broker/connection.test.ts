import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Broker } from '../../src/broker/broker.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { parseHostPort } from '../../src/lib/config-table.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { correlationIdOf, decodeResponse, encodeRequest } from '../../src/protocol/protocol.ts';
import { type BrokerRig, produceBody, QUICK, startBroker, WireClient } from './rig.ts';

let rig: BrokerRig;
let client: WireClient;

beforeEach(async () => {
  rig = await startBroker({ ...QUICK, maxRequestBytes: 1 << 20, maxConnections: 5 });
  client = await WireClient.connect(rig.address);
  await rig.storage.createTopic('t', { partitions: 1 });
});

afterEach(async () => {
  client.close();
  await rig.close();
});

const fetchBody = (maxWaitMs: number) => ({
  maxWaitMs,
  minBytes: 1,
  topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
});

describe('order', () => {
  test('answers leave in the order of the requests although a fetch waits', async () => {
    const ids = [
      client.send('fetch', 4, fetchBody(150)),
      client.send('metadata', 1, { topics: [] }),
      client.send('produce', 9, produceBody('t', ['a'])),
      client.send('apiVersions', 0, {}),
    ];
    for (const id of ids) expect(correlationIdOf(await client.frame())).toBe(id);
  });

  test('pipelined produce requests are appended in order; acks=0 has no answer', async () => {
    const ids: number[] = [];
    for (let i = 0; i < 300; i++) {
      const acks = i % 3 === 0 ? 0 : i % 3 === 1 ? 1 : -1;
      const id = client.send('produce', 9, produceBody('t', [`v${i}`], { acks }));
      if (acks !== 0) ids.push(id);
    }
    let last = -1;
    for (const id of ids) {
      const answer = decodeResponse('produce', 9, await client.frame());
      expect(answer.correlationId).toBe(id);
      const { baseOffset, errorCode } = answer.body.responses[0]!.partitionResponses[0]!;
      expect(errorCode).toBe(0);
      expect(baseOffset).toBeGreaterThan(last);
      last = baseOffset;
    }
    expect(rig.storage.bounds('t', 0).highWatermark).toBe(300);
  });

  test('frames arrive in any pieces', async () => {
    const bytes = Buffer.concat(
      [1, 2, 3].map((id) => encodeRequest('produce', 9, id, 'test', produceBody('t', ['x'.repeat(50 * id)]))),
    );
    for (const size of [1, 3, 7, 64, bytes.length]) {
      for (let at = 0; at < bytes.length; at += size) {
        client.socket.write(bytes.subarray(at, at + size));
        if (size > 1 && at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const id of [1, 2, 3]) expect(correlationIdOf(await client.frame())).toBe(id);
    }
    expect(rig.storage.bounds('t', 0).highWatermark).toBe(15);
  });
});

describe('ApiVersions', () => {
  test('an unknown version is answered in the oldest form, and the connection goes on', async () => {
    const request = encodeRequest('apiVersions', 3, 7, 'test', { clientSoftwareName: 'x', clientSoftwareVersion: '1' });
    request.writeInt16BE(99, 6);
    client.socket.write(request);
    const { correlationId, body } = decodeResponse('apiVersions', 0, await client.frame());
    expect([correlationId, body.errorCode]).toEqual([7, E.UNSUPPORTED_VERSION]);
    expect(body.apiKeys.find(({ apiKey }) => apiKey === 18)).toEqual({ apiKey: 18, minVersion: 0, maxVersion: 4 });
    const known = await client.call('apiVersions', 4, { clientSoftwareName: 'x', clientSoftwareVersion: '1' });
    expect(known.errorCode).toBe(0);
    expect(known.apiKeys.find(({ apiKey }) => apiKey === 0)).toEqual({ apiKey: 0, minVersion: 0, maxVersion: 13 });
  });
});

describe('bad clients lose their connection and nothing else', () => {
  const hostile: Record<string, Buffer> = {
    'a length beyond the limit': Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    'a negative length': Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
    'a length too short for a header': Buffer.from([0, 0, 0, 3, 1, 2, 3]),
    'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    'an unknown API': Buffer.from([0, 0, 0, 8, 0x33, 0x33, 0, 0, 0, 0, 0, 1]),
    'an old produce version': Buffer.from([0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1]),
    'a count beyond the frame': Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]),
  };
  for (const [name, bytes] of Object.entries(hostile)) {
    test(name, async () => {
      const bad = await WireClient.connect(rig.address);
      bad.socket.write(bytes);
      await bad.closed;
      expect(rig.lines.join('')).toContain('connection.refused');
      expect((await client.produce('t', ['still here'])).errorCode).toBe(0);
    });
  }

  test('random bytes inside valid frames', async () => {
    let seed = 42;
    const random = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed;
    };
    for (let round = 0; round < 60; round++) {
      const bad = await WireClient.connect(rig.address);
      const frame = Buffer.from(encodeRequest('produce', 9, 1, 'test', produceBody('t', ['hello'])));
      const from = round % 2 === 0 ? 12 : 4;
      for (let i = 0; i < 1 + (round % 5); i++) frame[from + (random() % (frame.length - from))] = random() & 255;
      bad.socket.write(frame);
      bad.socket.end();
      await bad.closed;
    }
    expect((await client.produce('t', ['still here'])).errorCode).toBe(0);
    expect(rig.lines.filter((line) => line.includes('request.failed'))).toEqual([]);
  });

  test('silent and half-sent connections; too many are closed at once', async () => {
    const silent = await Promise.all([1, 2, 3, 4].map(() => WireClient.connect(rig.address)));
    silent[0]!.socket.write(Buffer.from([0, 0]));
    silent[1]!.socket.write(Buffer.from([0, 0, 0x0f, 0xff, 0, 0]));
    const over = await WireClient.connect(rig.address);
    await over.closed;
    expect(rig.broker.stats().connections).toBe(5);
    expect((await client.produce('t', ['still here'])).errorCode).toBe(0);
    for (const one of silent) one.close();
    await Promise.all(silent.map((one) => one.closed));
  });

  test('acks=0 to a missing topic closes the connection: there is no answer to say it in', async () => {
    const bad = await WireClient.connect(rig.address);
    bad.send('produce', 9, produceBody('missing', ['x'], { acks: 0 }));
    await bad.closed;
  });
});

test('an idle connection is closed, a waiting one is not', async () => {
  const other = await startBroker({ ...QUICK, idleConnectionMs: 60 });
  await other.storage.createTopic('t', { partitions: 1 });
  const idle = await WireClient.connect(other.address);
  const waiting = await WireClient.connect(other.address);
  const began = performance.now();
  waiting.send('fetch', 4, fetchBody(200));
  await idle.closed;
  expect(performance.now() - began).toBeLessThan(190);
  await waiting.frame();
  await other.close();
});

test('an address in use is refused by name', async () => {
  const { host, port } = parseHostPort(rig.address);
  const { storage } = rig;
  const starting = Broker.start({
    storage,
    clock: systemClock,
    log: silentLog,
    listeners: [{ listen: { host, port } }],
  });
  await expect(starting).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining(rig.address),
  });
});

test('closing the broker answers a waiting fetch and ends all connections', async () => {
  client.send('fetch', 4, fetchBody(30_000));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const closing = rig.broker.close();
  await client.frame();
  await closing;
  await client.closed;
});
