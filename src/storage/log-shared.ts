import type { Clock } from '../lib/clock.ts';
import { StreamError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Disk } from '../ports/disk.ts';
import type { KeyRing } from './encryption.ts';
import type { LogWriter } from './log-writer.ts';
import { OpenSegments } from './segment.ts';
import { TailCacheBudget } from './tail-cache.ts';
import type { Wal } from './wal.ts';

/**
 * Syncs that run at the same time. libuv has four threads for all file work: this leaves some for reads and writes. While
 * a partition waits here its appends gather, so a crowd of dirty partitions commits in ever larger groups.
 */
const CONCURRENT_SYNCS = 3;
/** Sealed segments that keep their file and index at hand. */
const OPEN_SEALED_SEGMENTS = 256;

export interface LogLimits {
  /** Recently appended bytes kept in memory for consumers who keep up, all partitions together. */
  readonly tailCacheBytes: number;
  /** Appended bytes that wait for the disk, all partitions together; beyond it appends are refused with KAFKA_STORAGE_ERROR. */
  readonly pendingBytes: number;
}

/** What the logs of one data directory have in common. */
export class LogShared {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: LogLimits;
  readonly cache: TailCacheBudget;
  /** For topics that are encrypted at rest. */
  readonly keys: KeyRing | undefined;
  readonly openSegments = new OpenSegments(OPEN_SEALED_SEGMENTS);
  pendingBytes = 0;
  /** Where commits of all partitions become durable; without it (in memory, or before the logs are open) each syncs its own segment. */
  wal: Wal | undefined;
  /** Logs with records that are durable in the write-ahead log only. */
  readonly unsynced = new Set<LogWriter>();
  /**
   * While starting after a failed sync: what a file shows may be in the kernel's cache only, counted as clean, so that a sync
   * would succeed and prove nothing. It has to be written again.
   */
  distrustCache = false;
  /** Why nothing can be appended any more, once that is so. */
  failure: StreamError | undefined;
  readonly #changed: (topic: string) => void;
  readonly #failed = new Set<(error: StreamError) => void>();
  #syncing = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(disk: Disk, clock: Clock, log: Log, limits: LogLimits, changed: (topic: string) => void, keys?: KeyRing) {
    this.disk = disk;
    this.clock = clock;
    this.log = log;
    this.limits = limits;
    this.keys = keys;
    this.cache = new TailCacheBudget(limits.tailCacheBytes);
    this.#changed = changed;
  }

  /** Something of the topic became readable. */
  changed(topic: string): void {
    this.#changed(topic);
  }

  /** Runs one sync when its turn comes, first come first served. */
  async commit(sync: () => Promise<void>): Promise<void> {
    if (this.#syncing >= CONCURRENT_SYNCS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#syncing++;
    try {
      await sync();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#syncing--;
    }
  }

  /** Makes every segment hold durably what is in it now. STORAGE_FAILED. */
  async checkpoint(): Promise<void> {
    const writers = [...this.unsynced];
    this.unsynced.clear();
    await Promise.all(writers.map((writer) => writer.syncSegments()));
  }

  onFailure(listener: (error: StreamError) => void): () => void {
    this.#failed.add(listener);
    return () => this.#failed.delete(listener);
  }

  /**
   * After a failed fsync the kernel may have dropped the dirty pages and report success next time, so no later sync proves
   * anything: the whole directory takes no appends until a restart has read back what is really there. Reads go on.
   */
  fail(doing: string, cause: unknown): StreamError {
    if (!this.failure) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.failure = new StreamError(
        'STORAGE_FAILED',
        `${doing} failed (${reason}); nothing can be appended until a restart`,
        {
          cause,
          hint: 'check the disk, then restart',
        },
      );
      this.log.error('storage failed', { doing, reason });
      for (const listener of [...this.#failed]) listener(this.failure);
    }
    return this.failure;
  }
}
