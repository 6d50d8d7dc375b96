import type { Timer } from '../lib/clock.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import { type BatchHeader, patchBatch, readBatchHeader, stampLogAppendTime } from '../protocol/records.ts';
import { type LogIdentity, type OpenedLog, writeProducers } from './log-open.ts';
import type { LogShared } from './log-shared.ts';
import { OffsetWaiters } from './offset-waiters.ts';
import type { ProducerEntry, ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';
import { TailCache } from './tail-cache.ts';
import type { TopicSettings } from './topic-config.ts';
import type { TransactionIndex } from './transaction-index.ts';

/** Bytes handed to the disk in one call. */
const WRITE_BYTES = 8 << 20;
/** Errors of a write that leave the disk trustworthy: the same append may succeed later. */
const OUT_OF_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

interface PendingWrite {
  readonly data: Buffer;
  readonly header: BatchHeader;
  readonly segment: Segment;
  /** The producer's entry before this batch, to take it back. */
  readonly before: ProducerEntry | undefined;
}

/**
 * The writing half of a partition log: gives offsets, queues batches, puts them into segments and syncs those. Two loops run
 * beside each other, so that one group of batches is written while the group before is synced: `drain` takes all
 * that is queued, `sync` covers all that was written when it begins.
 */
export class LogWriter {
  /** In offset order; the last takes appends. Never empty. */
  readonly segments: Segment[];
  readonly producers: ProducerState;
  /** Of what is written. */
  readonly transactions: TransactionIndex;
  readonly cache: TailCache;
  #settings: TopicSettings;
  readonly #shared: LogShared;
  readonly #identity: LogIdentity;
  readonly #topic: string;
  readonly #leaderEpoch: number;
  readonly #written = new OffsetWaiters();
  readonly #durable = new OffsetWaiters();
  readonly #stopListening: () => void;
  /** Producer state at the beginning of each planned segment, written down when the segment is created. */
  readonly #snapshots = new Map<Segment, ProducerState>();
  #pending: PendingWrite[] = [];
  #draining: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncAgain = false;
  #stopped = false;
  #flushTimer: Timer | undefined;
  /** Set after a write failed half way: to be cut back before the next write. */
  #torn: Segment | undefined;
  #nextOffset: number;
  #writtenEnd: number;
  /** Where what is durable ends: in the segments, or in the write-ahead log. */
  #syncedEnd: number;
  /** Where what is durable in the segments ends. */
  #segmentsEnd: number;
  #highWatermark: number;

  constructor(
    shared: LogShared,
    options: LogIdentity & { readonly topic: string; readonly leaderEpoch: number; readonly settings: TopicSettings },
    opened: OpenedLog,
  ) {
    this.#shared = shared;
    this.#identity = options;
    this.#topic = options.topic;
    this.#leaderEpoch = options.leaderEpoch;
    this.#settings = options.settings;
    this.segments = opened.segments;
    this.producers = opened.producers;
    this.transactions = opened.transactions;
    this.cache = new TailCache(shared.cache);
    this.#nextOffset = opened.logEnd;
    this.#writtenEnd = opened.logEnd;
    this.#syncedEnd = opened.logEnd;
    this.#segmentsEnd = opened.logEnd;
    this.#highWatermark = opened.logEnd;
    if (this.segments.length === 0) this.#planSegment(shared.clock.nowMs());
    this.#stopListening = shared.onFailure((error) => {
      this.#durable.fail(this.#durableEnd, error);
      this.#schedule();
    });
  }

  /** Offset the next batch gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Offset after the last record readers may see: synced under `always`, else written. */
  get highWatermark(): number {
    return this.#highWatermark;
  }

  get settings(): TopicSettings {
    return this.#settings;
  }

  configure(settings: TopicSettings): void {
    this.#settings = settings;
    // Readers and waiters may now need a sync that the old policy did not ask for.
    if (settings.fsync !== 'os' && this.#syncedEnd < this.#writtenEnd) void this.#sync();
  }

  /**
   * Gives one checked batch its offsets and queues it. The buffer must not change afterwards. Only here does the batch enter the
   * producer state, after a new segment was planned for it: that segment's snapshot must not claim what may yet be lost.
   */
  enqueue(data: Buffer, now: number): void {
    patchBatch(data, 0, this.#nextOffset, this.#leaderEpoch);
    if (this.#settings.logAppendTime) stampLogAppendTime(data, 0, now);
    const keys = this.#settings.encrypted ? this.#shared.keys : undefined;
    const stored = keys === undefined ? data : keys.encrypt(data, this.#identity);
    const header = readBatchHeader(stored);
    const { baseOffset, lastOffset, maxTimestamp, producerId } = header;
    const segment = this.#segmentFor(stored.length, lastOffset, keys?.current, now);
    segment.plannedBytes += stored.length;
    const before = producerId >= 0 ? this.producers.add(header, baseOffset, maxTimestamp, now) : undefined;
    this.#nextOffset = lastOffset + 1;
    this.#shared.pendingBytes += stored.length;
    this.#pending.push({ data: stored, header, segment, before });
    if (this.#shared.limits.tailCacheBytes > 0) this.cache.add(baseOffset, lastOffset, data);
    this.#schedule();
  }

  /** Resolves when the record is in the operating system's hands; STORAGE_FAILED when it could not be written. */
  written(offset: number): Promise<void> {
    return offset < this.#writtenEnd ? Promise.resolve() : this.#written.add(offset);
  }

  /**
   * Resolves when the record is as safe as the topic's fsync policy promises: synced under `always`, written under `interval` and
   * `os`. STORAGE_FAILED when that could not be done.
   */
  durable(offset: number): Promise<void> {
    if (offset < this.#durableEnd) return Promise.resolve();
    if (this.#shared.failure) return Promise.reject(this.#shared.failure);
    return this.#durable.add(offset);
  }

  /** Syncs everything appended so far, whatever the policy. */
  async flush(): Promise<void> {
    const end = this.#nextOffset;
    if (end > this.#writtenEnd) await this.written(end - 1);
    await this.syncSegments();
  }

  /** Makes the segments hold durably what was written by now, although the write-ahead log may have it already. STORAGE_FAILED. */
  async syncSegments(): Promise<void> {
    const end = this.#writtenEnd;
    while (this.#segmentsEnd < end && !this.#stopped) {
      if (this.#shared.failure) throw this.#shared.failure;
      await this.#sync();
    }
  }

  #segmentFor(bytes: number, lastOffset: number, keyId: number | undefined, now: number): Segment {
    const active = this.segments.at(-1)!;
    const full =
      active.header.keyId !== keyId ||
      active.plannedBytes + bytes > this.#settings.segmentBytes ||
      now - active.header.createdAtMs >= this.#settings.segmentMs ||
      lastOffset - active.baseOffset > 0x7fffffff;
    if (!full || (active.empty && active.created)) return active;
    // One that nothing was put into yet may still be another one.
    if (active.empty) this.#snapshots.delete(this.segments.pop()!);
    return this.#planSegment(now, keyId);
  }

  /** Ends the last segment although it is not full, when everything in it is written; resolves when it is sealed, if it could be. */
  async roll(now: number): Promise<void> {
    if (this.#pending.length > 0 || !this.segments.at(-1)!.created) return;
    this.#planSegment(now);
    this.#schedule();
    await this.#draining;
  }

  #planSegment(now: number, keyId?: number): Segment {
    const header = {
      topicId: this.#identity.topicId,
      partition: this.#identity.partition,
      leaderEpoch: this.#leaderEpoch,
      baseOffset: this.#nextOffset,
      createdAtMs: now,
      previousLink: this.segments.at(-1)?.link ?? 0,
      ...(keyId === undefined ? {} : { keyId }),
    };
    const segment = Segment.planned(this.#shared.disk, this.#identity.directory, header);
    if (this.segments.length > 0) this.#snapshots.set(segment, this.producers.copy());
    this.segments.push(segment);
    return segment;
  }
  /** Begins to write at the end of this turn of the event loop, so that everything appended in it goes out together. */
  #schedule(): void {
    this.#draining ??= new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#drain())
      .catch((error: unknown) => {
        this.#rollBack(this.#shared.fail(`writing topic ${this.#topic}, partition ${this.#identity.partition}`, error));
      })
      .finally(() => {
        this.#draining = undefined;
        if (this.#pending.length > 0) this.#schedule();
      });
  }

  async #drain(): Promise<void> {
    for (;;) {
      if (this.#shared.failure) return this.#rollBack(this.#shared.failure);
      const segment = this.#pending[0]?.segment ?? this.segments.at(-1)!;
      if (this.#pending.length === 0 && (segment.created || this.segments.length === 1)) return;
      const buffers: Buffer[] = [];
      for (let bytes = 0; buffers.length < this.#pending.length && bytes < WRITE_BYTES; ) {
        const next = this.#pending[buffers.length]!;
        if (next.segment !== segment) break;
        buffers.push(next.data);
        bytes += next.data.length;
      }
      try {
        if (this.#torn) await this.#repair(this.#torn);
        if (!segment.created) await this.#createSegment(segment);
        if (buffers.length > 0) await segment.use(async () => (await segment.file()).append(buffers));
      } catch (error) {
        this.#writeFailed(segment, error);
        return;
      }
      this.#tookWrites(buffers.length);
    }
  }

  /** Cuts off what a failed write left, durably: the segment may be sealed next, and a sealed one has no torn end. */
  async #repair(segment: Segment): Promise<void> {
    await segment.use(async () => {
      const file = await segment.file();
      await file.truncate(segment.summary.sizeBytes);
      await file.sync().catch((error: unknown) => {
        throw this.#shared.fail(`syncing ${segment.path}`, error);
      });
    });
    this.#torn = undefined;
  }

  #tookWrites(count: number): void {
    const start = this.#writtenEnd;
    const batches: Buffer[] = [];
    for (const { data, header, segment } of this.#pending.splice(0, count)) {
      segment.note(header, this.transactions);
      this.#writtenEnd = header.lastOffset + 1;
      this.#shared.pendingBytes -= data.length;
      batches.push(data);
    }
    this.#written.advance(this.#writtenEnd);
    if (this.#settings.fsync === 'always') this.#commit(batches, start, this.#writtenEnd);
    else if (this.#settings.fsync === 'interval') this.#armFlush();
    this.#advance();
  }

  /** Makes what was just written durable: in the write-ahead log, or where that has no space, in the segment. */
  #commit(batches: readonly Buffer[], start: number, end: number): void {
    const { wal } = this.#shared;
    if (wal === undefined || batches.length === 0) {
      void this.#sync();
      return;
    }
    this.#shared.unsynced.add(this);
    const { topicId, partition } = this.#identity;
    wal.commit({ topicId, partition, batches }).then(
      () => {
        if (this.#stopped) return;
        // What came before under another policy is in no write-ahead log.
        if (start <= this.#syncedEnd) this.#tookSync(end);
        else void this.#sync();
      },
      (error: unknown) => {
        if (OUT_OF_SPACE.has((error as { code?: string }).code ?? '')) void this.#sync();
        else this.#shared.fail('writing the write-ahead log', error);
      },
    );
  }

  /** Completes the segment before (synced, so that only a log's last segment can be torn) and begins this one. */
  async #createSegment(segment: Segment): Promise<void> {
    const { disk, log } = this.#shared;
    const directory = this.#identity.directory;
    const previous = this.segments[this.segments.indexOf(segment) - 1];
    if (previous && !previous.sealed) {
      await this.#syncSegment(previous);
      // Derived data: without it the next start reads the segment instead.
      const snapshot = this.#snapshots.get(segment)!;
      previous.summary.open = this.transactions.open();
      await Promise.all([
        previous.writeSidecar(),
        writeProducers(this.#shared, directory, segment.baseOffset, snapshot),
      ]).catch((error: unknown) =>
        log.warn('no sidecar', { path: previous.path, reason: asStreamError(error).message }),
      );
      previous.sealed = true;
      this.#shared.openSegments.touch(previous);
    }
    this.#snapshots.delete(segment);
    if (!previous) await disk.makeDirectory(directory);
    await segment.create();
  }

  async #syncSegment(segment: Segment): Promise<void> {
    const end = segment.summary.endOffset;
    if (end <= this.#segmentsEnd) return;
    try {
      await this.#shared.commit(() => segment.use(async () => (await segment.file()).sync()));
    } catch (error) {
      throw this.#shared.fail(`syncing ${segment.path}`, error);
    }
    // Another sync of the file may have failed while this one waited: then this one's success proves nothing.
    if (this.#shared.failure) throw this.#shared.failure;
    this.#segmentsEnd = Math.max(this.#segmentsEnd, end);
    this.#tookSync(end);
  }

  #writeFailed(segment: Segment, error: unknown): void {
    const code = (error as { code?: string }).code ?? '';
    if (!OUT_OF_SPACE.has(code)) {
      this.#rollBack(this.#shared.fail(`writing ${segment.path}`, error));
      return;
    }
    if (segment.created) this.#torn = segment;
    this.#shared.log.error('append refused: no space', { path: segment.path, code });
    this.#rollBack(
      new StreamError('STORAGE_FAILED', `there is no space to append to ${segment.path} (${code})`, { cause: error }),
    );
  }

  /** Forgets everything queued: the log ends again where its file does. */
  #rollBack(reason: StreamError): void {
    for (const { data, header, before } of this.#pending.reverse()) {
      if (header.producerId >= 0) this.producers.restore(header.producerId, before);
      this.#shared.pendingBytes -= data.length;
    }
    this.#pending = [];
    this.#nextOffset = this.#writtenEnd;
    while (this.segments.length > 1 && this.segments.at(-1)!.baseOffset > this.#writtenEnd) {
      this.#snapshots.delete(this.segments.pop()!);
    }
    const active = this.segments.at(-1)!;
    active.plannedBytes = active.summary.sizeBytes;
    this.cache.dropFrom(this.#writtenEnd);
    this.#written.fail(this.#writtenEnd, reason);
    this.#durable.fail(this.#writtenEnd, reason);
  }

  /** Resolves after a sync that began after the call has ended. Errors mark the storage as failed and are not thrown. */
  #sync(): Promise<void> {
    if (this.#syncing) {
      this.#syncAgain = true;
      return this.#syncing;
    }
    this.#syncing = this.#syncUntilQuiet();
    return this.#syncing;
  }

  async #syncUntilQuiet(): Promise<void> {
    do {
      this.#syncAgain = false;
      await this.#shared.commit(async () => {
        // A deleted topic has no files any more, and nobody to promise anything to.
        if (this.#shared.failure || this.#stopped) return;
        // Earlier segments were synced when their successor was created.
        const segment = this.segments.findLast((known) => known.created);
        const end = this.#writtenEnd;
        if (!segment || end <= this.#segmentsEnd) return;
        try {
          await segment.use(async () => (await segment.file()).sync());
          if (this.#shared.failure) return;
          this.#segmentsEnd = Math.max(this.#segmentsEnd, end);
          this.#tookSync(end);
        } catch (error) {
          this.#shared.fail(`syncing ${segment.path}`, error);
        }
      });
    } while (this.#syncAgain);
    // At once, not when the promise settles: a call in between would be forgotten.
    this.#syncing = undefined;
  }

  #tookSync(end: number): void {
    if (end <= this.#syncedEnd || this.#shared.failure || this.#stopped) return;
    this.#syncedEnd = end;
    this.#advance();
  }

  get #durableEnd(): number {
    return this.#settings.fsync === 'always' ? this.#syncedEnd : this.#writtenEnd;
  }

  #advance(): void {
    const end = this.#durableEnd;
    this.#durable.advance(end);
    if (end <= this.#highWatermark) return;
    this.#highWatermark = end;
    this.#shared.changed(this.#topic);
  }

  #armFlush(): void {
    this.#flushTimer ??= this.#shared.clock.setTimeout(() => {
      this.#flushTimer = undefined;
      void this.#sync();
    }, this.#settings.flushMs);
  }

  /**
   * Completes what is queued, syncs, writes down what the next start would have to derive, and closes the files. False when
   * the next start has to read the last segment instead.
   */
  async close(): Promise<boolean> {
    this.#flushTimer?.cancel();
    await this.#draining;
    await this.flush().catch(() => {});
    const active = this.segments.at(-1)!;
    let saved = !this.#shared.failure && !this.#torn;
    try {
      if (saved && active.created) {
        active.summary.open = this.transactions.open();
        await active.writeSidecar();
        await writeProducers(this.#shared, this.#identity.directory, this.#nextOffset, this.producers);
      }
    } catch (error) {
      this.#shared.log.warn('the next start has to read a segment', { path: active.path, reason: String(error) });
      saved = false;
    }
    await this.#letGo();
    return saved;
  }

  /** Stops without keeping anything; whoever still waits gets `reason`. */
  async abandon(reason: StreamError): Promise<void> {
    this.#stopped = true;
    this.#flushTimer?.cancel();
    await this.#draining;
    await this.#syncing;
    this.#written.fail(0, reason);
    this.#durable.fail(0, reason);
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    this.#stopped = true;
    this.#shared.unsynced.delete(this);
    this.#stopListening();
    this.cache.clear();
    for (const segment of this.segments) {
      this.#shared.openSegments.forget(segment);
      await segment.release();
    }
  }
}
