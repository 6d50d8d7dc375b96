import { assert } from '../lib/assert.ts';
import type { Timer } from '../lib/clock.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { type BatchHeader, patchBatch, readBatchHeader, stampLogAppendTime } from '../protocol/records.ts';
import { type LogIdentity, openLog, writeLogStart, writeProducers } from './log-open.ts';
import type { LogShared } from './log-shared.ts';
import { OffsetWaiters } from './offset-waiters.ts';
import type { ProducerBatch, ProducerEntry, ProducerState } from './producer-state.ts';
import { Segment } from './segment.ts';
import type { EpochStart } from './segment-index.ts';
import { TailCache } from './tail-cache.ts';
import { firstAtOrAfter, firstOfLargest, type TimedOffset } from './time-lookup.ts';
import type { TopicSettings } from './topic-config.ts';

export interface AppendResult {
  /** −1 when refused. */
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** −1 under CreateTime. */
  readonly logAppendTimeMs: number;
  /** A Kafka error code; nothing was appended. */
  readonly error?: number;
  /** The batch was in the log before; the offsets are the first append's. */
  readonly duplicate?: boolean;
}

/** Bytes handed to the disk in one call. */
const WRITE_BYTES = 8 << 20;
/** Errors of a write that leave the disk trustworthy: the same append may succeed later. */
const OUT_OF_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const NOTHING = Buffer.alloc(0);

interface PendingWrite {
  readonly data: Buffer;
  readonly header: BatchHeader;
  readonly segment: Segment;
  /** The producer's entry before this batch, to take it back. */
  readonly before: ProducerEntry | undefined;
}

export interface PartitionLogOptions extends LogIdentity {
  readonly topic: string;
  readonly settings: TopicSettings;
  readonly leaderEpoch: number;
  /** The last shutdown was clean, so what is on disk needs no check. */
  readonly clean: boolean;
}

/**
 * One partition: an ordered, durable sequence of record batches. `append` gives offsets at once, in call order, and queues the
 * write; `written` and `durable` tell when it is safe. Readers see nothing beyond the high watermark, which under the
 * fsync policy `always` moves only after a sync, so that what was read cannot vanish.
 */
export class PartitionLog {
  readonly topic: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  #settings: TopicSettings;
  readonly #shared: LogShared;
  readonly #identity: LogIdentity;
  readonly #segments: Segment[];
  readonly #producers: ProducerState;
  readonly #epochs: EpochStart[];
  readonly #cache: TailCache;
  readonly #written = new OffsetWaiters();
  readonly #durable = new OffsetWaiters();
  readonly #stopListening: () => void;
  /** Producer state at the beginning of each planned segment, written down when the segment is created. */
  readonly #snapshots = new Map<Segment, ProducerState>();
  #pending: PendingWrite[] = [];
  #draining: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncAgain = false;
  #maintenance: Promise<unknown> = Promise.resolve();
  #flushTimer: Timer | undefined;
  /** Set after a write failed half way: to be cut back before the next write. */
  #torn: Segment | undefined;
  #closed = false;
  #logStart: number;
  #nextOffset: number;
  #writtenEnd: number;
  #syncedEnd: number;
  #highWatermark: number;

  static async open(shared: LogShared, options: PartitionLogOptions): Promise<PartitionLog> {
    const opened = await openLog(shared, options, options.clean);
    return new PartitionLog(shared, options, opened);
  }

  private constructor(
    shared: LogShared,
    options: PartitionLogOptions,
    opened: { segments: Segment[]; producers: ProducerState; logStart: number; logEnd: number },
  ) {
    this.#shared = shared;
    this.#identity = { directory: options.directory, topicId: options.topicId, partition: options.partition };
    this.topic = options.topic;
    this.partition = options.partition;
    this.leaderEpoch = options.leaderEpoch;
    this.#settings = options.settings;
    this.#segments = opened.segments;
    this.#producers = opened.producers;
    this.#cache = new TailCache(shared.cache);
    this.#logStart = opened.logStart;
    this.#nextOffset = opened.logEnd;
    this.#writtenEnd = opened.logEnd;
    this.#syncedEnd = opened.logEnd;
    this.#highWatermark = opened.logEnd;
    if (this.#segments.length === 0) this.#planSegment(shared.clock.nowMs());
    this.#epochs = this.#knownEpochs();
    this.#stopListening = shared.onFailure((error) => {
      this.#durable.fail(this.#durableEnd, error);
      this.#schedule();
    });
  }

  /** First offset that can be read. */
  get logStart(): number {
    return this.#logStart;
  }

  /** Offset after the last record readers may see. */
  get highWatermark(): number {
    return this.#highWatermark;
  }

  /** Offset the next record gets. */
  get logEnd(): number {
    return this.#nextOffset;
  }

  /** Leader epochs with records, and the present one (KIP-101, KIP-320). A new one begins at every unclean start. */
  get epochs(): readonly EpochStart[] {
    return this.#epochs;
  }

  get sizeBytes(): number {
    let total = 0;
    for (const segment of this.#segments) if (segment.created) total += segment.summary.sizeBytes;
    return total;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get settings(): TopicSettings {
    return this.#settings;
  }

  /** Takes changed settings; they hold for what is appended from now on. */
  configure(settings: TopicSettings): void {
    this.#settings = settings;
    // Readers and waiters may now need a sync that the old policy did not ask for.
    if (settings.fsync !== 'os' && this.#syncedEnd < this.#writtenEnd) void this.#sync();
  }

  /** Producer ids with their state (DescribeProducers). */
  producers(): IterableIterator<[number, ProducerEntry]> {
    return this.#producers.entries();
  }

  /**
   * Appends one or more whole, validated record batches v2. The log owns the buffer from here on and patches base offset
   * and leader epoch into it. All batches or none. Call `written` or `durable` in the same turn of the event loop: after a failed write its offsets are given again.
   */
  append(batches: Buffer, options: { leaderEpoch?: number } = {}): AppendResult {
    const { clock, limits } = this.#shared;
    if (this.#shared.failure || this.#closed) return refused(ERROR_CODES.KAFKA_STORAGE_ERROR);
    if (options.leaderEpoch !== undefined && options.leaderEpoch !== this.leaderEpoch) {
      const older = options.leaderEpoch < this.leaderEpoch;
      return refused(older ? ERROR_CODES.FENCED_LEADER_EPOCH : ERROR_CODES.UNKNOWN_LEADER_EPOCH);
    }
    if (this.#shared.pendingBytes + batches.length > limits.pendingBytes)
      return refused(ERROR_CODES.KAFKA_STORAGE_ERROR);
    const now = clock.nowMs();
    const headers: BatchHeader[] = [];
    for (let at = 0; at < batches.length; ) {
      const header = readBatchHeader(batches, at);
      const error = this.#refuses(header, now);
      if (error) return refused(error);
      at += header.sizeBytes;
      headers.push(header);
    }
    assert(headers.length > 0, 'an append needs a record batch');
    return this.#admit(ownBuffer(batches), headers, now);
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
    while (this.#syncedEnd < end) {
      if (this.#shared.failure) throw this.#shared.failure;
      await this.#sync();
    }
  }

  /**
   * Whole batches beginning with the one that holds `offset`, at least one, else at most `maxBytes`, below the high watermark and
   * `maxOffset`; empty when there is none. The bytes are shared: do not change them. REQUEST_INVALID outside [logStart, logEnd].
   */
  async read(offset: number, maxBytes: number, options: { maxOffset?: number } = {}): Promise<Buffer> {
    this.#checkRange(offset);
    const end = Math.min(this.#highWatermark, options.maxOffset ?? this.#highWatermark);
    if (offset >= end) return NOTHING;
    const cached = this.#cache.read(offset, maxBytes, end);
    if (cached) return cached;
    const segment = this.#segmentOf(offset);
    if (segment.sealed) this.#shared.openSegments.touch(segment);
    try {
      return await segment.read(offset, maxBytes, segment.summary.sizeBytes, end);
    } catch (error) {
      this.#checkRange(offset); // deleted meanwhile
      throw error;
    }
  }

  /** Where a leader epoch ends (OffsetForLeaderEpoch): the largest epoch not above it and the offset after that one's last. */
  offsetForEpoch(epoch: number): { epoch: number; endOffset: number } | undefined {
    const after = this.#epochs.findIndex((known) => known.epoch > epoch);
    if (after === 0) return { epoch, endOffset: this.#epochs[0]!.startOffset };
    if (after > 0) return { epoch: this.#epochs[after - 1]!.epoch, endOffset: this.#epochs[after]!.startOffset };
    return epoch > this.leaderEpoch ? undefined : { epoch: this.leaderEpoch, endOffset: this.#nextOffset };
  }

  /** The epoch an offset was appended in. */
  epochOf(offset: number): number {
    return this.#epochs.findLast((known) => known.startOffset <= offset)?.epoch ?? this.leaderEpoch;
  }

  /** The first readable record whose timestamp is `timestampMs` or later (ListOffsets by time); undefined when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimedOffset | undefined> {
    return firstAtOrAfter(this.#segments, timestampMs, this.#logStart, this.#highWatermark);
  }

  /** The first record with the largest timestamp (KIP-734); undefined when nothing is readable. */
  maxTimestamp(): Promise<TimedOffset | undefined> {
    return firstOfLargest(this.#segments, this.#logStart, this.#highWatermark);
  }

  /** Moves the log start up to `offset` (−1: the high watermark), durably, and deletes the segments below. Returns the log start. */
  deleteRecordsBefore(offset: number): Promise<number> {
    const target = offset === -1 ? this.#highWatermark : offset;
    if (target < 0 || target > this.#highWatermark) {
      throw new StreamError('REQUEST_INVALID', `offset ${offset} is outside 0 to ${this.#highWatermark}`);
    }
    return this.#maintain(async () => {
      if (target > this.#logStart) await this.#moveLogStart(target);
      return this.#logStart;
    });
  }

  /** Deletes whole segments that retention.ms and retention.bytes no longer keep and forgets expired producers. Returns how many. */
  applyRetention(): Promise<number> {
    return this.#maintain(async () => {
      const now = this.#shared.clock.nowMs();
      this.#producers.expire(now);
      const active = this.#segments.at(-1)!;
      if (active.created && this.#expired(active, now) && this.#pending.length === 0) {
        this.#planSegment(now);
        this.#schedule();
        await this.#draining;
      }
      let excess = this.#settings.retentionBytes < 0 ? 0 : this.sizeBytes - this.#settings.retentionBytes;
      let drop = 0;
      while (drop < this.#segments.length - 1) {
        const segment = this.#segments[drop]!;
        if (!segment.sealed || segment.summary.endOffset > this.#highWatermark) break;
        excess -= segment.summary.sizeBytes;
        if (excess < 0 && !this.#expired(segment, now)) break;
        drop++;
      }
      if (drop > 0) await this.#moveLogStart(Math.max(this.#logStart, this.#segments[drop]!.baseOffset));
      return drop;
    });
  }

  /** Completes what is queued, syncs, and writes down what the next start would have to derive. False when storage had failed. */
  async close(): Promise<boolean> {
    if (this.#closed) return true;
    this.#closed = true;
    this.#flushTimer?.cancel();
    await this.#maintenance;
    await this.#draining;
    await this.flush().catch(() => {});
    this.#stopListening();
    const active = this.#segments.at(-1)!;
    const good = !this.#shared.failure && !this.#torn;
    let saved = good;
    try {
      if (good && active.created) {
        await active.writeSidecar();
        await writeProducers(this.#shared, this.#identity.directory, this.#nextOffset, this.#producers);
      }
    } catch (error) {
      this.#shared.log.warn('the next start has to read this segment', { path: active.path, reason: String(error) });
      saved = false;
    }
    await this.#letGo();
    return saved;
  }

  /** Stops without keeping anything: the topic is being deleted. */
  async abandon(): Promise<void> {
    this.#closed = true;
    this.#flushTimer?.cancel();
    await this.#maintenance;
    await this.#draining;
    await this.#syncing;
    this.#stopListening();
    const gone = new StreamError('NOT_FOUND', `topic ${this.topic} was deleted`);
    this.#written.fail(0, gone);
    this.#durable.fail(0, gone);
    await this.#letGo();
  }

  #refuses(header: BatchHeader, now: number): number | undefined {
    assert(header.magic === 2, 'only record batches v2 are stored');
    assert(header.lastOffsetDelta >= 0, 'a record batch holds at least one record');
    if (header.sizeBytes > this.#settings.maxMessageBytes) return ERROR_CODES.MESSAGE_TOO_LARGE;
    if (header.isControl) return ERROR_CODES.INVALID_RECORD;
    if (header.isTransactional) return ERROR_CODES.INVALID_TXN_STATE;
    if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
      return ERROR_CODES.INVALID_RECORD;
    if (!this.#settings.logAppendTime && header.maxTimestamp - now > this.#settings.timestampAfterMaxMs) {
      return ERROR_CODES.INVALID_TIMESTAMP;
    }
    return undefined;
  }

  /** Checks sequences, gives offsets and queues the batches; takes all back when one is refused. */
  #admit(data: Buffer, headers: BatchHeader[], now: number): AppendResult {
    const before: (ProducerEntry | undefined)[] = [];
    let duplicates = 0;
    let first: ProducerBatch | undefined;
    let last: ProducerBatch | undefined;
    let offset = this.#nextOffset;
    let error: number | undefined;
    for (const header of headers) {
      const check = header.producerId < 0 ? 'ok' : this.#producers.check(header);
      if (typeof check === 'object') {
        duplicates++;
        first ??= check.duplicateOf;
        last = check.duplicateOf;
      } else if (check !== 'ok') {
        error = check === 'old epoch' ? ERROR_CODES.INVALID_PRODUCER_EPOCH : ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER;
        break;
      } else if (duplicates > 0) {
        error = ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER;
        break;
      }
      const timestamp = this.#settings.logAppendTime ? now : header.maxTimestamp;
      const adds = duplicates === 0 && header.producerId >= 0;
      before.push(adds ? this.#producers.add(header, offset, timestamp, now) : undefined);
      offset += header.lastOffsetDelta + 1;
    }
    if (!error && duplicates > 0 && duplicates < headers.length) error = ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (error || duplicates > 0) {
      for (let at = before.length - 1 - duplicates; at >= 0; at--) {
        if (headers[at]!.producerId >= 0) this.#producers.restore(headers[at]!.producerId, before[at]);
      }
      if (error) return refused(error);
      const logAppendTimeMs = this.#settings.logAppendTime ? first!.timestampMs : -1;
      return { baseOffset: first!.baseOffset, lastOffset: last!.lastOffset, logAppendTimeMs, duplicate: true };
    }
    const baseOffset = this.#nextOffset;
    let at = 0;
    for (const [index, header] of headers.entries()) {
      const batch = headers.length === 1 ? data : data.subarray(at, at + header.sizeBytes);
      at += header.sizeBytes;
      this.#enqueue(batch, header, before[index], now);
    }
    this.#schedule();
    return { baseOffset, lastOffset: this.#nextOffset - 1, logAppendTimeMs: this.#settings.logAppendTime ? now : -1 };
  }

  #enqueue(data: Buffer, header: BatchHeader, before: ProducerEntry | undefined, now: number): void {
    const baseOffset = this.#nextOffset;
    patchBatch(data, 0, baseOffset, this.leaderEpoch);
    if (this.#settings.logAppendTime) stampLogAppendTime(data, 0, now);
    const segment = this.#segmentFor(data.length, baseOffset + header.lastOffsetDelta, now);
    segment.plannedBytes += data.length;
    this.#nextOffset = baseOffset + header.lastOffsetDelta + 1;
    this.#shared.pendingBytes += data.length;
    this.#pending.push({ data, header: readBatchHeader(data), segment, before });
    if (this.#shared.limits.tailCacheBytes > 0) this.#cache.add(baseOffset, this.#nextOffset - 1, data);
  }

  #segmentFor(bytes: number, lastOffset: number, now: number): Segment {
    const active = this.#segments.at(-1)!;
    const full =
      active.plannedBytes + bytes > this.#settings.segmentBytes ||
      now - active.header.createdAtMs >= this.#settings.segmentMs ||
      lastOffset - active.baseOffset > 0x7fffffff;
    if (!full || active.empty) return active;
    const next = this.#planSegment(now);
    this.#snapshots.set(next, this.#producers.copy());
    return next;
  }

  #planSegment(now: number): Segment {
    const header = {
      topicId: this.#identity.topicId,
      partition: this.partition,
      leaderEpoch: this.leaderEpoch,
      baseOffset: this.#nextOffset,
      createdAtMs: now,
      previousLink: this.#segments.at(-1)?.link ?? 0,
    };
    const segment = Segment.planned(this.#shared.disk, this.#identity.directory, header);
    this.#segments.push(segment);
    return segment;
  }

  /** Begins to write at the end of this turn of the event loop, so that everything appended in it goes out together. */
  #schedule(): void {
    this.#draining ??= new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#drain())
      .catch((error: unknown) => {
        this.#rollBack(this.#shared.fail(`writing topic ${this.topic}, partition ${this.partition}`, error));
      })
      .finally(() => {
        this.#draining = undefined;
        if (this.#pending.length > 0) this.#schedule();
      });
  }

  async #drain(): Promise<void> {
    for (;;) {
      if (this.#shared.failure) return this.#rollBack(this.#shared.failure);
      const segment = this.#pending[0]?.segment ?? this.#segments.at(-1)!;
      if (this.#pending.length === 0 && (segment.created || this.#segments.length === 1)) return;
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
    for (const { data, header, segment } of this.#pending.splice(0, count)) {
      segment.note(header);
      this.#writtenEnd = header.lastOffset + 1;
      this.#shared.pendingBytes -= data.length;
    }
    this.#written.advance(this.#writtenEnd);
    if (this.#settings.fsync === 'always') void this.#sync();
    else if (this.#settings.fsync === 'interval') this.#armFlush();
    this.#advance();
  }

  /** Completes the segment before (synced, so that only a log's last segment can be torn) and begins this one. */
  async #createSegment(segment: Segment): Promise<void> {
    const { disk, log } = this.#shared;
    const directory = this.#identity.directory;
    const previous = this.#segments[this.#segments.indexOf(segment) - 1];
    if (previous && !previous.sealed) {
      await this.#syncSegment(previous);
      // Derived data: without it the next start reads the segment instead.
      const snapshot = this.#snapshots.get(segment) ?? this.#producers;
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
    if (end <= this.#syncedEnd) return;
    try {
      await this.#shared.commit(() => segment.use(async () => (await segment.file()).sync()));
    } catch (error) {
      throw this.#shared.fail(`syncing ${segment.path}`, error);
    }
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
      if (header.producerId >= 0) this.#producers.restore(header.producerId, before);
      this.#shared.pendingBytes -= data.length;
    }
    this.#pending = [];
    this.#nextOffset = this.#writtenEnd;
    while (this.#segments.length > 1 && this.#segments.at(-1)!.baseOffset > this.#writtenEnd) {
      this.#snapshots.delete(this.#segments.pop()!);
    }
    const active = this.#segments.at(-1)!;
    active.plannedBytes = active.summary.sizeBytes;
    this.#cache.dropFrom(this.#writtenEnd);
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
        if (this.#shared.failure) return;
        // Earlier segments were synced when their successor was created.
        const segment = this.#segments.findLast((known) => known.created);
        const end = this.#writtenEnd;
        if (!segment || end <= this.#syncedEnd) return;
        try {
          await segment.use(async () => (await segment.file()).sync());
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
    if (end <= this.#syncedEnd || this.#shared.failure) return;
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
    this.#shared.changed(this.topic);
  }

  #armFlush(): void {
    this.#flushTimer ??= this.#shared.clock.setTimeout(() => {
      this.#flushTimer = undefined;
      void this.#sync();
    }, this.#settings.flushMs);
  }

  #expired(segment: Segment, now: number): boolean {
    if (this.#settings.retentionMs < 0 || segment.summary.batchCount === 0) return false;
    return now - segment.summary.maxTimestampMs > this.#settings.retentionMs;
  }

  async #moveLogStart(offset: number): Promise<void> {
    await writeLogStart(this.#shared, this.#identity.directory, offset);
    this.#logStart = offset;
    while (this.#epochs.length > 1 && this.#epochs[1]!.startOffset <= offset) this.#epochs.shift();
    const kept = this.#segments.findIndex((segment, at) => {
      return at === this.#segments.length - 1 || segment.summary.endOffset > offset || !segment.sealed;
    });
    for (const segment of this.#segments.splice(0, kept)) {
      this.#shared.openSegments.forget(segment);
      await segment.delete();
    }
  }

  /** One maintenance step after another. */
  #maintain<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#maintenance.then(step);
    this.#maintenance = done.catch(() => {});
    return done;
  }

  #knownEpochs(): EpochStart[] {
    const epochs: EpochStart[] = [];
    const present = { epoch: this.leaderEpoch, startOffset: this.#nextOffset };
    for (const known of [...this.#segments.flatMap((segment) => segment.summary.epochs), present]) {
      if (epochs.length === 0 || known.epoch > epochs.at(-1)!.epoch) {
        if (epochs.at(-1)?.startOffset === known.startOffset) epochs.pop();
        epochs.push(known);
      }
    }
    return epochs;
  }

  #checkRange(offset: number): void {
    if (offset >= this.#logStart && offset <= this.#nextOffset) return;
    const name = `${this.topic}-${this.partition}`;
    throw new StreamError(
      'REQUEST_INVALID',
      `offset ${offset} of ${name} is out of range ${this.#logStart} to ${this.#nextOffset}`,
    );
  }

  #segmentOf(offset: number): Segment {
    let low = 0;
    for (let high = this.#segments.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.#segments[middle]!.baseOffset <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#segments[low]!;
  }

  async #letGo(): Promise<void> {
    this.#cache.clear();
    for (const segment of this.#segments) {
      this.#shared.openSegments.forget(segment);
      await segment.release();
    }
  }
}

function refused(error: number): AppendResult {
  return { baseOffset: -1, lastOffset: -1, logAppendTimeMs: -1, error };
}

/** A copy when keeping the buffer would keep a much larger one (a network frame) alive. */
function ownBuffer(data: Buffer): Buffer {
  const held = data.buffer.byteLength;
  return held > Buffer.poolSize && held > 2 * data.length ? Buffer.from(data) : data;
}
