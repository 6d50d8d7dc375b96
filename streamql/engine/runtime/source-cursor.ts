import { type ErrorCode, StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { SourceSpec } from '../../../src/ports/engine.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { RecordCursor } from '../../../src/protocol/records.ts';
import type { LogReader, TopicState } from './log-reader.ts';
import { PartitionFeed } from './partition-feed.ts';
import { DECODE, type DecodedOutput, type PartitionPosition, type RecordDecoder } from './record-decoder.ts';
import type { EngineSettings } from './settings.ts';

/** What a checkpoint holds of a cursor. */
export interface CursorState {
  readonly topicId: string | null;
  /** `maxTime` is null before the first time. */
  readonly partitions: readonly {
    readonly partition: number;
    readonly next: number;
    readonly maxTime: number | null;
    /** Null or absent before the first record. */
    readonly streamMs?: number | null;
  }[];
}

/** Shares of a source's chunk size that many partitions get; small chunks would cost a message each for few records. */
const LEAST_CHUNK_BYTES = 64 << 10;
const CHUNK_BYTES_OF_SOURCE = 8 << 20;

interface Partition extends PartitionPosition {
  logStart: number;
  highWatermark: number;
  feed: PartitionFeed;
  /** The chunk being decoded and the offset after it. */
  records: RecordCursor | null;
  /** Whether `records` stands on a record that was not taken because of a limit. */
  held: boolean;
  end: number;
}

export interface CursorParts {
  readonly log: LogReader;
  readonly logger: Log;
  readonly settings: EngineSettings;
  /** Something can be decoded now. */
  readonly onReady: () => void;
  /** Which partitions are read; the others are another shard's. */
  readonly owns: (partition: number) => boolean;
  readonly isFirst: boolean;
  /** The log could not be read. The cursor stays where it is; `update` with a fresh description tries again. */
  readonly onError: (error: StreamError) => void;
}

/**
 * Reads all partitions of a source's topic in turns and decodes them. `step` is synchronous and takes what is there; reading
 * goes on behind it. Positions are exact between steps.
 */
export class SourceCursor {
  readonly #spec: SourceSpec;
  readonly #parts: CursorParts;
  readonly #output: Pick<DecodedOutput, 'onMalformed'>;
  decoder: RecordDecoder;
  #topicId: string | null;
  readonly #restored = new Map<number, { next: number; maxTime: number | null; streamMs: number | null }>();
  #partitions: Partition[] = [];
  readonly #byNumber = new Map<number, Partition>();
  /** Of the topic, with those that others read. */
  partitions = 0;
  #turn = 0;
  /** Records taken, malformed ones included. */
  records = 0;

  constructor(
    spec: SourceSpec,
    decoder: RecordDecoder,
    output: Pick<DecodedOutput, 'onMalformed'>,
    parts: CursorParts,
    from: CursorState | null,
  ) {
    this.#spec = spec;
    this.#parts = parts;
    this.#output = output;
    this.decoder = decoder;
    this.#topicId = from?.topicId ?? null;
    for (const { partition, next, maxTime, streamMs = null } of from?.partitions ?? []) {
      if (parts.owns(partition)) this.#restored.set(partition, { next, maxTime, streamMs });
    }
  }

  get positions(): readonly (PartitionPosition & { readonly highWatermark: number })[] {
    return this.#partitions;
  }

  /** Offset of the next record of a partition; undefined before the topic was described with it. */
  position(partition: number): number | undefined {
    return this.#byNumber.get(partition)?.next ?? this.#restored.get(partition)?.next;
  }

  /** Records of the log up to its end, and of them those that were not read. */
  get extent(): { total: number; left: number } {
    let total = 0;
    let left = 0;
    for (const { logStart, highWatermark, next } of this.#partitions) {
      total += highWatermark - logStart;
      left += Math.max(0, highWatermark - Math.max(next, logStart));
    }
    return { total, left };
  }

  /** Whether records below the high watermark are still to be read from the log. */
  get behind(): boolean {
    return this.#partitions.some((partition) => partition.next < partition.highWatermark);
  }

  /** How many they are. */
  get backlog(): number {
    return this.#partitions.reduce((sum, { next, highWatermark }) => sum + Math.max(0, highWatermark - next), 0);
  }

  /** Whether a `step` would bring it further. */
  get ready(): boolean {
    return this.readyBelow(() => Number.POSITIVE_INFINITY);
  }

  readyBelow(limits: (partition: number) => number): boolean {
    return this.#partitions.some((at) => (at.records !== null || at.feed.ready) && at.next < limits(at.partition));
  }

  /** Takes over news of the topic: more records, more partitions, older records gone, the topic made anew or deleted. */
  update(state: TopicState | undefined): void {
    if (state === undefined) return;
    // A partition that cannot be read has no end to be compared with, and a view without its records would be wrong: all of it waits.
    const offline = state.partitions.find((partition) => partition.offline !== undefined)?.offline;
    if (offline !== undefined) {
      this.#parts.onError(new StreamError('STORAGE_FAILED', offline));
      return;
    }
    if (this.#topicId !== null && this.#topicId !== state.id) {
      this.#parts.logger.warn('source.topic_recreated', { source: this.#spec.name, topic: this.#spec.topic });
      for (const partition of this.#partitions) partition.feed.stop();
      this.#partitions = [];
      this.#byNumber.clear();
      this.#restored.clear();
    }
    this.#topicId = state.id;
    this.partitions = state.partitions.length;
    state.partitions.forEach(({ logStart, highWatermark }, partition) => {
      if (!this.#parts.owns(partition)) return;
      let at = this.#byNumber.get(partition);
      const fresh = at === undefined;
      if (at === undefined) {
        const from = this.#restored.get(partition);
        const next = from?.next ?? logStart;
        at = {
          partition,
          next,
          maxTime: from?.maxTime ?? Number.NEGATIVE_INFINITY,
          streamMs: from?.streamMs ?? Number.NEGATIVE_INFINITY,
          logStart,
          highWatermark,
          feed: this.#feed(partition, next, state.partitions.length),
          records: null,
          held: false,
          end: next,
        };
        this.#partitions.push(at);
        this.#byNumber.set(partition, at);
      }
      const exhausted = at.records === null && !at.feed.ready;
      // Beyond the end only after a log lost what was not durable; later news never goes back behind what was read.
      const lost = fresh && at.next > highWatermark;
      if ((exhausted && at.next < logStart) || lost) {
        const to = lost ? highWatermark : logStart;
        this.#parts.logger.warn('source.offset_out_of_range', {
          source: this.#spec.name,
          partition,
          from: at.next,
          to,
        });
        at.feed.stop();
        at.next = to;
        at.records = null;
        at.feed = this.#feed(partition, to, state.partitions.length);
      }
      at.logStart = logStart;
      at.highWatermark = highWatermark;
      at.feed.advance(highWatermark);
    });
  }

  /**
   * Decodes at most `most` records of one partition. With `limits`, stops short of that offset in each partition, exactly at it when
   * all before it is read. False when nothing was to be had.
   */
  step(most: number, limits?: (partition: number) => number): boolean {
    const count = this.#partitions.length;
    for (let i = 0; i < count; i++) {
      const at = this.#partitions[(this.#turn + i) % count];
      const limit = limits === undefined ? Number.POSITIVE_INFINITY : limits(at.partition);
      if (at.next >= limit || !this.#take(at, most, limit)) continue;
      this.#turn = (this.#turn + i + 1) % count;
      return true;
    }
    return false;
  }

  state(): CursorState {
    const partitions = new Map([...this.#restored].map(([partition, at]) => [partition, { partition, ...at }]));
    const known = (time: number): number | null => (Number.isFinite(time) ? time : null);
    for (const { partition, next, maxTime, streamMs } of this.#partitions) {
      partitions.set(partition, { partition, next, maxTime: known(maxTime), streamMs: known(streamMs) });
    }
    return { topicId: this.#topicId, partitions: [...partitions.values()] };
  }

  close(): void {
    for (const partition of this.#partitions) partition.feed.stop();
  }

  #feed(partition: number, offset: number, partitions: number): PartitionFeed {
    const { log, settings, onReady, onError } = this.#parts;
    const share = Math.max(LEAST_CHUNK_BYTES, Math.floor(CHUNK_BYTES_OF_SOURCE / partitions));
    const chunkBytes = Math.min(settings.chunkBytes, share);
    return new PartitionFeed(log, { topic: this.#spec.topic, partition, offset, chunkBytes }, onReady, onError);
  }

  #take(at: Partition, most: number, limit: number): boolean {
    if (at.records === null) {
      const chunk = at.feed.take();
      if (chunk === undefined) return false;
      at.records = new RecordCursor(chunk.bytes);
      at.end = chunk.end;
      at.held = false;
    }
    const records = at.records;
    let taken = 0;
    while (taken < most) {
      if (!at.held && !this.#next(at, records)) {
        at.records = null;
        at.next = Math.max(at.next, Math.min(at.end, limit));
        break;
      }
      at.held = records.offset >= limit;
      if (at.held) {
        at.next = limit;
        break;
      }
      if (records.offset < at.next) continue;
      this.decoder.take(records, at.partition);
      at.next = records.offset + 1;
      taken++;
    }
    this.records += taken;
    this.decoder.finish(at);
    return true;
  }

  /** The next record that can be read; a batch that cannot becomes one dead letter. */
  #next(at: Partition, records: RecordCursor): boolean {
    for (;;) {
      try {
        return records.next();
      } catch (thrown) {
        if (!(thrown instanceof ProtocolError)) throw thrown;
        if (records.failedLastOffset < at.next) continue;
        this.#output.onMalformed({
          code: 'RECORD_MALFORMED' satisfies ErrorCode,
          reason: thrown.message,
          topic: this.#spec.topic,
          partition: at.partition,
          offset: Math.max(at.next, records.failedBaseOffset),
          timestampMs: 0,
          value: null,
          operator: DECODE,
        });
      }
    }
  }
}
