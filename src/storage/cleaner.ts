import { assert } from '../lib/assert.ts';
import type { DiskFile } from '../ports/disk.ts';
import { type BatchHeader, readBatchHeader } from '../protocol/records.ts';
import { decodeChecked, encodeChecked } from './checked-file.ts';
import {
  filterBatch,
  LatestOffsets,
  type RawRecord,
  rawRecords,
  withDeleteHorizon,
  withoutTransaction,
} from './compaction.ts';
import { TEMPORARY_SUFFIX } from './disk/node-disk.ts';
import { type BatchPlace, decryptBatches } from './encryption.ts';
import type { LogShared } from './log-shared.ts';
import { rebuild, Segment } from './segment.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import type { SegmentSummary } from './segment-index.ts';
import type { TopicSettings } from './topic-config.ts';
import { deleteHorizonOf, TransactionPass } from './transaction-cleaning.ts';
import type { AbortedTransaction } from './transaction-index.ts';

const CLEANER_FILE = 'cleaner';
const READ_BYTES = 4 << 20;
/** Memory for the keys of one pass, as log.cleaner.dedupe.buffer.size of Kafka. */
const KEY_BYTES = 128 << 20;

/** So many small segments are merged however small they are beside their neighbour. */
const LONG_RUN = 8;

type Replaced = (old: readonly Segment[], by: Segment) => void;

/** What the log knows that is being cleaned. */
export interface CleanedLog {
  /** Sealed segments below the last stable offset, oldest first. */
  readonly cleanable: readonly Segment[];
  /** Nothing below is kept. */
  readonly logStart: number;
  /** The aborted transactions with records in these segments, in the order of their markers. */
  readonly aborted: readonly AbortedTransaction[];
  /** Whether the log still keeps the sequences of the producer. */
  readonly isActive: (producerId: number) => boolean;
  /** Called in the moment the file of one segment, or the first of several neighbours, has given way to that of another one. */
  readonly replaced: Replaced;
}

/** What goes on in one pass. */
interface Pass {
  readonly log: CleanedLog;
  readonly settings: TopicSettings;
  readonly nowMs: number;
  readonly transactions: TransactionPass;
  /** The batches by base offset that carry where a producer's next sequence begins, or its epoch. */
  readonly lastOfProducers: ReadonlySet<number>;
  /** When the first marker may go that has nothing before it any more. */
  markersDueMs: number;
}

/** What earlier passes did. Kept beside the segments, so that a restart goes on. */
interface CleanerState {
  /** Missing in what was written when transactions were not cleaned: all is dirty then. */
  readonly transactions?: true;
  /** From when on markers may go. */
  readonly markersDueMs?: number;
  /** Keys below this offset were compared with each other. */
  cleanEnd: number;
  /** By base offset of a segment: when it was first cleaned, if tombstones may still be in it. */
  tombstonesSinceMs: Record<string, number>;
}

/**
 * Log compaction of one partition (Kafka's documentation, "Log Compaction"): of each key the newest record stays, at its offset. Only sealed
 * segments below the last stable offset are touched, each is written anew and renamed over the old one, so that a crash leaves the one or
 * the other whole. Small neighbours are then merged. Of aborted transactions nothing stays; a marker stays as long as something of its transaction does, and
 * delete.retention.ms longer, so that who has read the records reads it too. Time is linear in the bytes that are cleaned; memory is bound by
 * KEY_BYTES, beyond which a pass stops and the next goes on.
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

  /** Cleans if enough is dirty, or too old, or tombstones or markers are due. Returns the bytes that went. */
  async clean(log: CleanedLog, settings: TopicSettings): Promise<number> {
    this.#state ??= await this.#readState();
    const state = this.#state;
    const { cleanable, logStart, replaced } = log;
    const nowMs = this.#shared.clock.nowMs();
    if (!this.#isDue(cleanable, settings, nowMs)) return 0;
    const pass: Pass = {
      log,
      settings,
      nowMs,
      transactions: new TransactionPass(log.aborted),
      lastOfProducers: await lastOfProducers(cleanable, log.isActive),
      markersDueMs: Number.POSITIVE_INFINITY,
    };
    const { latest, end } = await this.#latestOffsets(cleanable, Math.max(state.cleanEnd, logStart), pass.transactions);
    let freedBytes = 0;
    const tombstones: Record<string, number> = {};
    const cleaned: Segment[] = [];
    for (const segment of cleanable) {
      if (segment.baseOffset >= end) break;
      const sinceMs = state.tombstonesSinceMs[segment.baseOffset];
      const due = sinceMs !== undefined && nowMs - sinceMs >= settings.deleteRetentionMs;
      const keep = ({ offset, key, isTombstone }: RawRecord): boolean => {
        if (offset < logStart) return false;
        if (offset >= end || key === null) return true;
        return !latest.isSuperseded(key, offset) && !(isTombstone && due);
      };
      const { by, hasTombstones } = await this.#rewrite(segment, keep, pass);
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
    this.#state = {
      transactions: true,
      cleanEnd: Math.max(end, state.cleanEnd),
      tombstonesSinceMs: tombstones,
      ...(pass.markersDueMs === Number.POSITIVE_INFINITY ? {} : { markersDueMs: pass.markersDueMs }),
    };
    await this.#shared.disk.replaceFile(
      `${this.#directory}/${CLEANER_FILE}`,
      encodeChecked('cleaner', 1, JSON.stringify(this.#state)),
    );
    if (freedBytes > 0) this.#shared.log.info('compacted', { directory: this.#directory, freedBytes, to: end });
    return freedBytes;
  }

  #isDue(cleanable: readonly Segment[], settings: TopicSettings, nowMs: number): boolean {
    const { cleanEnd, tombstonesSinceMs, markersDueMs } = this.#state as CleanerState;
    if (markersDueMs !== undefined && nowMs >= markersDueMs) return true;
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
  async #latestOffsets(
    cleanable: readonly Segment[],
    from: number,
    transactions: TransactionPass,
  ): Promise<{ latest: LatestOffsets; end: number }> {
    const latest = new LatestOffsets(KEY_BYTES);
    let end = from;
    for (const segment of cleanable) {
      if (segment.summary.endOffset <= from) continue;
      for await (const { batch, header } of segment.batches()) {
        if (header.lastOffset < from) continue;
        if (latest.full) return { latest, end };
        if (!header.isControl && !transactions.isAborted(header)) {
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

  /** The segment with only what `keep` wants and transactions need, in place of the old file; undefined when nothing goes. */
  async #rewrite(
    segment: Segment,
    keep: (record: RawRecord) => boolean,
    pass: Pass,
  ): Promise<{ by: Segment | undefined; hasTombstones: boolean }> {
    const { disk } = this.#shared;
    const { transactions } = pass;
    const temporary = `${segment.path}${TEMPORARY_SUFFIX}`;
    const header = { ...segment.header, compacted: true };
    const file = await disk.open(temporary, 'create');
    const { summary } = segment;
    const goneMarkers = new Set<number>();
    let hasTombstones = false;
    let changed = false;
    const keeps = (record: RawRecord): boolean => {
      const kept = keep(record);
      if (kept && record.isTombstone) hasTombstones = true;
      return kept;
    };
    try {
      await file.append([encodeSegmentHeader(header)]);
      for await (const { batch, header } of segment.batches()) {
        // The last of all carries where the segment ends.
        const isEnd = header.lastOffset + 1 === summary.endOffset;
        const isLastOfProducer = pass.lastOfProducers.has(header.baseOffset);
        const mustStay = isEnd || isLastOfProducer;
        let out = header.isControl
          ? cleanedMarker(batch, header, mustStay, pass)
          : this.#cleanedBatch(batch, header, transactions.isAborted(header) ? () => false : keeps, mustStay);
        if (out !== undefined && header.isTransactional && !header.isControl) {
          if (isLastOfProducer || readBatchHeader(out).recordCount > 0) transactions.noteKept(header.producerId);
          else out = withoutTransaction(out);
        }
        if (out !== batch) changed = true;
        if (out !== undefined) await file.append([out]);
        else if (header.isControl) goneMarkers.add(header.baseOffset);
      }
      // A marker goes only after no segment before it says that its transaction is open there: a start believes that.
      const open = summary.open.filter(({ producerId }) => transactions.hasKept(producerId));
      if (!changed && open.length === summary.open.length) return { by: undefined, hasTombstones };
      await file.sync();
      const aborted = summary.aborted.filter(({ lastOffset }) => !goneMarkers.has(lastOffset));
      const by = await this.#put(file, temporary, header, { aborted, open }, [segment], pass.log.replaced);
      return { by, hasTombstones };
    } finally {
      await file.close();
      await disk.remove(temporary);
    }
  }

  /** The batch itself when all its records stay; undefined when none does and it need not stay. */
  #cleanedBatch(
    batch: Buffer,
    header: BatchHeader,
    keeps: (record: RawRecord) => boolean,
    mustStay: boolean,
  ): Buffer | undefined {
    const [plain, plainHeader] = this.#open(batch, header);
    // Without records there is nothing to hide, nor to filter.
    if (header.recordCount === 0) return mustStay ? plain : undefined;
    const filtered = filterBatch(plain, plainHeader, keeps, mustStay);
    if (filtered?.length === plain.length) return batch;
    const isPlain = filtered === undefined || plain === batch || readBatchHeader(filtered).recordCount === 0;
    return isPlain ? filtered : this.#shared.keys!.encrypt(filtered, this.#place);
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
    const nothing: CleanerState = { cleanEnd: 0, tombstonesSinceMs: {} };
    if (!(await this.#shared.disk.exists(path))) return nothing;
    const content = decodeChecked('cleaner', 1, await this.#shared.disk.readFile(path), path);
    const state = JSON.parse(content) as CleanerState;
    return state.transactions === true ? state : nothing;
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

/** Of each producer that the log still knows its last batch of records, with its sequence, and its last marker, with its epoch. */
async function lastOfProducers(
  segments: readonly Segment[],
  isActive: (producerId: number) => boolean,
): Promise<Set<number>> {
  const last = { records: new Map<number, number>(), markers: new Map<number, number>() };
  for (const segment of segments) {
    for await (const { header } of segment.batches()) {
      if (header.producerId >= 0 && isActive(header.producerId))
        last[header.isControl ? 'markers' : 'records'].set(header.producerId, header.baseOffset);
    }
  }
  return new Set([...last.records.values(), ...last.markers.values()]);
}

/** The marker itself while it is needed, with the time when it may go once it is not; undefined when that has come. */
function cleanedMarker(batch: Buffer, header: BatchHeader, mustStay: boolean, pass: Pass): Buffer | undefined {
  if (pass.transactions.end(header.producerId)) return batch;
  const horizonMs = deleteHorizonOf(header) ?? pass.nowMs + pass.settings.deleteRetentionMs;
  if (deleteHorizonOf(header) !== undefined && horizonMs <= pass.nowMs) return mustStay ? batch : undefined;
  pass.markersDueMs = Math.min(pass.markersDueMs, horizonMs);
  return deleteHorizonOf(header) === undefined ? withDeleteHorizon(batch, header, horizonMs) : batch;
}
