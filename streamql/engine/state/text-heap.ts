import { isUtf8 } from 'node:buffer';
import { assert } from '../../../src/lib/assert.ts';
import { compareText } from '../../../src/values/compare.ts';
import { grown, type HasArrays, type Visit } from './arrays.ts';
import { mappingOf } from './scratch-files.ts';
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
  /** What has been written is never written again, so columns of batches may refer to it. */
  bytes: Buffer;
  words: Int32Array;
  view: DataView;
  /** Words written so far. */
  used: number;
  /** Bytes of texts that slots still have, each filled up to whole words. */
  live: number;
}

/**
 * Texts by slot, as UTF-8 in chunks of up to 1 MiB that are only appended to. A text that is replaced or dropped leaves dead bytes; when there are more of these than of live
 * ones, the chunks that are a quarter dead are packed in one pass over the slots, which makes O(1) a byte that came. Every stored text is valid UTF-8:
 * what is not (invalid bytes, lone surrogates) has U+FFFD in its place, as decoding would show it.
 */
export class TextHeap implements HasArrays {
  /** Bytes of each slot's text; −1: it has none. */
  lengths = new Int32Array(0);
  /** Bytes of texts. */
  liveBytes = 0;
  /** Where each slot's text is: the chunk's id, then the word in it. */
  #places = new Int32Array(0);
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #freeIds: number[] = [];
  #open: Chunk | null = null;
  /** Bytes written to the chunks. */
  #usedBytes = 0;

  /** Of `liveBytes`, those in memory. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const chunk of this.#chunks)
      if (chunk !== undefined && mappingOf(chunk.words) === undefined) bytes += chunk.live;
    return bytes;
  }

  arrays(visit: Visit): void {
    this.lengths = visit(this.lengths);
    this.#places = visit(this.#places);
    for (const chunk of this.#chunks) {
      if (chunk === undefined) continue;
      const words = visit(chunk.words, true);
      if (words !== chunk.words) Object.assign(chunk, over(words));
    }
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
    chunk.bytes.set(text, chunk.used * 4);
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
      const { bytes } = chunk;
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
    chunk.bytes.write(text, chunk.used * 4, size, 'utf8');
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
    this.liveBytes -= padded;
    if (chunk.live === 0) this.#release(chunk);
    else if (this.#usedBytes > 2 * this.liveBytes + SPARED_BYTES) this.#pack();
  }

  /** The slot has a text. */
  get(slot: number): string {
    const length = this.lengths[slot];
    if (length === 0) return '';
    const start = this.#startOf(slot);
    return this.#chunkOf(slot).bytes.utf8Slice(start, start + length);
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
    const own = this.#chunkOf(slot).bytes;
    const at = this.#startOf(slot);
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return own.compare(Buffer.from(text), 0, undefined, at, at + size) === 0;
      if (own[at + i] !== unit) return false;
    }
    return size === length;
  }

  /** Code point order, which is that of the bytes. */
  compare(slot: number, other: TextHeap, otherSlot: number): number {
    const [a, b] = [this.lengths[slot], other.lengths[otherSlot]];
    if (a === 0 || b === 0) return Math.sign(a - b);
    const { bytes } = this.#chunkOf(slot);
    return compareRanges(bytes, this.#startOf(slot), a, other.#chunkOf(otherSlot).bytes, other.#startOf(otherSlot), b);
  }

  /** The order of the slot's text and `from[start..end)`. */
  compareBytes(slot: number, from: Buffer, start: number, end: number): number {
    // Bytes that are no UTF-8 have the order of what they are decoded to.
    if (!isAscii(from, start, end)) return compareText(this.get(slot), from.utf8Slice(start, end));
    const length = this.lengths[slot];
    if (length === 0) return start === end ? 0 : -1;
    return compareRanges(this.#chunkOf(slot).bytes, this.#startOf(slot), length, from, start, end - start);
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
    if (shared && chunk !== undefined && total * 16 > chunk.bytes.length) {
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

  #chunkOf(slot: number): Chunk {
    return this.#chunks[this.#places[slot] >>> CHUNK_BITS]!;
  }

  /** In the bytes of its chunk, of a text that is not empty. */
  #startOf(slot: number): number {
    return (this.#places[slot] & PLACE_MASK) * 4;
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
    const words = new Int32Array(Buffer.allocUnsafeSlow(length * 4).buffer);
    const chunk: Chunk = { id, ...over(words), used: 0, live: 0 };
    this.#chunks[id] = chunk;
    return chunk;
  }

  /** What was written at the end of the chunk is the slot's text. */
  #take(slot: number, chunk: Chunk, size: number): void {
    this.lengths[slot] = size;
    this.#places[slot] = chunk.id * CHUNK_WORDS + chunk.used;
    const words = (size + 3) >> 2;
    chunk.used += words;
    chunk.live += words * 4;
    this.liveBytes += words * 4;
    this.#usedBytes += words * 4;
  }

  #release(chunk: Chunk): void {
    this.#usedBytes -= chunk.used * 4;
    if (chunk === this.#open) this.#open = null;
    this.#chunks[chunk.id] = undefined;
    this.#freeIds.push(chunk.id);
  }

  /** Moves the live texts of chunks with much that is dead to new ones. */
  #pack(): void {
    const victims = new Map<number, Int32Array>();
    for (const chunk of this.#chunks) {
      if (chunk === undefined || chunk.live > chunk.used * 3) continue;
      if (chunk === this.#open) this.#open = null;
      victims.set(chunk.id, chunk.words);
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
    this.liveBytes -= words * 4;
    this.#take(slot, to, size);
  }

  #hasBytes(slot: number, from: Buffer, view: DataView, start: number, end: number): boolean {
    const size = end - start;
    if (size === 0) return true;
    const chunk = this.#chunkOf(slot);
    const at = this.#places[slot] & PLACE_MASK;
    if (size > LOOP_BYTES) return chunk.bytes.compare(from, start, end, at * 4, at * 4 + size) === 0;
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
    let to = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      const length = lengths[slot];
      starts[i] = to;
      if (length > 0) {
        const chunk = this.#chunks[places[slot] >>> CHUNK_BITS]!;
        copyText(chunk.bytes, chunk.view, (places[slot] & PLACE_MASK) * 4, length, bytes, view, to);
        to += length;
      }
      ends[i] = to;
    }
    return bytes;
  }
}

function over(words: Int32Array): Pick<Chunk, 'bytes' | 'words' | 'view'> {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return { bytes, words, view: viewOf(bytes) };
}

function compareRanges(a: Buffer, start: number, size: number, b: Buffer, other: number, otherSize: number): number {
  const length = Math.min(size, otherSize);
  for (let i = 0; i < length; i++) {
    const x = a[start + i];
    const y = b[other + i];
    if (x !== y) return x < y ? -1 : 1;
  }
  return size === otherSize ? 0 : size < otherSize ? -1 : 1;
}
