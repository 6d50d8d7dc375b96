import { intervalMicros } from '../../src/values/interval.ts';
import { datumToText } from '../../src/values/text.ts';
import type { Datum, Interval, SqlType } from '../../src/values/types.ts';

/**
 * Two sketches that can take rows back, since both keep counts. Each is a mapping of a value to one of few integers, done before the
 * aggregate, and an aggregate over those integers: HyperLogLog cells (register, rank) and logarithmic buckets (DDSketch).
 * The hashes are part of stored state: they must never change.
 */

const REGISTER_BITS = 12;
const REGISTERS = 1 << REGISTER_BITS;
const RANKS = 64;

/** MurmurHash3's 32-bit variant. */
export function murmur3(bytes: Uint8Array, seed: number): number {
  let h = seed;
  const blocks = bytes.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    const k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    h ^= scramble(k);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let k = 0;
  for (let i = bytes.length - 1; i >= blocks; i--) k = (k << 8) | bytes[i];
  if (blocks < bytes.length) h ^= scramble(k);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

/** The same bytes for values that are equal. */
export function bytesOf(datum: Exclude<Datum, null>, type: SqlType): Uint8Array {
  if (datum instanceof Uint8Array) return datum;
  if (type.kind === 'interval') return Buffer.from(String(intervalMicros(datum as Interval)));
  return Buffer.from(datum === 0 ? '0' : datumToText(datum, type));
}

/** The cell of a value: register × 64 + rank, the rank of 52 bits. */
export function hllCell(datum: Exclude<Datum, null>, type: SqlType): number {
  const bytes = bytesOf(datum, type);
  const first = murmur3(bytes, 0x5eed1234);
  const second = murmur3(bytes, 0x0badcafe);
  const rest = first >>> REGISTER_BITS;
  // 20 bits of the first hash, then 32 of the second.
  const rank = rest !== 0 ? Math.clz32(rest) - 11 : Math.clz32(second) + 21;
  return (first & (REGISTERS - 1)) * RANKS + rank;
}

/** The number of different values from the cells they fell into, in any order. Standard error 1.6 %. */
export function hllEstimate(cells: Iterable<number>): number {
  const ranks = new Uint8Array(REGISTERS);
  for (const cell of cells) {
    const register = Math.floor(cell / RANKS);
    ranks[register] = Math.max(ranks[register], cell % RANKS);
  }
  let sum = 0;
  let empty = 0;
  for (const rank of ranks) {
    sum += 2 ** -rank;
    if (rank === 0) empty++;
  }
  const raw = (0.7213 / (1 + 1.079 / REGISTERS)) * ((REGISTERS * REGISTERS) / sum);
  const linear = raw <= 2.5 * REGISTERS && empty > 0;
  return Math.round(linear ? REGISTERS * Math.log(REGISTERS / empty) : raw);
}

/** Bounds of a bucket differ by this factor: every value of a bucket is within 1 % of its middle. */
const GAMMA = 1.01 / 0.99;
const LOG_GAMMA = Math.log(GAMMA);
/** Makes the bucket numbers of all doubles positive. */
const OFFSET = 50_000;
const INFINITE = 1 << 20;
const NOT_A_NUMBER = 1 << 21;

/** Ascending with the value; 0 for 0. */
export function sketchBucket(value: number): number {
  if (Number.isNaN(value)) return NOT_A_NUMBER;
  if (value === 0) return 0;
  const size = Number.isFinite(value) ? Math.ceil(Math.log(Math.abs(value)) / LOG_GAMMA) + OFFSET : INFINITE;
  return value < 0 ? -size : size;
}

/** The middle of a bucket. */
export function bucketValue(bucket: number): number {
  if (bucket === NOT_A_NUMBER) return Number.NaN;
  if (bucket === 0) return 0;
  const size = Math.abs(bucket);
  const value =
    size === INFINITE
      ? Number.POSITIVE_INFINITY
      : Math.min(Number.MAX_VALUE, (2 * Math.exp((size - OFFSET) * LOG_GAMMA)) / (GAMMA + 1));
  return bucket < 0 ? -value : value;
}
