import { randomBytes } from 'node:crypto';
import { StreamError } from '../lib/errors.ts';
import type { Disk } from '../ports/disk.ts';
import { decodeChecked, encodeChecked } from './checked-file.ts';

const FILE = 'metadata';
const VERSION = 1;

export interface TopicRow {
  readonly name: string;
  /** UUID text. */
  readonly id: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface Metadata {
  /** 22 characters, a UUID in base64url, as Kafka's. */
  readonly clusterId: string;
  /** Of every partition; one more after each unclean start. */
  readonly leaderEpoch: number;
  readonly topics: readonly TopicRow[];
  /** Directories of topics whose deletion is decided but perhaps not finished. */
  readonly deleting: readonly string[];
}

/** The control file of a data directory: which topics there are. Replaced whole and durably at each change, one at a time. */
export class MetadataFile {
  readonly #disk: Disk;
  #current: Metadata;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, current: Metadata) {
    this.#disk = disk;
    this.#current = current;
  }

  /** STORAGE_FAILED when it is damaged or of another version: without it nobody knows whose the data is. */
  static async open(disk: Disk): Promise<MetadataFile> {
    if (await disk.exists(FILE)) {
      const body = decodeChecked('metadata', VERSION, await disk.readFile(FILE), FILE);
      return new MetadataFile(disk, JSON.parse(body) as Metadata);
    }
    if ((await disk.list('topics')).length > 0) {
      throw new StreamError('STORAGE_FAILED', 'the metadata file is missing beside existing topics', {
        hint: 'restore the file "metadata" of the data directory from a copy',
      });
    }
    const fresh = { clusterId: newClusterId(), leaderEpoch: 0, topics: [], deleting: [] };
    const file = new MetadataFile(disk, fresh);
    await file.change((metadata) => metadata);
    return file;
  }

  get current(): Metadata {
    return this.#current;
  }

  /** Applies one change to what all changes before it left; durable when it resolves. Nothing changes when `edit` throws or the disk fails. */
  change(edit: (metadata: Metadata) => Metadata): Promise<void> {
    const done = this.#last.then(async () => {
      const next = edit(this.#current);
      try {
        await this.#disk.replaceFile(FILE, encodeChecked('metadata', VERSION, `${JSON.stringify(next, null, 1)}\n`));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new StreamError('STORAGE_FAILED', `the topic metadata could not be written: ${reason}`, { cause: error });
      }
      this.#current = next;
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

function newClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    // Kafka avoids ids that command lines would take for an option.
    if (!id.startsWith('-')) return id;
  }
}
