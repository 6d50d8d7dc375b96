import type { DurableDisk, DurableFile } from '../ports/disk.ts';
import {
  encodeWalHeader,
  generationOf,
  highestGeneration,
  WAL_RECORD_BYTES,
  type WalEntry,
  type WalRecord,
  walRecords,
} from './wal-record.ts';

const DIRECTORY = 'wal';
/** One is written while the segments of the other one's records are synced. */
const FILES = [`${DIRECTORY}/0`, `${DIRECTORY}/1`] as const;

interface Waiting {
  readonly entry: WalEntry;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export interface WalOptions {
  /** A file is written from its beginning again once this many bytes are in it. */
  readonly fileBytes: number;
  /** Greater than any generation that is in the files. */
  readonly generation: number;
  /** Makes the segments hold durably what was committed before the call. Its failure is the storage's: later commits fail. */
  readonly checkpoint: () => Promise<void>;
}

/**
 * The write-ahead log that all partitions share: a commit is durable after one write to one file, however many partitions it
 * touches. Segments are written beside it without a sync of their own. Files are overwritten in place, so that after the first pass a
 * commit changes no file's size and the file system has nothing else to make durable: 0.25 ms here against 0.4 ms of a growing
 * file. Group commit: what arrives while a write is under way goes out with the next.
 */
export class Wal {
  readonly #disk: DurableDisk;
  readonly #options: WalOptions;
  readonly #files: (DurableFile | undefined)[] = [undefined, undefined];
  /** When each file may be overwritten. */
  readonly #free: Promise<void>[] = [Promise.resolve(), Promise.resolve()];
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #current = 0;
  #generation: number;
  #sequence = 0;
  #position = 0;

  constructor(disk: DurableDisk, options: WalOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#generation = options.generation;
  }

  /**
   * Resolves once the batches are durable; entries become so in the order of the calls. Rejects with the disk's error: nothing is
   * promised then, and a later commit may succeed where there was no space.
   */
  commit(entry: WalEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async close(): Promise<void> {
    await this.#running;
    await Promise.all(this.#free);
    for (const file of this.#files) await file?.close();
  }

  async #run(): Promise<void> {
    // Everything that is committed in this turn of the event loop goes together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const round = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(round);
        for (const { resolve } of round) resolve();
      } catch (error) {
        for (const { reject } of round) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #write(round: readonly Waiting[]): Promise<void> {
    if (this.#position >= this.#options.fileBytes) await this.#turnOver();
    const file = await this.#file();
    const buffers: Buffer[] = [];
    let bytes = 0;
    let sequence = this.#sequence;
    for (const { entry } of round) {
      buffers.push(encodeWalHeader(entry, this.#generation, sequence++), ...entry.batches);
      bytes += WAL_RECORD_BYTES;
      for (const batch of entry.batches) bytes += batch.length;
    }
    await file.overwrite(buffers, this.#position);
    this.#sequence = sequence;
    this.#position += bytes;
  }

  /** Goes on at the beginning of the other file, once nothing in it is needed any more. */
  async #turnOver(): Promise<void> {
    const full = this.#current;
    const next = 1 - full;
    this.#free[full] = this.#options.checkpoint();
    // Awaited when this file is wanted again.
    this.#free[full].catch(() => {});
    await this.#free[next];
    this.#current = next;
    this.#generation++;
    this.#sequence = 0;
    this.#position = 0;
  }

  async #file(): Promise<DurableFile> {
    const known = this.#files[this.#current];
    if (known !== undefined) return known;
    await this.#disk.makeDirectory(DIRECTORY);
    const file = await this.#disk.openDurable(FILES[this.#current]);
    this.#files[this.#current] = file;
    await this.#disk.syncDirectory(DIRECTORY);
    return file;
  }
}

/** What the files hold, oldest first: empty after a clean stop, when nobody needs it. And a generation for new records. */
export async function readWal(
  disk: DurableDisk,
  clean: boolean,
): Promise<{ records: WalRecord[]; nextGeneration: number }> {
  const passes: { generation: number; bytes: Buffer }[] = [];
  const files: Buffer[] = [];
  for (const path of FILES) {
    if (!(await disk.exists(path))) continue;
    const bytes = await disk.readFile(path);
    files.push(bytes);
    const generation = generationOf(bytes);
    if (generation !== undefined) passes.push({ generation, bytes });
  }
  passes.sort((a, b) => a.generation - b.generation);
  const known = passes.at(-1)?.generation ?? 0;
  const nextGeneration = Math.max(known, ...files.map((bytes) => highestGeneration(bytes, known))) + 1;
  const records = clean ? [] : passes.flatMap(({ bytes }) => [...walRecords(bytes)]);
  return { records, nextGeneration };
}
