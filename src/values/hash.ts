import { intervalMicros } from './interval.ts';
import type { Datum, Interval, SqlType } from './types.ts';

/** 32-bit hashes of values that `equalDatums` calls equal are equal. For hash tables in memory; not stored, not for security. */

/** Finalizer of MurmurHash3: every input bit reaches every output bit. */
export function mix(hash: number): number {
  let h = hash | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const combineHashes = (a: number, b: number): number => (Math.imul(a, 31) + b) | 0;

const doubles = new Float64Array(1);
const words = new Int32Array(doubles.buffer);

export function hashNumber(value: number): number {
  const small = value | 0;
  if (small === value) return mix(small);
  doubles[0] = value === value ? value : Number.NaN;
  return mix(words[0] ^ Math.imul(words[1], 0x9e3779b1));
}

function hashBigInt(value: bigint): number {
  const low = Number(BigInt.asIntN(32, value));
  return mix(low ^ Math.imul(Number(BigInt.asIntN(32, value >> 32n)), 0x9e3779b1));
}

const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over UTF-16 units; a lone surrogate counts as U+FFFD, which it is in UTF-8. Decides on which shard state is: a change would misplace what checkpoints hold. */
export function hashText(text: string): number {
  let h = FNV_START;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdfff) return hashSurrogates(text);
    h = Math.imul(h ^ unit, FNV_PRIME);
  }
  return mix(h);
}

function hashSurrogates(text: string): number {
  let h = FNV_START;
  for (const char of text) {
    const lone = char.length === 1 && char >= '\ud800' && char <= '\udfff';
    for (let i = 0; i < char.length; i++) h = Math.imul(h ^ (lone ? 0xfffd : char.charCodeAt(i)), FNV_PRIME);
  }
  return mix(h);
}

/** The hash of the text that these bytes are. */
export function hashUtf8(bytes: Buffer, start: number, end: number): number {
  let h = FNV_START;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (byte >= 0x80) return hashText(bytes.utf8Slice(start, end));
    h = Math.imul(h ^ byte, FNV_PRIME);
  }
  return mix(h);
}

const NULL_HASH = 0x5bd1e995;

export function hashDatum(datum: Datum, type: SqlType): number {
  if (datum === null) return NULL_HASH;
  switch (typeof datum) {
    case 'number':
      return hashNumber(datum);
    case 'string':
      return hashText(datum);
    case 'bigint':
      return hashBigInt(datum);
    case 'boolean':
      return datum ? 0x3c6ef372 : 0x1b873593;
    default:
      if (type.kind === 'interval') return hashBigInt(intervalMicros(datum as Interval));
      if (type.kind === 'array')
        return (datum as readonly Datum[]).reduce<number>(
          (h, one) => combineHashes(h, hashDatum(one, type.element)),
          17,
        );
      return hashText(Buffer.from(datum as Uint8Array).toString('latin1'));
  }
}
