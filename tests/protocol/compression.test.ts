import { gzipSync } from 'node:zlib';
import { compress as zstdCompress } from '@mongodb-js/zstd';
import fc from 'fast-check';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import * as snappyjs from 'snappyjs';
import { expect, test } from 'vitest';
import { CODECS, type CodecName, compress, decompress } from '../../src/protocol/compression.ts';
import { crc32c, crc32cByTable, crc32cImplementation, crc32cOfParts } from '../../src/protocol/crc32c.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { xxhash32 } from '../../src/protocol/xxhash32.ts';

const MOST = 1 << 24;

/** Bytes with repetition in them, so that every kind of match occurs. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 9000 }))
        .map(([unit, times]) => {
          const out = new Uint8Array(unit.length * times);
          for (let i = 0; i < times; i++) out.set(unit, i * unit.length);
          return out;
        }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as CodecName[])('%s: what was packed is unpacked', (codec) => {
  fc.assert(
    fc.property(content, (bytes) => {
      expect(decompress(CODECS[codec], compress(codec, bytes), MOST).equals(bytes)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('frames of other implementations are read, and ours by them', async () => {
  const samples = fc.sample(content, 30);
  for (const bytes of samples) {
    expect(decompress(CODECS.lz4, compressFrameSync(bytes), MOST).equals(bytes)).toBe(true);
    expect(decompressFrameSync(compress('lz4', bytes)).equals(bytes)).toBe(true);
    expect(decompress(CODECS.snappy, snappyjs.compress(bytes), MOST).equals(bytes)).toBe(true);
    expect(decompress(CODECS.zstd, await zstdCompress(bytes, 3), MOST).equals(bytes)).toBe(true);
  }
});

test('more content than allowed is refused', async () => {
  const bomb = Buffer.alloc(1 << 20);
  const packed: [number, Buffer][] = [
    [CODECS.gzip, gzipSync(bomb)],
    [CODECS.snappy, compress('snappy', bomb)],
    [CODECS.snappy, snappyjs.compress(bomb)],
    [CODECS.lz4, compress('lz4', bomb)],
    [CODECS.zstd, await zstdCompress(bomb, 3)],
  ];
  for (const [codec, bytes] of packed) {
    expect(() => decompress(codec, bytes, (1 << 20) - 1), `codec ${codec}`).toThrow(ProtocolError);
    expect(decompress(codec, bytes, 1 << 20).length).toBe(1 << 20);
  }
});

test('any bytes give content or a ProtocolError', async () => {
  const text = Buffer.from('the quick brown fox '.repeat(50));
  const valid = [gzipSync(text), compress('snappy', text), snappyjs.compress(text), compress('lz4', text)];
  valid.push(await zstdCompress(text, 3));
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
    .map(([bytes, changes, cut]) => {
      const out = Buffer.from(bytes);
      for (const [at, value] of changes) out[at % out.length] = value;
      return cut % 3 === 0 ? out.subarray(0, cut % (out.length + 1)) : out;
    });
  fc.assert(
    fc.property(
      fc.oneof(
        mutated,
        fc.uint8Array({ maxLength: 100 }).map((b) => Buffer.from(b)),
      ),
      fc.integer({ min: 0, max: 7 }),
      (bytes, codec) => {
        try {
          expect(decompress(codec, bytes, 1 << 16).length).toBeLessThanOrEqual(1 << 16);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('a zstd frame with a huge window is refused before it is allocated', () => {
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00]);
  expect(() => decompress(CODECS.zstd, frame, MOST)).toThrow(/window/);
});

test('checksums have their published check values and agree with each other', () => {
  expect(crc32cImplementation).toBe('native');
  expect(crc32cByTable(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(xxhash32(Buffer.from(''))).toBe(0x02cc5d05);
  expect(xxhash32(Buffer.from('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
      expect(crc32c(bytes)).toBe(crc32cByTable(bytes));
      const half = bytes.length >> 1;
      expect(crc32cOfParts([bytes.subarray(0, half), bytes.subarray(half)])).toBe(crc32c(bytes));
      expect(crc32cByTable(bytes, half, bytes.length, crc32c(bytes, 0, half))).toBe(crc32c(bytes));
    }),
    { numRuns: 100 },
  );
});
