import { assert } from '../lib/assert.ts';
import type { DiskFile } from '../ports/disk.ts';
import { type BatchHeader, readBatchHeader } from '../protocol/records.ts';
import { decodeChecked, encodeChecked } from './checked-file.ts';
import { filterBatch, LatestOffsets, type RawRecord, rawRecords } from './compaction.ts';
import { TEMPORARY_SUFFIX } from './disk/node-disk.ts';
import { type BatchPlace, decryptBatches } from './encryption.ts';
import type { LogShared } from './log-shared.ts';
import { rebuild, Segment } from './segment.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import type { SegmentSummary } from './segment-index.ts';
import type { TopicSettings } from './topic-config.ts';

const CLEANER_FILE = 'cleaner';
const READ_BYTES = 4 << 20;
/** Memory for the keys of one pass, as log.cleaner.dedupe.buffer.size of Kafka. */
const KEY_BYTES = 128 << 20;

/** So many small segments are merged however small they are beside their neighbour. */
const LONG_RUN = 8;

type Replaced = (old: readonly Segment[], by: Segment) => void;

/** What earlier passes did. Kept beside the segments, so that a restart goes on. */
interface CleanerState {
  /** Keys below this offset were compared with each other. */
  cleanEnd: number;
  /** By base offset of a segment: when it was first cleaned, if tombstones may still be in it. */
  tombstonesSinceMs: Record<string, number>;
}

/**
 * Log compaction of one partition (Kafka's documentation, "Log Compaction"): of each key the newest record stays, at its offset. Only sealed
 * segments below the last stable offset are touched, each is written anew and renamed over the old one, so that a crash leaves the one or
 * the other whole. Small neighbours are then merged. Transactional batches stay as they are and supersede nothing, and tombstones after them stay too. Time is linear in the bytes that
 * are cleaned; memory is bound by KEY_BYTES, beyond which a pass stops and the next goes on.
 */
export class Cleaner {
  readonly #shared: LogShared;
  readonly #directory: string;
  readonly #place: BatchPlace;
  #state: CleanerState | undefined;

  constructor(shared: LogShared, directory: string, place: BatchPlace) {
    this.#shared = shared;
    this.#directory = directory;
    this.#place = place;
  }

  /**
   * Cleans if enough is dirty, or too old, or tombstones are due. `replaced` is called in the moment the file of one segment, or the first of
   * several neighbours, has given way to that of another one. Nothing below `logStart` is kept. Returns the bytes that went.
   */
  async clean(
    cleanable: readonly Segment[],
    settings: TopicSettings,
    logStart: number,
    replaced: Replaced,
  ): Promise<number> {
    this.#state ??= await this.#readState();
    const state = this.#state;
    const nowMs = this.#shared.clock.nowMs();
    if (!this.#isDue(cleanable, settings, nowMs)) return 0;
    const { latest, end } = await this.#latestOffsets(cleanable, Math.max(state.cleanEnd, logStart));
    let freedBytes = 0;
    const tombstones: Record<string, number> = {};
    const isDue = ({ baseOffset }: Segment): boolean =>
      nowMs - (state.tombstonesSinceMs[baseOffset] ?? nowMs) >= settings.deleteRetentionMs;
    const transactionsFrom = await firstTransaction(cleanable.slice(0, cleanable.findLastIndex(isDue) + 1));
    const cleaned: Segment[] = [];
    for (const segment of cleanable) {
      if (segment.baseOffset >= end) break;
      const sinceMs = state.tombstonesSinceMs[segment.baseOffset];
      const due = sinceMs !== undefined && isDue(segment);
      // A transactional record is not superseded: without the tombstone after it its key would be back.
      const dropTombstones = due && segment.summary.endOffset <= transactionsFrom;
      const keep = ({ offset, key, isTombstone }: RawRecord): boolean => {
        if (offset < logStart) return false;
        if (offset >= end || key === null) return true;
        return !latest.isSuperseded(key, offset) && !(isTombstone && dropTombstones);
      };
      const { by, hasTombstones } = await this.#rewrite(segment, keep, replaced);
      if (hasTombstones) tombstones[segment.baseOffset] = due ? nowMs : (sinceMs ?? nowMs);
      cleaned.push(by ?? segment);
      if (by === undefined) continue;
      freedBytes += segment.summary.sizeBytes - by.summary.sizeBytes;
    }
    for (const group of neighbours(cleaned, settings.segmentBytes)) {
      await this.#merge(group, replaced);
      const since = group.map(({ baseOffset }) => tombstones[baseOffset]).filter((ms) => ms !== undefined);
      for (const { baseOffset } of group) delete tombstones[baseOffset];
      if (since.length > 0) tombstones[group[0]!.baseOffset] = Math.max(...since);
    }
    this.#state = { cleanEnd: Math.max(end, state.cleanEnd), tombstonesSinceMs: tombstones };
    await this.#shared.disk.replaceFile(
      `${this.#directory}/${CLEANER_FILE}`,
      encodeChecked('cleaner', 1, JSON.stringify(this.#state)),
    );
    if (freedBytes > 0) this.#shared.log.info('compacted', { directory: this.#directory, freedBytes, to: end });
    return freedBytes;
  }

  #isDue(cleanable: readonly Segment[], settings: TopicSettings, nowMs: number): boolean {
    const { cleanEnd, tombstonesSinceMs } = this.#state as CleanerState;
    let cleanBytes = 0;
    let dirtyBytes = 0;
    let oldestDirtyMs = Number.POSITIVE_INFINITY;
    for (const { summary, header } of cleanable) {
      if (summary.endOffset <= cleanEnd) cleanBytes += summary.sizeBytes;
      else {
        dirtyBytes += summary.sizeBytes;
        oldestDirtyMs = Math.min(oldestDirtyMs, header.createdAtMs);
      }
    }
    if (dirtyBytes > 0 && dirtyBytes / (dirtyBytes + cleanBytes) >= settings.minCleanableDirtyRatio) return true;
    if (nowMs - oldestDirtyMs >= settings.maxCompactionLagMs) return true;
    return Object.values(tombstonesSinceMs).some((sinceMs) => nowMs - sinceMs >= settings.deleteRetentionMs);
  }

  /** The keys from `from` to the end of what is cleanable, or to where memory ends. */
  async #latestOffsets(cleanable: readonly Segment[], from: number): Promise<{ latest: LatestOffsets; end: number }> {
    const latest = new LatestOffsets(KEY_BYTES);
    let end = from;
    for (const segment of cleanable) {
      if (segment.summary.endOffset <= from) continue;
      for await (const { batch, header } of segment.batches()) {
        if (header.lastOffset < from) continue;
        if (latest.full) return { latest, end };
        if (!header.isTransactional && !header.isControl) {
          for (const { key, offset } of rawRecords(...this.#open(batch, header)))
            if (key !== null && offset >= from) latest.note(key, offset);
        }
        end = header.lastOffset + 1;
      }
    }
    return { latest, end };
  }

  /** The batch as it was produced, whether it is encrypted or not. */
  #open(batch: Buffer, header: BatchHeader): [Buffer, BatchHeader] {
    const plain = decryptBatches(batch, this.#shared.keys, this.#place);
    return plain === batch ? [batch, header] : [plain, readBatchHeader(plain)];
  }

  /** The segment with only what `keep` wants, in place of the old file; undefined when nothing goes. */
  async #rewrite(
    segment: Segment,
    keep: (record: RawRecord) => boolean,
    replaced: Replaced,
  ): Promise<{ by: Segment | undefined; hasTombstones: boolean }> {
    // The last batch of a producer carries the sequence that its next one continues, and the last of all the end offset.
    const lastOfProducer = new Map<number, number>();
    for await (const { header } of segment.batches()) lastOfProducer.set(header.producerId, header.baseOffset);
    const { disk } = this.#shared;
    const temporary = `${segment.path}${TEMPORARY_SUFFIX}`;
    const header = { ...segment.header, compacted: true };
    const file = await disk.open(temporary, 'create');
    let hasTombstones = false;
    let changed = false;
    try {
      await file.append([encodeSegmentHeader(header)]);
      for await (const { batch, header } of segment.batches()) {
        const isLast = header.lastOffset + 1 === segment.summary.endOffset;
        const mustStay =
          isLast || (header.producerId >= 0 && lastOfProducer.get(header.producerId) === header.baseOffset);
        let out: Buffer | undefined = batch;
        if (!header.isTransactional && !header.isControl) {
          const [plain, plainHeader] = this.#open(batch, header);
          const filtered = filterBatch(
            plain,
            plainHeader,
            (record) => {
              const kept = keep(record);
              if (kept && record.isTombstone) hasTombstones = true;
              return kept;
            },
            mustStay,
          );
          if (filtered?.length !== plain.length) {
            out =
              filtered === undefined || plain === batch ? filtered : this.#shared.keys!.encrypt(filtered, this.#place);
            changed = true;
          }
        }
        if (out !== undefined) await file.append([out]);
      }
      if (!changed) return { by: undefined, hasTombstones };
      await file.sync();
      // What is known of transactions needs the segments before; their batches did not change.
      const { aborted, open } = segment.summary;
      const by = await this.#put(file, temporary, header, { aborted, open }, [segment], replaced);
      return { by, hasTombstones };
    } finally {
      await file.close();
      await disk.remove(temporary);
    }
  }

  /** Neighbours as one file, under the name of the first. The others' files go when it stands: a start knows what is left of them. */
  async #merge(group: readonly Segment[], replaced: Replaced): Promise<void> {
    const { disk } = this.#shared;
    const first = group[0]!;
    const temporary = `${first.path}${TEMPORARY_SUFFIX}`;
    const header = { ...first.header, compacted: true, mergedLink: group.at(-1)!.link };
    const file = await disk.open(temporary, 'create');
    try {
      await file.append([encodeSegmentHeader(header)]);
      for (const segment of group) {
        const { sizeBytes } = segment.summary;
        for (let at = SEGMENT_HEADER_BYTES; at < sizeBytes; at += READ_BYTES) {
          await file.append([await segment.bytes(at, Math.min(at + READ_BYTES, sizeBytes))]);
        }
      }
      await file.sync();
      const aborted = group.flatMap(({ summary }) => summary.aborted);
      await this.#put(file, temporary, header, { aborted, open: group.at(-1)!.summary.open }, group, replaced);
      for (const segment of group.slice(1)) await segment.delete();
      await disk.syncDirectory(this.#directory);
    } finally {
      await file.close();
      await disk.remove(temporary);
    }
  }

  /** Gives the written and synced file the place of the first of the segments whose records it holds. */
  async #put(
    file: DiskFile,
    temporary: string,
    header: SegmentHeader,
    transactions: Pick<SegmentSummary, 'aborted' | 'open'>,
    old: readonly Segment[],
    replaced: Replaced,
  ): Promise<Segment> {
    const { disk } = this.#shared;
    const { summary, index } = await rebuild(file, header, file.size, false);
    const by = Segment.existing(disk, this.#directory, header, { ...summary, ...transactions }, undefined);
    assert(summary.endOffset === old.at(-1)!.summary.endOffset, 'compaction keeps where a segment ends');
    await disk.remove(old[0]!.sidecarPath);
    await disk.syncDirectory(this.#directory);
    // Whoever reads the old segments meanwhile has their files and indexes, which belong together.
    await holding(old, async () => {
      await disk.rename(temporary, by.path);
      replaced(old, by);
    });
    await disk.syncDirectory(this.#directory);
    await by.writeSidecar(index).catch((error: unknown) => {
      this.#shared.log.warn('no sidecar', { path: by.path, reason: String(error) });
    });
    return by;
  }

  async #readState(): Promise<CleanerState> {
    const path = `${this.#directory}/${CLEANER_FILE}`;
    if (!(await this.#shared.disk.exists(path))) return { cleanEnd: 0, tombstonesSinceMs: {} };
    return JSON.parse(
      String(decodeChecked('cleaner', 1, await this.#shared.disk.readFile(path), path)),
    ) as CleanerState;
  }
}

/** Runs `work` while all of these are open. */
async function holding(segments: readonly Segment[], work: () => Promise<void>): Promise<void> {
  const [first, ...rest] = segments;
  if (first === undefined) return work();
  await first.use(async () => {
    await first.file();
    await first.index();
    await holding(rest, work);
  });
}

/**
 * Runs of segments that fit one. A run is worth its writing when it at least doubles its largest member, or is long: so a byte is merged
 * a number of times that grows with the logarithm of what there is.
 */
function neighbours(segments: readonly Segment[], segmentBytes: number): Segment[][] {
  const groups: Segment[][] = [];
  let group: Segment[] = [];
  let bytes = 0;
  let largest = 0;
  const end = (): void => {
    if (group.length > 1 && (bytes >= 2 * largest || group.length >= LONG_RUN)) groups.push(group);
    group = [];
    bytes = 0;
    largest = 0;
  };
  for (const segment of segments) {
    const own = segment.summary.sizeBytes - SEGMENT_HEADER_BYTES;
    const span = segment.summary.endOffset - (group[0]?.baseOffset ?? segment.baseOffset);
    if (bytes + own + SEGMENT_HEADER_BYTES > segmentBytes || span > 0x7fffffff) end();
    group.push(segment);
    bytes += own;
    largest = Math.max(largest, own);
  }
  end();
  return groups;
}

/** Where the first transactional record is; infinite when there is none. */
async function firstTransaction(segments: readonly Segment[]): Promise<number> {
  for (const segment of segments) {
    for await (const { header } of segment.batches()) {
      if (header.isTransactional && !header.isControl) return header.baseOffset;
    }
  }
  return Number.POSITIVE_INFINITY;
}
