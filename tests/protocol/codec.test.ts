import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeConsumerSubscription, encodeConsumerSubscription } from '../../src/protocol/consumer-protocol.ts';
import {
  decodeCoordinatorKey,
  decodeGroupMetadataValue,
  decodeOffsetCommitValue,
  encodeGroupMetadataKey,
  encodeGroupMetadataValue,
  encodeOffsetCommitKey,
  encodeOffsetCommitValue,
} from '../../src/protocol/coordinator-records.ts';
import {
  APIS,
  type ApiName,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  encodeResponseChunks,
} from '../../src/protocol/protocol.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import type { Fields, MessageSchema } from '../../src/protocol/schema.ts';
import { defaultOf, ofFields, versionsOf } from './arbitrary.ts';

const names = Object.keys(APIS) as ApiName[];
test.each(names)('%s: requests and responses of every version come back as they went', (name) => {
  const api = APIS[name];
  for (const version of versionsOf(api.request as MessageSchema)) {
    fc.assert(
      fc.property(ofFields(api.request.fields, version), fc.integer(), fc.option(fc.string()), (body, id, client) => {
        const frame = encodeRequest(name, version, id, client, body as never);
        expect(frame.readInt32BE(0)).toBe(frame.length - 4);
        const request = decodeRequest(frame.subarray(4));
        expect(request).toMatchObject({ api: name, apiVersion: version, correlationId: id, clientId: client });
        expect(request.body).toEqual(body);
      }),
      { numRuns: 10 },
    );
    fc.assert(
      fc.property(ofFields(api.response.fields, version), fc.integer(), (body, id) => {
        const frame = encodeResponse(name, version, id, body as never);
        expect(frame.readInt32BE(0)).toBe(frame.length - 4);
        expect(decodeResponse(name, version, frame.subarray(4))).toEqual({ correlationId: id, body });
      }),
      { numRuns: 10 },
    );
  }
});

test('what is left out takes its default', () => {
  for (const name of names) {
    for (const version of versionsOf(APIS[name].response as MessageSchema)) {
      const { body } = decodeResponse(name, version, encodeResponse(name, version, 1, {}).subarray(4));
      for (const [field, schema] of Object.entries(APIS[name].response.fields as Fields)) {
        expect((body as Record<string, unknown>)[field], `${name}.${field}`).toEqual(defaultOf(schema));
      }
    }
  }
});

test('any bytes give a request or a ProtocolError', () => {
  const valid = names.flatMap((name) =>
    versionsOf(APIS[name].request as MessageSchema).map((version) => {
      const [body] = fc.sample(ofFields(APIS[name].request.fields, version), { numRuns: 1, seed: version });
      return encodeRequest(name, version, 1, 'client', body as never).subarray(4);
    }),
  );
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat())
    .map(([frame, changes, cut]) => {
      const out = Buffer.from(frame);
      for (const [at, value] of changes) out[4 + (at % (out.length - 4))] = value;
      return cut % 2 === 0 ? out.subarray(0, 4 + (cut % (out.length - 3))) : out;
    });
  const random = fc
    .tuple(fc.constantFrom(...valid), fc.uint8Array({ maxLength: 60 }))
    .map(([frame, tail]) => Buffer.concat([frame.subarray(0, 8), tail]));
  fc.assert(
    fc.property(fc.oneof(mutated, random), (frame) => {
      try {
        decodeRequest(frame);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a huge count or length is refused before anything is allocated', () => {
  const frame = encodeRequest('metadata', 1, 1, null, { topics: [] }).subarray(4);
  for (const count of [0x7fffffff, 0x10000000, -2]) {
    frame.writeInt32BE(count, frame.length - 4);
    expect(() => decodeRequest(frame)).toThrow(ProtocolError);
  }
  const many = Buffer.alloc(1 << 20);
  frame.writeInt32BE(1 << 20, frame.length - 4);
  expect(() => decodeRequest(Buffer.concat([frame, many]))).toThrow(ProtocolError);
});

test('an unknown ApiVersions version is recognised without its body being read', () => {
  const frame = Buffer.from([0, 18, 0, 99, 0, 0, 0, 5, 255, 255, 255, 255]);
  expect(decodeRequestHeader(frame)).toMatchObject({ apiKey: 18, apiVersion: 99, correlationId: 5, api: undefined });
  const answer = encodeResponse('apiVersions', 0, 5, {
    errorCode: 35,
    apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
  });
  expect(answer.toString('hex')).toBe('0000001000000005002300000001001200000004');
});

test('ApiVersions answers in header v0 even when its body is flexible', () => {
  const answer = encodeResponse('apiVersions', 3, 7, { apiKeys: [] });
  expect(answer.toString('hex')).toBe('0000000c0000000700000100000000' + '00');
  expect(encodeResponse('heartbeat', 4, 7, {}).toString('hex')).toBe(
    '0000000c' + '00000007' + '00' + '00000000' + '0000' + '00',
  );
});

test('records of a fetch are passed on, not copied', () => {
  const records = Buffer.alloc(100_000, 7);
  const body = { responses: [{ topic: 't', partitions: [{ records: [records, records.subarray(0, 5000)] }] }] };
  for (const version of [4, 11, 12]) {
    const chunks = encodeResponseChunks('fetch', version, 1, body);
    expect(
      chunks.some(
        (chunk) => chunk instanceof Uint8Array && chunk.buffer === records.buffer && chunk.length === records.length,
      ),
    ).toBe(true);
    const all = Buffer.concat(chunks as Buffer[]);
    expect(all.readInt32BE(0)).toBe(all.length - 4);
    const back = decodeResponse('fetch', version, all.subarray(4)).body;
    expect(back.responses[0].partitions[0].records?.length).toBe(105_000);
  }
});

test('an int64 beyond 2^53 is refused', () => {
  const frame = encodeRequest('deleteRecords', 0, 1, null, {
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] }],
  }).subarray(4);
  const at = frame.length - 4 - 8;
  frame.writeBigInt64BE(2n ** 53n, at);
  expect(() => decodeRequest(frame)).toThrow(ProtocolError);
  frame.writeBigInt64BE(-(2n ** 53n) + 1n, at);
  const request = decodeRequest(frame);
  expect(request.api === 'deleteRecords' && request.body.topics[0].partitions[0].offset).toBe(-(2 ** 53) + 1);
});

test('coordinator records come back as they went', () => {
  const key = { group: 'g', topic: 't', partition: 3 };
  expect(decodeCoordinatorKey(encodeOffsetCommitKey(key))).toEqual({ kind: 'offset', ...key });
  expect(decodeCoordinatorKey(encodeGroupMetadataKey({ group: 'g' }))).toEqual({ kind: 'group', group: 'g' });
  expect(decodeCoordinatorKey(Buffer.from([0, 9, 1, 2]))).toEqual({ kind: 'other', type: 9 });
  const offset = { offset: 5, leaderEpoch: 2, metadata: 'm', commitTimestamp: 9 };
  expect(decodeOffsetCommitValue(encodeOffsetCommitValue(offset))).toMatchObject(offset);
  const group = { protocolType: 'consumer', generation: 4, protocol: null, leader: 'a', members: [{ memberId: 'a' }] };
  expect(decodeGroupMetadataValue(encodeGroupMetadataValue(group))).toMatchObject(group);
  expect(() => decodeOffsetCommitValue(Buffer.from([0, 9]))).toThrow(ProtocolError);
  expect(decodeConsumerSubscription(encodeConsumerSubscription(['a', 'b'])).topics).toEqual(['a', 'b']);
});
