import { assert } from '../lib/assert.ts';
import type { Timer } from '../lib/clock.ts';
import { StreamError } from '../lib/errors.ts';
import type { StoredBytes } from '../ports/stored-bytes.ts';
import type { CodecName } from '../protocol/compression.ts';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { type BatchHeader, encodeBatch, readBatchHeader } from '../protocol/records.ts';
import { Cleaner } from './cleaner.ts';
import { rawRecords, recompressBatch } from './compaction.ts';
import { type BatchPlace, decryptBatches, isEncrypted } from './encryption.ts';
import { hashKey } from './key-filter.ts';
import { type LogIdentity, type OpenedLog, openLog, writeLogStart } from './log-open.ts';
import type { LogShared } from './log-shared.ts';
import { LogWriter } from './log-writer.ts';
import { type ProducerEntry, ProducerState } from './producer-state.ts';
import type { Segment } from './segment.ts';
import type { EpochStart, SegmentSummary } from './segment-index.ts';
import { firstAtOrAfter, firstOfLargest, type TimedOffset } from './time-lookup.ts';
import type { TopicSettings } from './topic-config.ts';
import {
  ABORT_MARKER,
  type AbortedTransaction,
  abortedBetween,
  COMMIT_MARKER,
  TransactionIndex,
} from './transaction-index.ts';

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

const NOTHING = Buffer.alloc(0);

/**
 * Who appends. Only a transaction whose coordinator knows that this partition takes part may add `transactional` batches; a `coordinator`
 * appends markers and batches without sequences.
 */
export type AppendOrigin = 'client' | 'transaction' | 'coordinator';

/** The end of one producer's transaction, as a partition is told. */
export interface TransactionEnd {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly committed: boolean;
  /** Grows when the coordinator is restarted uncleanly. */
  readonly coordinatorEpoch: number;
}

export interface PartitionLogOptions extends LogIdentity {
  readonly topic: string;
  readonly settings: TopicSettings;
  readonly leaderEpoch: number;
  /** The last shutdown was clean, so what is on disk needs no check. */
  readonly clean: boolean;
  /** Record batches of the partition that the write-ahead log holds. */
  readonly committed?: readonly Buffer[];
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
  readonly #shared: LogShared;
  readonly #directory: string;
  readonly #place: BatchPlace;
  readonly #decrypt: (batches: Buffer) => Buffer;
  readonly #writer: LogWriter;
  readonly #segments: Segment[];
  readonly #epochs: EpochStart[];
  #maintenance: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #deletions = new Map<Segment, Timer>();
  #cleaner: Cleaner | undefined;
  #unreadableAt = -1;
  #logStart: number;
  #offline: StreamError | undefined;

  static async open(shared: LogShared, options: PartitionLogOptions): Promise<PartitionLog> {
    const opened = await openLog(shared, options, options.clean, options.committed ?? []);
    return new PartitionLog(shared, options, opened);
  }

  /**
   * One whose files are damaged: nothing of it is read, appended or deleted until somebody has mended them and started again, or has
   * deleted the topic. The other partitions go on.
   */
  static offline(shared: LogShared, options: PartitionLogOptions, reason: StreamError): PartitionLog {
    const nothing = { segments: [], producers: new ProducerState(), transactions: new TransactionIndex() };
    const log = new PartitionLog(shared, options, { ...nothing, logStart: 0, logEnd: 0, scannedBytes: 0 });
    log.#offline = reason;
    return log;
  }

  private constructor(shared: LogShared, options: PartitionLogOptions, opened: OpenedLog) {
    this.#shared = shared;
    this.#directory = options.directory;
    this.#place = { topicId: options.topicId, partition: options.partition };
    this.#decrypt = (batches) => decryptBatches(batches, shared.keys, this.#place);
    this.topic = options.topic;
    this.partition = options.partition;
    this.leaderEpoch = options.leaderEpoch;
    this.#writer = new LogWriter(shared, options, opened);
    this.#segments = this.#writer.segments;
    this.#logStart = opened.logStart;
    this.#epochs = this.#knownEpochs();
  }

  /** Why the partition cannot be used; undefined when it can. */
  get offline(): StreamError | undefined {
    return this.#offline;
  }

  /** First offset that can be read. */
  get logStart(): number {
    return this.#logStart;
  }

  /** Offset after the last record readers may see. */
  get highWatermark(): number {
    return this.#writer.highWatermark;
  }

  /** Offset before which every transaction is decided: readers of committed records see nothing beyond. Never above the high watermark. */
  get lastStableOffset(): number {
    return Math.max(this.#logStart, this.#writer.transactions.lastStable(this.#writer.highWatermark));
  }

  /** Offset the next record gets. */
  get logEnd(): number {
    return this.#writer.nextOffset;
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
    return this.#writer.settings;
  }

  /** Takes changed settings; they hold for what is appended from now on. */
  configure(settings: TopicSettings): void {
    this.#writer.configure(settings);
  }

  /** Producer ids with their state (DescribeProducers). */
  producers(): IterableIterator<[number, ProducerEntry]> {
    return this.#writer.producers.entries();
  }

  /** Where the open transaction of a producer begins here; undefined when it has none. */
  transactionStart(producerId: number): number | undefined {
    return this.#writer.transactions.openSince(producerId);
  }

  /** Producers with an open transaction here. */
  openTransactions(): readonly { readonly producerId: number; readonly firstOffset: number }[] {
    return this.#writer.transactions.open();
  }

  /** Whether there are aborted transactions at all. */
  get hasAborted(): boolean {
    return this.#segments.some((segment) => segment.summary.aborted.length > 0);
  }

  /** The aborted transactions that may have records from `from` to before `to`. */
  abortedTransactions(from: number, to: number): AbortedTransaction[] {
    return abortedBetween(this.#summariesFrom(from), from, to);
  }

  /** Appends the marker that commits or aborts what the producer wrote here. As `append`. */
  endTransaction(end: TransactionEnd): AppendResult {
    const key = Buffer.alloc(4);
    key.writeInt16BE(end.committed ? COMMIT_MARKER : ABORT_MARKER, 2);
    const value = Buffer.alloc(6);
    value.writeInt32BE(end.coordinatorEpoch, 2);
    const { producerId, producerEpoch } = end;
    const marker = encodeBatch([{ key, value, timestampMs: this.#shared.clock.nowMs() }], {
      producerId,
      producerEpoch,
      isTransactional: true,
      isControl: true,
    });
    return this.append(marker, { origin: 'coordinator' });
  }

  /**
   * Appends one or more whole, validated record batches v2. The log owns the buffer from here on and patches base offset
   * and leader epoch into it. All batches or none. Call `written` or `durable` in the same turn of the event loop: after a failed write its offsets are given again.
   */
  append(produced: Buffer, options: { leaderEpoch?: number; origin?: AppendOrigin } = {}): AppendResult {
    const { clock, limits } = this.#shared;
    const { codec } = this.settings;
    let batches = produced;
    if (codec !== undefined && options.origin !== 'coordinator') {
      try {
        batches = recompressed(produced, codec);
      } catch {
        return refused(ERROR_CODES.CORRUPT_MESSAGE);
      }
    }
    if (this.#shared.failure || this.#closed || this.#offline) return refused(ERROR_CODES.KAFKA_STORAGE_ERROR);
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
      // Not theirs to set.
      if (isEncrypted(batches, at)) return refused(ERROR_CODES.INVALID_RECORD);
      const error = this.#refuses(header, now, options.origin ?? 'client');
      if (error) return refused(error);
      if (options.origin !== 'coordinator' && this.#isTooOld(batches.subarray(at), header, now))
        return refused(ERROR_CODES.INVALID_TIMESTAMP);
      at += header.sizeBytes;
      headers.push(header);
    }
    assert(headers.length > 0, 'an append needs a record batch');
    return this.#admit(ownBuffer(batches), headers, now);
  }

  /** Resolves when the record is in the operating system's hands; STORAGE_FAILED when it could not be written. */
  written(offset: number): Promise<void> {
    return this.#writer.written(offset);
  }

  /**
   * Resolves when the record is as safe as the topic's fsync policy promises: synced under `always`, written under `interval` and
   * `os`. STORAGE_FAILED when that could not be done.
   */
  durable(offset: number): Promise<void> {
    return this.#writer.durable(offset);
  }

  /** Syncs everything appended so far, whatever the policy. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /**
   * Whole batches beginning with the one that holds `offset`, at least one, else at most `maxBytes`, below the high watermark and
   * `maxOffset`; empty when there is none. The bytes are shared: do not change them. REQUEST_INVALID outside [logStart, logEnd];
   * STORAGE_FAILED when the file cannot be read or is damaged.
   */
  read(offset: number, maxBytes: number, options: { maxOffset?: number } = {}): Promise<Buffer> {
    return this.#read(offset, maxBytes, options.maxOffset, false) as Promise<Buffer>;
  }

  /** As `read`, but what is in no cache may stay in its file until it is sent. */
  readStored(offset: number, maxBytes: number, options: { maxOffset?: number } = {}): Promise<Buffer | StoredBytes> {
    return this.#read(offset, maxBytes, options.maxOffset, true);
  }

  async #read(
    offset: number,
    maxBytes: number,
    maxOffset: number | undefined,
    mayStay: boolean,
  ): Promise<Buffer | StoredBytes> {
    if (this.#offline) throw this.#offline;
    this.checkRange(offset);
    const end = Math.min(this.highWatermark, maxOffset ?? this.highWatermark);
    if (offset >= end) return NOTHING;
    const cached = this.#writer.cache.read(offset, maxBytes, end);
    if (cached) return cached;
    const segment = this.#segmentOf(offset);
    if (segment.sealed) this.#shared.openSegments.touch(segment);
    try {
      const stored = mayStay ? await segment.stored(offset, maxBytes, end) : undefined;
      return stored ?? this.#decrypt(await segment.read(offset, maxBytes, segment.summary.sizeBytes, end));
    } catch (error) {
      this.checkRange(offset); // deleted meanwhile
      throw this.#unreadable(segment, offset, error);
    }
  }

  /**
   * The first offset from `offset` on where a record with the key may be, the log's end when there is none: sealed segments that don't have
   * the key are passed over. The first look at a segment reads it whole.
   */
  async seekKey(offset: number, key: Uint8Array): Promise<number> {
    const hash = hashKey(key);
    let at = Math.max(offset, this.#logStart);
    while (at < this.logEnd) {
      const segment = this.#segmentOf(at);
      // One that cannot be read is for the reader to find.
      const filter = await segment.keyFilter()?.catch(() => undefined);
      if (filter === undefined || filter.mayHold(hash)) return Math.max(at, this.#logStart);
      this.#shared.openSegments.touch(segment);
      at = Math.max(segment.summary.endOffset, this.#logStart);
    }
    return this.logEnd;
  }

  /** Where a leader epoch ends (OffsetForLeaderEpoch): the largest epoch not above it and the offset after that one's last. */
  offsetForEpoch(epoch: number): { epoch: number; endOffset: number } | undefined {
    const after = this.#epochs.findIndex((known) => known.epoch > epoch);
    if (after === 0) return { epoch, endOffset: this.#epochs[0]!.startOffset };
    if (after > 0) return { epoch: this.#epochs[after - 1]!.epoch, endOffset: this.#epochs[after]!.startOffset };
    return epoch > this.leaderEpoch ? undefined : { epoch: this.leaderEpoch, endOffset: this.logEnd };
  }

  /** The epoch an offset was appended in. */
  epochOf(offset: number): number {
    return this.#epochs.findLast((known) => known.startOffset <= offset)?.epoch ?? this.leaderEpoch;
  }

  /** The first readable record whose timestamp is `timestampMs` or later (ListOffsets by time); undefined when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimedOffset | undefined> {
    return firstAtOrAfter(this.#segments, timestampMs, this.#logStart, this.highWatermark, this.#decrypt);
  }

  /** The first record with the largest timestamp (KIP-734); undefined when nothing is readable. */
  maxTimestamp(): Promise<TimedOffset | undefined> {
    return firstOfLargest(this.#segments, this.#logStart, this.highWatermark, this.#decrypt);
  }

  /** Moves the log start up to `offset` (−1: the high watermark), durably, and deletes the segments below. Returns the log start. */
  deleteRecordsBefore(offset: number): Promise<number> {
    if (this.#offline) throw this.#offline;
    const target = offset === -1 ? this.highWatermark : offset;
    if (target < 0 || target > this.highWatermark) {
      throw new StreamError('REQUEST_INVALID', `offset ${offset} is outside 0 to ${this.highWatermark}`);
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
      this.#writer.producers.expire(now);
      if (!this.settings.deletes || this.#offline) return 0;
      const active = this.#segments.at(-1)!;
      if (this.#expired(active, now)) await this.#writer.roll(now);
      let excess = this.settings.retentionBytes < 0 ? 0 : this.sizeBytes - this.settings.retentionBytes;
      let drop = 0;
      while (drop < this.#segments.length - 1) {
        const segment = this.#segments[drop]!;
        if (!segment.sealed || segment.summary.endOffset > this.highWatermark) break;
        excess -= segment.summary.sizeBytes;
        if (excess < 0 && !this.#expired(segment, now)) break;
        drop++;
      }
      if (drop > 0) await this.#moveLogStart(Math.max(this.#logStart, this.#segments[drop]!.baseOffset));
      return drop;
    });
  }

  /** Log compaction, if cleanup.policy asks for it and enough has come. Returns the bytes that went. */
  compact(): Promise<number> {
    return this.#maintain(async () => {
      const { settings } = this;
      if (!settings.compacts || this.#closed || this.#offline) return 0;
      const now = this.#shared.clock.nowMs();
      const active = this.#segments.at(-1)!;
      if (
        !active.empty &&
        now - active.header.createdAtMs >= Math.min(settings.segmentMs, settings.maxCompactionLagMs)
      ) {
        await this.#writer.roll(now);
      }
      const cleanable: Segment[] = [];
      for (const segment of this.#segments.slice(0, -1)) {
        const { endOffset, maxTimestampMs } = segment.summary;
        // Without a lag producers whose clocks run ahead hold nothing back.
        const isYoung = settings.minCompactionLagMs > 0 && now - maxTimestampMs < settings.minCompactionLagMs;
        if (!segment.sealed || endOffset > this.lastStableOffset || isYoung) break;
        cleanable.push(segment);
      }
      if (cleanable.length === 0) return 0;
      this.#cleaner ??= new Cleaner(this.#shared, this.#directory, this.#place);
      const aborted = this.abortedTransactions(cleanable[0]!.baseOffset, cleanable.at(-1)!.summary.endOffset);
      const replaced = (old: readonly Segment[], by: Segment): void => {
        this.#segments.splice(this.#segments.indexOf(old[0]!), old.length, by);
        this.#writer.cache.dropBelow(by.summary.endOffset);
        for (const one of old) {
          this.#shared.openSegments.forget(one);
          void one.retire();
        }
      };
      const isActive = (producerId: number): boolean => this.#writer.producers.get(producerId) !== undefined;
      return this.#cleaner.clean({ cleanable, logStart: this.#logStart, aborted, isActive, replaced }, settings);
    });
  }

  /** Completes what is queued and makes the next start quick. False when that start will have to recover. */
  async close(): Promise<boolean> {
    if (this.#closed) return true;
    this.#closed = true;
    this.#cancelDeletions();
    await this.#maintenance;
    const saved = await this.#writer.close();
    // The next start must not take damaged files on trust.
    return saved && this.#offline === undefined;
  }

  /** Stops without keeping anything: the topic is being deleted. */
  async abandon(): Promise<void> {
    this.#closed = true;
    this.#cancelDeletions();
    await this.#maintenance;
    await this.#writer.abandon(new StreamError('NOT_FOUND', `topic ${this.topic} was deleted`));
  }

  #refuses(header: BatchHeader, now: number, origin: AppendOrigin): number | undefined {
    assert(header.magic === 2, 'only record batches v2 are stored');
    assert(header.lastOffsetDelta >= 0, 'a record batch holds at least one record');
    if (origin === 'coordinator') return undefined;
    if (header.sizeBytes > this.settings.maxMessageBytes) return ERROR_CODES.MESSAGE_TOO_LARGE;
    if (header.isControl) return ERROR_CODES.INVALID_RECORD;
    if (header.isTransactional && (origin !== 'transaction' || header.producerId < 0))
      return ERROR_CODES.INVALID_TXN_STATE;
    if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
      return ERROR_CODES.INVALID_RECORD;
    if (!this.settings.logAppendTime && header.maxTimestamp - now > this.settings.timestampAfterMaxMs) {
      return ERROR_CODES.INVALID_TIMESTAMP;
    }
    return undefined;
  }

  /** Whether a record lies further in the past than message.timestamp.before.max.ms allows; a batch that cannot be read is not judged here. */
  #isTooOld(batch: Buffer, header: BatchHeader, now: number): boolean {
    const { timestampBeforeMaxMs, logAppendTime } = this.settings;
    if (logAppendTime || timestampBeforeMaxMs === Number.POSITIVE_INFINITY) return false;
    try {
      for (const { timestampMs } of rawRecords(batch, header))
        if (now - timestampMs > timestampBeforeMaxMs) return true;
    } catch {
      return false;
    }
    return false;
  }

  /** Checks sequences and queues the batches, or says where they were stored before. */
  #admit(data: Buffer, headers: readonly BatchHeader[], now: number): AppendResult {
    const { logAppendTime } = this.settings;
    const verdict = this.#writer.producers.checkAll(headers);
    if (verdict === 'old epoch') return refused(ERROR_CODES.INVALID_PRODUCER_EPOCH);
    if (verdict === 'out of order') return refused(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    if (verdict !== 'ok') {
      const { baseOffset, timestampMs } = verdict.first;
      const logAppendTimeMs = logAppendTime ? timestampMs : -1;
      return { baseOffset, lastOffset: verdict.last.lastOffset, logAppendTimeMs, duplicate: true };
    }
    const baseOffset = this.logEnd;
    let at = 0;
    for (const { sizeBytes } of headers) {
      this.#writer.enqueue(headers.length === 1 ? data : data.subarray(at, at + sizeBytes), now);
      at += sizeBytes;
    }
    return { baseOffset, lastOffset: this.logEnd - 1, logAppendTimeMs: logAppendTime ? now : -1 };
  }

  #expired(segment: Segment, now: number): boolean {
    if (this.settings.retentionMs < 0 || segment.summary.batchCount === 0) return false;
    return now - segment.summary.maxTimestampMs > this.settings.retentionMs;
  }

  async #moveLogStart(offset: number): Promise<void> {
    await writeLogStart(this.#shared, this.#directory, offset);
    this.#logStart = offset;
    while (this.#epochs.length > 1 && this.#epochs[1]!.startOffset <= offset) this.#epochs.shift();
    const kept = this.#segments.findIndex((segment, at) => {
      return at === this.#segments.length - 1 || segment.summary.endOffset > offset || !segment.sealed;
    });
    for (const segment of this.#segments.splice(0, kept)) {
      this.#shared.openSegments.forget(segment);
      if (this.settings.fileDeleteDelayMs === 0) await segment.delete();
      else this.#deleteLater(segment);
    }
  }

  #deleteLater(segment: Segment): void {
    const timer = this.#shared.clock.setTimeout(() => {
      this.#deletions.delete(segment);
      void this.#maintain(() => segment.delete()).catch((error: unknown) => {
        this.#shared.log.warn('a segment was not removed', { path: segment.path, reason: String(error) });
      });
    }, this.settings.fileDeleteDelayMs);
    this.#deletions.set(segment, timer);
  }

  /** What is still to be removed the next start removes: it lies below the log start. */
  #cancelDeletions(): void {
    for (const [segment, timer] of this.#deletions) {
      timer.cancel();
      void segment.retire();
    }
    this.#deletions.clear();
  }

  /** One maintenance step after another. */
  #maintain<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#maintenance.then(step);
    this.#maintenance = done.catch(() => {});
    return done;
  }

  #knownEpochs(): EpochStart[] {
    const epochs: EpochStart[] = [];
    const present = { epoch: this.leaderEpoch, startOffset: this.logEnd };
    for (const known of [...this.#segments.flatMap((segment) => segment.summary.epochs), present]) {
      if (epochs.length === 0 || known.epoch > epochs.at(-1)!.epoch) {
        if (epochs.at(-1)?.startOffset === known.startOffset) epochs.pop();
        epochs.push(known);
      }
    }
    return epochs;
  }

  /** REQUEST_INVALID outside [logStart, logEnd]. */
  checkRange(offset: number): void {
    if (offset >= this.#logStart && offset <= this.logEnd) return;
    const name = `${this.topic}-${this.partition}`;
    throw new StreamError(
      'REQUEST_INVALID',
      `offset ${offset} of ${name} is out of range ${this.#logStart} to ${this.logEnd}`,
    );
  }

  /** Says once per offset in the log that a file cannot be read: consumers that cannot get past it ask again and again. */
  #unreadable(segment: Segment, offset: number, cause: unknown): StreamError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (this.#unreadableAt !== offset) {
      this.#unreadableAt = offset;
      this.#shared.log.error('a read failed', { path: segment.path, topic: this.topic, offset, reason });
    }
    if (cause instanceof StreamError && cause.code === 'STORAGE_FAILED') return cause;
    return new StreamError('STORAGE_FAILED', `segment ${segment.path} cannot be read at offset ${offset}: ${reason}`, {
      cause,
    });
  }

  *#summariesFrom(offset: number): IterableIterator<SegmentSummary> {
    for (let at = this.#positionOf(offset); at < this.#segments.length; at++) yield this.#segments[at]!.summary;
  }

  #segmentOf(offset: number): Segment {
    return this.#segments[this.#positionOf(offset)]!;
  }

  #positionOf(offset: number): number {
    let low = 0;
    for (let high = this.#segments.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.#segments[middle]!.baseOffset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function refused(error: number): AppendResult {
  return { baseOffset: -1, lastOffset: -1, logAppendTimeMs: -1, error };
}

/** Every batch in the topic's codec. ProtocolError when one cannot be inflated. */
function recompressed(batches: Buffer, codec: CodecName): Buffer {
  const out: Buffer[] = [];
  for (let at = 0; at < batches.length; ) {
    const header = readBatchHeader(batches, at);
    out.push(recompressBatch(batches.subarray(at, at + header.sizeBytes), header, codec));
    at += header.sizeBytes;
  }
  return out.length === 1 ? out[0]! : Buffer.concat(out);
}

/** A copy when keeping the buffer would keep a much larger one (a network frame) alive. */
function ownBuffer(data: Buffer): Buffer {
  const held = data.buffer.byteLength;
  return held > Buffer.poolSize && held > 2 * data.length ? Buffer.from(data) : data;
}
