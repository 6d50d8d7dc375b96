import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import {
  blank,
  type MappedRange,
  mapFile,
  pageOut,
  reserve,
  residentBytes,
  UNIT_BYTES,
  unmap,
} from '../../../src/lib/memory-map.ts';
import type { StateArray, Visit } from './arrays.ts';

/** A page. */
const LEAST_BYTES = 4 << 10;
/** An array that finds no room when it grows may be so large in memory until the view pauses. */
const MOST_FOR_NOW = 64 << 20;
/** When more is in memory than there should be, it is brought down to this part of that. */
const BROUGHT_TO = 0.75;

/**
 * The state of a view in files: each array that is moved here lies in a file of its own that is mapped into memory, so whoever uses it does as before, and the
 * kernel reads and writes pages. The files have no names, so a crash leaves nothing: what has to survive is in the checkpoints.
 *
 * A mapping goes when the garbage collector has found that nothing can read it any more.
 */
export class ScratchFiles {
  readonly #directory: string;
  readonly #leastBytes: number;
  readonly #ranges = new Set<Mapping>();
  /** Where the next pages are taken out: bytes into all ranges. */
  #hand = 0;
  #moved = 0;

  /** Arrays of fewer than `leastBytes` stay where they are. */
  constructor(directory: string, leastBytes = LEAST_BYTES) {
    this.#directory = directory;
    this.#leastBytes = leastBytes;
  }

  /** Puts an array here if it is large enough and not here yet. STORAGE_FAILED, and nothing has happened, where there is no room. */
  readonly take: Visit = (array, isText = false) => {
    if (array.byteLength < this.#leastBytes || mappingOf(array) !== undefined) return array;
    const copy = this.#make(array, array.length, isText);
    copy.set(array as Uint8Array & Int32Array & Float64Array);
    this.#moved += array.byteLength;
    return copy;
  };

  /** Bytes that `take` moved since this was asked last. */
  moved(): number {
    const moved = this.#moved;
    this.#moved = 0;
    return moved;
  }

  /** Takes pages out of memory until about this much is in it, in turn: what is used comes back soon, what is not stays out. */
  keepWithin(bytes: number): void {
    const ranges = [...this.#ranges].map(({ range }) => range);
    const total = ranges.reduce((sum, range) => sum + range.bytes, 0);
    if (total <= bytes) return;
    const resident = residentBytes(ranges);
    if (resident <= bytes) return;
    let left = Math.min(total, total * (1 - (Math.max(0, bytes) * BROUGHT_TO) / resident));
    let at = this.#hand % total;
    this.#hand = at + left;
    // Twice round, for the hand may stand in the middle of the last.
    for (const range of [...ranges, ...ranges]) {
      if (at >= range.bytes) {
        at -= range.bytes;
        continue;
      }
      const from = at - (at % UNIT_BYTES);
      const size = Math.min(range.bytes - from, Math.ceil(left / UNIT_BYTES) * UNIT_BYTES);
      pageOut(range, from, size);
      at = 0;
      left -= size;
      if (left <= 0) return;
    }
  }

  /** The state is used no more: gives back disk and memory, but for what batches may still read. */
  close(): void {
    for (const mapping of this.#ranges) mapping.close();
  }

  #make<T extends StateArray>(like: T, length: number, isText: boolean): T {
    const fd = this.#open();
    return mapped(like, length, { fd, from: 0, isText, files: this });
  }

  another<T extends StateArray>(like: T, length: number): T {
    return this.#make(like, length, false);
  }

  has(mapping: Mapping): void {
    this.#ranges.add(mapping);
  }

  lost(mapping: Mapping): void {
    this.#ranges.delete(mapping);
  }

  #open(): number {
    const path = join(this.#directory, `${process.pid}-${nextName++}.spill`);
    try {
      mkdirSync(this.#directory, { recursive: true });
      const fd = openSync(path, 'wx+');
      rmSync(path);
      return fd;
    } catch (cause) {
      throw failed(cause);
    }
  }
}

let nextName = 0;

/** One array's file, as mapped when the array was made. */
class Mapping {
  readonly range: MappedRange;
  readonly #isText: boolean;
  readonly #files: ScratchFiles;
  /** Open while the array can grow. */
  #fd: number | null;

  constructor(range: MappedRange, fd: number | null, isText: boolean, files: ScratchFiles) {
    this.range = range;
    this.#fd = fd;
    this.#isText = isText;
    this.#files = files;
    files.has(this);
  }

  /** The same file, longer, mapped once more: nothing is copied, and both arrays show the same. STORAGE_FAILED. */
  grown<T extends StateArray>(array: T, length: number): T {
    const fd = this.#fd;
    assert(fd !== null, 'an array of state grows that has no file');
    let bigger: T;
    try {
      bigger = mapped(array, length, { fd, from: this.range.bytes, isText: false, files: this.#files });
    } catch (thrown) {
      const copy = forNow(array, length, thrown);
      copy.set(array as Uint8Array & Int32Array & Float64Array);
      return copy;
    }
    this.#fd = null;
    pageOut(this.range, 0, this.range.bytes);
    return bigger;
  }

  replaced<T extends StateArray>(array: T, length: number): T {
    try {
      return this.#files.another(array, length);
    } catch (thrown) {
      return forNow(array, length, thrown);
    }
  }

  close(): void {
    if (this.#isText) return;
    blank(this.range);
    this.#closeFile();
  }

  /** No array shows it any more. */
  collected(): void {
    unmap(this.range);
    this.#closeFile();
    this.#files.lost(this);
  }

  #closeFile(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

/** In memory, where there is no room for a file: the view pauses when it is tried again, between epochs. Rather than take a lot of memory it fails. */
function forNow<T extends StateArray>(like: T, length: number, thrown: unknown): T {
  if (length * like.BYTES_PER_ELEMENT > MOST_FOR_NOW) throw thrown;
  return new (like.constructor as new (length: number) => T)(length);
}

const mappings = new WeakMap<ArrayBufferLike, Mapping>();
const collected = new FinalizationRegistry<Mapping>((mapping) => mapping.collected());

/** Undefined for an array in memory. */
export const mappingOf = ({ buffer }: StateArray): Mapping | undefined => mappings.get(buffer);

/** An array over the file, which has `from` bytes already. */
function mapped<T extends StateArray>(
  like: T,
  length: number,
  { fd, from, isText, files }: { fd: number; from: number; isText: boolean; files: ScratchFiles },
): T {
  const needed = length * like.BYTES_PER_ELEMENT;
  const bytes = Math.ceil(needed / UNIT_BYTES) * UNIT_BYTES;
  try {
    if (bytes > from) reserve(fd, from, bytes - from);
    const { range, buffer } = mapFile(fd, bytes);
    const mapping = new Mapping(range, isText ? null : fd, isText, files);
    mappings.set(buffer, mapping);
    collected.register(buffer, mapping);
    if (isText) closeSync(fd);
    return new (like.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => T)(buffer, 0, length);
  } catch (cause) {
    if (from === 0) closeSync(fd);
    throw failed(cause);
  }
}

function failed(cause: unknown): StreamError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StreamError(
    'STORAGE_FAILED',
    `state could not be put into a file of spill/ in the data directory: ${reason}`,
    {
      cause,
      hint: 'make room on the disk of the data directory; RESUME MATERIALIZED VIEW … then goes on',
    },
  );
}
