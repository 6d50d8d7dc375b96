import type { Datum } from '../../../src/values/types.ts';
import type { SpilledBlock, SpillFile } from './spill-file.ts';

/** Slots of one block. */
const BLOCK_BITS = 6;
const BLOCK_SLOTS = 1 << BLOCK_BITS;

/**
 * Puts blocks of a column's texts out of memory and back. What the column holds for a slot whose block is out is null; a block that is written to, or compared
 * with, comes in for good; one that is only read stays out.
 */
export class TextPages {
  readonly #file: SpillFile;
  readonly #values: Datum[];
  readonly #weigh: (texts: number) => void;
  readonly #bytesOf: (datum: Datum | undefined) => number;
  /** By block: where it is while it is out. */
  readonly #out: (SpilledBlock | undefined)[] = [];
  /** By block: when it came in or was put into last. */
  readonly #used: number[] = [];
  #now = 0;
  outCount = 0;

  /** `weigh` is told how the bytes of texts in memory change. */
  constructor(
    file: SpillFile,
    values: Datum[],
    bytesOf: (datum: Datum | undefined) => number,
    weigh: (bytes: number) => void,
  ) {
    this.#file = file;
    this.#values = values;
    this.#bytesOf = bytesOf;
    this.#weigh = weigh;
  }

  get(slot: number): Datum {
    const block = this.#out[slot >> BLOCK_BITS];
    return block === undefined ? this.#values[slot] : (this.#file.read(block)[slot & (BLOCK_SLOTS - 1)] ?? null);
  }

  /** The slot's block is in memory from here on, to be written to. */
  bringIn(slot: number): void {
    const index = slot >> BLOCK_BITS;
    this.#used[index] = ++this.#now;
    const block = this.#out[index];
    if (block === undefined) return;
    const texts = this.#file.read(block);
    const from = index << BLOCK_BITS;
    let bytes = 0;
    for (let i = 0; i < texts.length; i++) {
      this.#values[from + i] = texts[i];
      bytes += this.#bytesOf(texts[i]);
    }
    this.#out[index] = undefined;
    this.outCount--;
    this.#file.free(block);
    this.#weigh(bytes);
  }

  /** Blocks in memory with something in them, and when each was used last. */
  *inMemory(): Iterable<{ readonly block: number; readonly used: number; readonly bytes: number }> {
    for (let block = 0; block << BLOCK_BITS < this.#values.length; block++) {
      if (this.#out[block] !== undefined) continue;
      let bytes = 0;
      const end = Math.min(this.#values.length, (block + 1) << BLOCK_BITS);
      for (let slot = block << BLOCK_BITS; slot < end; slot++) bytes += this.#bytesOf(this.#values[slot]);
      if (bytes > 0) yield { block, used: this.#used[block] ?? 0, bytes };
    }
  }

  putOut(block: number): void {
    const from = block << BLOCK_BITS;
    const texts = this.#values.slice(from, from + BLOCK_SLOTS);
    this.#out[block] = this.#file.write(texts);
    this.outCount++;
    let bytes = 0;
    for (let i = 0; i < texts.length; i++) {
      bytes += this.#bytesOf(texts[i]);
      this.#values[from + i] = null;
    }
    this.#weigh(-bytes);
  }

  close(): void {
    for (const block of this.#out) if (block !== undefined) this.#file.free(block);
  }
}
