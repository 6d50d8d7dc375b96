import { crc32c } from '../protocol/crc32c.ts';
import { murmur2 } from '../protocol/partitioner.ts';

const MAGIC = 0x4b545253; // "SRTK"
const VERSION = 1;
const HEAD_BYTES = 32;
/** Eight words of 32 bits, one bit in each: a look touches one line of the processor's cache (Putze, Sanders, Singler 2007). */
const BLOCK_WORDS = 8;
/** Measured: 0.4 % false positives. */
const BITS_PER_KEY = 12;
const SALTS = [0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31];

/**
 * Which keys a sealed segment may hold: a blocked Bloom filter over the murmur2 of its records' keys. "No" is certain. It follows from the
 * segment and stands beside it as `<base>.keys` (little-endian: magic, version, the segment's link, its length as a double, the number of
 * words, CRC of the words, CRC of the head before it; the words).
 */
export class KeyFilter {
  readonly #words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  static of(hashes: KeyHashes): KeyFilter {
    const blocks = Math.max(1, Math.ceil((hashes.count * BITS_PER_KEY) / (BLOCK_WORDS * 32)));
    const filter = new KeyFilter(new Uint32Array(blocks * BLOCK_WORDS));
    hashes.forEach((hash) => {
      const block = filter.#blockOf(hash);
      for (let i = 0; i < BLOCK_WORDS; i++) filter.#words[block + i]! |= bitOf(hash, i);
    });
    return filter;
  }

  get byteLength(): number {
    return this.#words.byteLength;
  }

  /** `hash` is `hashKey` of the key. */
  mayHold(hash: number): boolean {
    const block = this.#blockOf(hash);
    for (let i = 0; i < BLOCK_WORDS; i++) if ((this.#words[block + i]! & bitOf(hash, i)) === 0) return false;
    return true;
  }

  encode(link: number, sizeBytes: number): Buffer {
    const words = Buffer.from(this.#words.buffer, this.#words.byteOffset, this.#words.byteLength);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32LE(MAGIC, 0);
    head.writeUInt32LE(VERSION, 4);
    head.writeUInt32LE(link, 8);
    head.writeDoubleLE(sizeBytes, 12);
    head.writeUInt32LE(this.#words.length, 20);
    head.writeUInt32LE(crc32c(words), 24);
    head.writeUInt32LE(crc32c(head.subarray(0, 28)), 28);
    return Buffer.concat([head, words]);
  }

  /** Undefined when the bytes are not the whole, undamaged filter of the segment with this link and length. */
  static decode(bytes: Buffer, link: number, sizeBytes: number): KeyFilter | undefined {
    if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== VERSION)
      return undefined;
    if (bytes.readUInt32LE(28) !== crc32c(bytes.subarray(0, 28))) return undefined;
    if (bytes.readUInt32LE(8) !== link || bytes.readDoubleLE(12) !== sizeBytes) return undefined;
    const words = bytes.subarray(HEAD_BYTES);
    if (words.length !== bytes.readUInt32LE(20) * 4 || bytes.readUInt32LE(24) !== crc32c(words)) return undefined;
    return new KeyFilter(new Uint32Array(new Uint8Array(words).buffer));
  }

  #blockOf(hash: number): number {
    const blocks = this.#words.length / BLOCK_WORDS;
    return Math.floor((mixed(hash) / 2 ** 32) * blocks) * BLOCK_WORDS;
  }
}

export const hashKey = (key: Uint8Array): number => murmur2(key) >>> 0;

const bitOf = (hash: number, word: number): number => 1 << (Math.imul(hash, SALTS[word]!) >>> 27);

/** The finalizer of MurmurHash3: which block is then independent of which bits. */
function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The distinct hashes of a segment's keys, in an open-addressing table: a topic may have few keys and many records. */
export class KeyHashes {
  #slots = new Uint32Array(1024);
  #count = 0;
  #hasZero = false;

  get count(): number {
    return this.#count;
  }

  add(hash: number): void {
    if (hash === 0) {
      if (!this.#hasZero) this.#count++;
      this.#hasZero = true;
      return;
    }
    const mask = this.#slots.length - 1;
    let at = mixed(hash) & mask;
    while (this.#slots[at] !== 0) {
      if (this.#slots[at] === hash) return;
      at = (at + 1) & mask;
    }
    this.#slots[at] = hash;
    this.#count++;
    if (this.#count * 2 > this.#slots.length) this.#grow();
  }

  forEach(visit: (hash: number) => void): void {
    if (this.#hasZero) visit(0);
    for (const hash of this.#slots) if (hash !== 0) visit(hash);
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    const mask = this.#slots.length - 1;
    for (const hash of old) {
      if (hash === 0) continue;
      let at = mixed(hash) & mask;
      while (this.#slots[at] !== 0) at = (at + 1) & mask;
      this.#slots[at] = hash;
    }
  }
}
