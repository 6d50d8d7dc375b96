import { isUtf8 } from 'node:buffer';
import { assert } from '../../../src/lib/assert.ts';
import { compareText } from '../../../src/values/compare.ts';
import type { SpilledBlock, SpillFile } from './spill-file.ts';
import { grown } from './state-column.ts';
import { copyText, isAscii, LOOP_BYTES, readWord, viewOf } from './text-words.ts';

/** Words of 4 bytes in a chunk; a text that needs more than a quarter of that has a chunk of its own. */
const CHUNK_BITS = 18;
const CHUNK_WORDS = 1 << CHUNK_BITS;
const PLACE_MASK = CHUNK_WORDS - 1;
const LEAST_CHUNK_WORDS = 64;
/** Place numbers have 32 bits. */
const MOST_CHUNKS = 1 << (32 - CHUNK_BITS);
/** So much may be dead before anything is packed. */
const SPARED_BYTES = 8192;
const MOST_GATHERED = 2 ** 31 - 1;

interface Chunk {
  readonly id: number;
  /** Null while they are out of memory. What has been written is never written again, so columns of batches may refer to it. */
  bytes: Buffer | null;
  words: Int32Array;
  view: DataView;
  /** Words written so far. */
  used: number;
  /** Bytes of texts that slots still have, each filled up to whole words. */
  live: number;
  lastUse: number;
  out: SpilledBlock | null;
}

/**
 * Texts by slot, as UTF-8 in chunks of up to 1 MiB that are only appended to. A text that is replaced or dropped leaves dead bytes; when there are more of these than of live
 * ones, the chunks that are a quarter dead are packed in one pass over the slots, which makes O(1) a byte that came. Chunks can go out of
 * memory; a text there is read from the file alone, and one that is compared with comes back in. Every stored text is valid UTF-8:
 * what is not (invalid bytes, lone surrogates) has U+FFFD in its place, as decoding would show it.
 */
export class TextHeap {
  /** Bytes of each slot's text; −1: it has none. */
  lengths = new Int32Array(0);
  /** Bytes of texts in memory. */
  liveBytes = 0;
  /** Where each slot's text is: the chunk's id, then the word in it. */
  #places = new Int32Array(0);
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #freeIds: number[] = [];
  #open: Chunk | null = null;
  /** Bytes written to the chunks in memory, and what these chunks take. */
  #usedBytes = 0;
  #chunkBytes = 0;
  /** Of the chunks that are out. */
  #outBytes = 0;
  #outLive = 0;
  #file: SpillFile | null = null;
  #now = 0;
  /** What `#find` found. */
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;

  get bytes(): number {
    return this.#places.byteLength + this.lengths.byteLength + this.#chunkBytes;
  }

  ensure(slots: number): void {
    const from = this.lengths.length;
    this.#places = grown(this.#places, slots);
    this.lengths = grown(this.lengths, slots).fill(-1, from);
  }

  /** The slot's text becomes `from[start..end)`; `view` is of the same bytes. */
  put(slot: number, from: Buffer, view: DataView, start: number, end: number): void {
    const size = end - start;
    if (size > LOOP_BYTES) {
      this.#putLong(slot, from.subarray(start, end));
      return;
    }
    this.drop(slot);
    if (size === 0) {
      this.lengths[slot] = 0;
      return;
    }
    const chunk = this.#room(size);
    const at = chunk.used;
    const { words } = chunk;
    const whole = size >> 2;
    let bits = 0;
    for (let i = 0; i < whole; i++) {
      const word = view.getInt32(start + i * 4, true);
      bits |= word;
      words[at + i] = word;
    }
    if ((size & 3) !== 0) {
      const word = readWord(from, start + whole * 4, end);
      bits |= word;
      words[at + whole] = word;
    }
    // Not taken in yet: the place is written over.
    if ((bits & 0x80808080) !== 0 && !isUtf8(from.subarray(start, end)))
      this.putString(slot, from.utf8Slice(start, end));
    else this.#take(slot, chunk, size);
  }

  #putLong(slot: number, text: Buffer): void {
    if (!isUtf8(text)) {
      this.putString(slot, text.toString());
      return;
    }
    this.drop(slot);
    const chunk = this.#room(text.length);
    chunk.words[chunk.used + ((text.length - 1) >> 2)] = 0;
    chunk.bytes!.set(text, chunk.used * 4);
    this.#take(slot, chunk, text.length);
  }

  putString(slot: number, text: string): void {
    this.drop(slot);
    const { length } = text;
    if (length === 0) {
      this.lengths[slot] = 0;
      return;
    }
    if (length <= LOOP_BYTES) {
      const chunk = this.#room(length);
      const at = chunk.used * 4;
      const bytes = chunk.bytes!;
      chunk.words[chunk.used + ((length - 1) >> 2)] = 0;
      let i = 0;
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        bytes[at + i] = unit;
      }
      if (i === length) {
        this.#take(slot, chunk, length);
        return;
      }
    }
    const size = Buffer.byteLength(text);
    const chunk = this.#room(size);
    chunk.words[chunk.used + ((size - 1) >> 2)] = 0;
    chunk.bytes!.write(text, chunk.used * 4, size, 'utf8');
    this.#take(slot, chunk, size);
  }

  drop(slot: number): void {
    const length = this.lengths[slot];
    if (length < 0) return;
    this.lengths[slot] = -1;
    if (length === 0) return;
    const chunk = this.#chunkOf(slot);
    const padded = (length + 3) & ~3;
    chunk.live -= padded;
    if (chunk.bytes === null) this.#outLive -= padded;
    else this.liveBytes -= padded;
    if (chunk.live === 0) this.#release(chunk);
    else if (this.#usedBytes > 2 * this.liveBytes + SPARED_BYTES) this.#pack(false);
    else if (this.#outBytes > 2 * this.#outLive + CHUNK_WORDS * 4) this.#pack(true);
  }

  /** The slot has a text. */
  get(slot: number): string {
    const length = this.lengths[slot];
    if (length === 0) return '';
    this.#find(slot);
    return this.#bytes.utf8Slice(this.#start, this.#start + length);
  }

  /** Whether the slot's text is `from[start..end)`; `view` is of the same bytes. */
  isBytes(slot: number, from: Buffer, view: DataView, start: number, end: number): boolean {
    const size = end - start;
    if (this.lengths[slot] === size && this.#hasBytes(slot, from, view, start, end)) return true;
    return (
      !isAscii(from, start, end) &&
      !isUtf8(from.subarray(start, end)) &&
      this.isString(slot, from.utf8Slice(start, end))
    );
  }

  isString(slot: number, text: string): boolean {
    const size = this.lengths[slot];
    const { length } = text;
    if (size < length) return false;
    if (size === 0) return true;
    this.#bringIn(slot);
    const own = this.#bytes;
    const at = this.#start;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return own.compare(Buffer.from(text), 0, undefined, at, at + size) === 0;
      if (own[at + i] !== unit) return false;
    }
    return size === length;
  }

  /** Code point order, which is that of the bytes. */
  compare(slot: number, other: TextHeap, otherSlot: number): number {
    this.#find(slot);
    const bytes = this.#bytes;
    const start = this.#start;
    other.#find(otherSlot);
    return compareRanges(bytes, start, this.lengths[slot], other.#bytes, other.#start, other.lengths[otherSlot]);
  }

  /** The order of the slot's text and `from[start..end)`. */
  compareBytes(slot: number, from: Buffer, start: number, end: number): number {
    // Bytes that are no UTF-8 have the order of what they are decoded to.
    if (!isAscii(from, start, end)) return compareText(this.get(slot), from.utf8Slice(start, end));
    this.#find(slot);
    return compareRanges(this.#bytes, this.#start, this.lengths[slot], from, start, end - start);
  }

  /**
   * The texts of some slots as ranges: of the chunk itself where one has them all, else of a copy. Null when they are more than one array has
   * room for. A slot without a text has none.
   */
  gather(slots: Int32Array, count: number): { bytes: Buffer; starts: Int32Array; ends: Int32Array } | null {
    const { lengths } = this;
    const places = this.#places;
    let total = 0;
    let only = -1;
    let shared = true;
    for (let i = 0; i < count; i++) {
      const length = lengths[slots[i]];
      if (length <= 0) continue;
      total += length;
      const id = places[slots[i]] >>> CHUNK_BITS;
      if (only < 0) only = id;
      else if (only !== id) shared = false;
    }
    if (total > MOST_GATHERED) return null;
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    const chunk = only < 0 ? undefined : this.#chunks[only];
    // A short text should not keep a chunk.
    if (shared && chunk !== undefined && chunk.bytes !== null && total * 16 > chunk.bytes.length) {
      for (let i = 0; i < count; i++) {
        const length = lengths[slots[i]];
        if (length <= 0) continue;
        starts[i] = (places[slots[i]] & PLACE_MASK) * 4;
        ends[i] = starts[i] + length;
      }
      return { bytes: chunk.bytes, starts, ends };
    }
    return { bytes: this.#copy(slots, count, total, starts, ends), starts, ends };
  }

  /** What is used from here on counts as used later than what was used before. */
  tick(): void {
    this.#now++;
  }

  /** Chunks in memory with something in them, and when each was written to or compared with last. */
  *inMemory(): Iterable<{ readonly chunk: number; readonly used: number; readonly bytes: number }> {
    for (const chunk of this.#chunks) {
      if (chunk !== undefined && chunk.bytes !== null && chunk.live > 0)
        yield { chunk: chunk.id, used: chunk.lastUse, bytes: chunk.live };
    }
  }

  putOut(id: number, file: SpillFile): void {
    assert(this.#file === null || this.#file === file, 'the chunks of a column are in one file');
    this.#file = file;
    const chunk = this.#chunks[id]!;
    if (chunk === this.#open) this.#open = null;
    const written = chunk.used * 4;
    chunk.out = file.write(chunk.bytes!.subarray(0, written));
    this.#chunkBytes -= chunk.bytes!.length;
    this.#usedBytes -= written;
    this.liveBytes -= chunk.live;
    this.#outBytes += written;
    this.#outLive += chunk.live;
    chunk.bytes = null;
    chunk.words = NO_WORDS;
    chunk.view = NO_VIEW;
  }

  #chunkOf(slot: number): Chunk {
    return this.#chunks[this.#places[slot] >>> CHUNK_BITS]!;
  }

  /** A chunk with room for a text of this size at its end. */
  #room(size: number): Chunk {
    const needed = (size + 3) >> 2;
    const open = this.#open;
    if (open !== null && open.used + needed <= open.words.length) return open;
    if (needed > CHUNK_WORDS >> 2) return this.#newChunk(needed);
    if (open !== null && open.live === 0) this.#release(open);
    // As much again as there is, so that small columns stay small.
    const words = Math.min(CHUNK_WORDS, Math.max(LEAST_CHUNK_WORDS, needed * 2, this.liveBytes >> 2));
    this.#open = this.#newChunk(words);
    return this.#open;
  }

  #newChunk(length: number): Chunk {
    const id = this.#freeIds.pop() ?? this.#chunks.length;
    assert(id < MOST_CHUNKS, 'the texts of a column of state are more than 16 GiB');
    const bytes = Buffer.allocUnsafeSlow(length * 4);
    const words = new Int32Array(bytes.buffer, 0, length);
    const chunk: Chunk = { id, bytes, words, view: viewOf(bytes), used: 0, live: 0, lastUse: this.#now, out: null };
    this.#chunks[id] = chunk;
    this.#chunkBytes += bytes.length;
    return chunk;
  }

  /** What was written at the end of the chunk is the slot's text. */
  #take(slot: number, chunk: Chunk, size: number): void {
    this.lengths[slot] = size;
    this.#places[slot] = chunk.id * CHUNK_WORDS + chunk.used;
    const words = (size + 3) >> 2;
    chunk.used += words;
    chunk.live += words * 4;
    chunk.lastUse = this.#now;
    this.liveBytes += words * 4;
    this.#usedBytes += words * 4;
  }

  #release(chunk: Chunk): void {
    if (chunk.out !== null) {
      this.#file!.free(chunk.out);
      this.#outBytes -= chunk.used * 4;
    } else {
      this.#chunkBytes -= chunk.bytes!.length;
      this.#usedBytes -= chunk.used * 4;
      if (chunk === this.#open) this.#open = null;
    }
    this.#chunks[chunk.id] = undefined;
    this.#freeIds.push(chunk.id);
  }

  /** Moves the live texts of chunks with much that is dead to new ones. */
  #pack(out: boolean): void {
    const victims = new Map<number, Int32Array>();
    for (const chunk of this.#chunks) {
      if (chunk === undefined || (chunk.out !== null) !== out || chunk.live > chunk.used * 3) continue;
      if (chunk === this.#open) this.#open = null;
      victims.set(chunk.id, out ? wordsOf(this.#file!.read(chunk.out!, 0, chunk.used * 4)) : chunk.words);
    }
    const { lengths } = this;
    const places = this.#places;
    for (let slot = 0; slot < lengths.length; slot++) {
      const size = lengths[slot];
      if (size <= 0) continue;
      const from = victims.get(places[slot] >>> CHUNK_BITS);
      if (from === undefined) continue;
      this.#move(slot, from, size);
    }
    for (const id of victims.keys()) this.#release(this.#chunks[id]!);
  }

  /** A text of a chunk whose words these are gets a place at the end. */
  #move(slot: number, from: Int32Array, size: number): void {
    const chunk = this.#chunkOf(slot);
    const words = (size + 3) >> 2;
    const at = this.#places[slot] & PLACE_MASK;
    const to = this.#room(size);
    if (words > LOOP_BYTES / 4) to.words.set(from.subarray(at, at + words), to.used);
    else for (let i = 0; i < words; i++) to.words[to.used + i] = from[at + i];
    chunk.live -= words * 4;
    if (chunk.out === null) this.liveBytes -= words * 4;
    else this.#outLive -= words * 4;
    this.#take(slot, to, size);
  }

  /** Sets `#bytes` and `#start` to where the slot's text is; it may be a copy of what is out of memory. */
  #find(slot: number): void {
    const chunk = this.#chunkOf(slot);
    const at = (this.#places[slot] & PLACE_MASK) * 4;
    if (this.lengths[slot] > 0 && chunk.bytes === null) {
      this.#bytes = this.#file!.read(chunk.out!, at, this.lengths[slot]);
      this.#start = 0;
    } else if (this.lengths[slot] > 0) {
      this.#bytes = chunk.bytes!;
      this.#start = at;
    }
  }

  /** As `#find`; a text that is out comes into memory for good. It is not empty. Answers with its chunk. */
  #bringIn(slot: number): Chunk {
    let chunk = this.#chunkOf(slot);
    if (chunk.bytes === null) {
      const size = this.lengths[slot];
      const place = this.#places[slot] & PLACE_MASK;
      const padded = (size + 3) & ~3;
      const words = wordsOf(this.#file!.read(chunk.out!, place * 4, padded));
      const to = this.#room(size);
      to.words.set(words, to.used);
      chunk.live -= padded;
      this.#outLive -= padded;
      this.#take(slot, to, size);
      if (chunk.live === 0) this.#release(chunk);
      chunk = to;
    }
    chunk.lastUse = this.#now;
    this.#bytes = chunk.bytes!;
    this.#start = (this.#places[slot] & PLACE_MASK) * 4;
    return chunk;
  }

  #hasBytes(slot: number, from: Buffer, view: DataView, start: number, end: number): boolean {
    const size = end - start;
    if (size === 0) return true;
    let chunk = this.#chunkOf(slot);
    if (chunk.bytes === null) chunk = this.#bringIn(slot);
    else chunk.lastUse = this.#now;
    const at = this.#places[slot] & PLACE_MASK;
    if (size > LOOP_BYTES) return chunk.bytes!.compare(from, start, end, at * 4, at * 4 + size) === 0;
    const { words } = chunk;
    const whole = size >> 2;
    for (let i = 0; i < whole; i++) if (view.getInt32(start + i * 4, true) !== words[at + i]) return false;
    return (size & 3) === 0 || readWord(from, start + whole * 4, end) === words[at + whole];
  }

  /** End to end. */
  #copy(slots: Int32Array, count: number, total: number, starts: Int32Array, ends: Int32Array): Buffer {
    const { lengths } = this;
    const places = this.#places;
    const bytes = Buffer.allocUnsafe(total);
    const view = viewOf(bytes);
    const read = this.#outBytes > 0 ? this.#readMany(slots, count) : null;
    let to = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      const length = lengths[slot];
      starts[i] = to;
      if (length > 0) {
        const chunk = this.#chunks[places[slot] >>> CHUNK_BITS]!;
        const at = (places[slot] & PLACE_MASK) * 4;
        if (chunk.bytes !== null) copyText(chunk.bytes, chunk.view, at, length, bytes, view, to);
        else {
          const whole = read?.get(chunk.id);
          if (whole !== undefined) whole.copy(bytes, to, at, at + length);
          else this.#file!.read(chunk.out!, at, length).copy(bytes, to);
        }
        to += length;
      }
      ends[i] = to;
    }
    return bytes;
  }

  /** Chunks that are out and of which much is wanted, whole. */
  #readMany(slots: Int32Array, count: number): ReadonlyMap<number, Buffer> {
    const wanted = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      if (this.lengths[slots[i]] <= 0) continue;
      const { id, bytes } = this.#chunkOf(slots[i]);
      if (bytes === null) wanted.set(id, (wanted.get(id) ?? 0) + this.lengths[slots[i]]);
    }
    const read = new Map<number, Buffer>();
    for (const [id, bytes] of wanted) {
      const { out, used } = this.#chunks[id]!;
      if (bytes * 4 > used) read.set(id, this.#file!.read(out!, 0, used * 4));
    }
    return read;
  }
}

const NO_WORDS = new Int32Array(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

const wordsOf = (bytes: Buffer): Int32Array => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);

function compareRanges(a: Buffer, start: number, size: number, b: Buffer, other: number, otherSize: number): number {
  const length = Math.min(size, otherSize);
  for (let i = 0; i < length; i++) {
    const x = a[start + i];
    const y = b[other + i];
    if (x !== y) return x < y ? -1 : 1;
  }
  return size === otherSize ? 0 : size < otherSize ? -1 : 1;
}
