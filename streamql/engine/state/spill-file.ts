import { closeSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';

/** Where a block stands in the file. */
export interface SpilledBlock {
  readonly at: number;
  readonly bytes: number;
  /** What was set aside for it: a multiple of ROOM_BYTES. */
  readonly room: number;
}

/** Blocks of a column differ little in size, so room in steps finds the next taker soon. */
const ROOM_BYTES = 512;

/**
 * Blocks of state that were put out of memory. The file has no name once it is open, so a crash leaves nothing: state that has to survive is in
 * the checkpoints. Reads and writes are synchronous: whoever needs a block cannot go on without it. STORAGE_FAILED.
 */
export class SpillFile {
  readonly #directory: string;
  #file: number | null = null;
  #end = 0;
  /** Places that blocks have left, by room. */
  readonly #holes = new Map<number, number[]>();
  readonly #live = new Set<SpilledBlock>();
  #liveBytes = 0;
  reads = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get bytes(): number {
    return this.#liveBytes;
  }

  write(content: Buffer): SpilledBlock {
    const room = Math.ceil(content.length / ROOM_BYTES) * ROOM_BYTES;
    const hole = this.#holes.get(room)?.pop();
    const block = { at: hole ?? this.#end, bytes: content.length, room };
    if (hole === undefined) this.#end += room;
    this.#io(() => {
      for (let done = 0; done < content.length; )
        done += writeSync(this.#open(), content, done, content.length - done, block.at + done);
    });
    this.#live.add(block);
    this.#liveBytes += block.bytes;
    return block;
  }

  /** Some of the block's bytes, in an array of their own that begins at a whole word; the block stays where it is. */
  read(block: SpilledBlock, from: number, length: number): Buffer {
    assert(this.#live.has(block), 'a block is read that was let go');
    const content = Buffer.allocUnsafeSlow(length);
    this.#io(() => {
      for (let done = 0; done < length; ) {
        const read = readSync(this.#open(), content, done, length - done, block.at + from + done);
        assert(read > 0, 'the spill file is shorter than its blocks');
        done += read;
      }
    });
    this.reads++;
    return content;
  }

  /** The block is not needed any more. */
  free(block: SpilledBlock): void {
    if (!this.#live.delete(block)) return;
    this.#liveBytes -= block.bytes;
    const holes = this.#holes.get(block.room);
    if (holes === undefined) this.#holes.set(block.room, [block.at]);
    else holes.push(block.at);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
    this.#live.clear();
    this.#liveBytes = 0;
  }

  #open(): number {
    if (this.#file !== null) return this.#file;
    mkdirSync(this.#directory, { recursive: true });
    const path = join(this.#directory, `${process.pid}-${nextName++}.spill`);
    this.#file = openSync(path, 'wx+');
    rmSync(path);
    return this.#file;
  }

  #io(run: () => void): void {
    try {
      run();
    } catch (cause) {
      if (cause instanceof StreamError) throw cause;
      throw new StreamError('STORAGE_FAILED', `state could not be spilled or read back: ${String(cause)}`, { cause });
    }
  }
}

let nextName = 0;
