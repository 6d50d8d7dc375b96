import { StreamError } from '../lib/errors.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import type { StoredBytes } from '../ports/stored-bytes.ts';
import { readInt64 } from '../protocol/record-batch.ts';
import { BATCH_HEADER_BYTES, type BatchHeader, batchSizeAt, readBatchHeader } from '../protocol/records.ts';
import { scanBatches } from './batch-scan.ts';
import { rawRecords } from './compaction.ts';
import { isEncrypted } from './encryption.ts';
import { hashKey, KeyFilter, KeyHashes } from './key-filter.ts';
import { encodeSegmentHeader, linkOf, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import { decodeSidecar, encodeSidecar, SegmentIndex, type SegmentSummary } from './segment-index.ts';
import type { TransactionIndex } from './transaction-index.ts';

export const SEGMENT_SUFFIX = '.strm';
export const SIDECAR_SUFFIX = '.idx';
export const KEYS_SUFFIX = '.keys';

/** `<20-digit base offset><suffix>`: names sort as offsets do. */
export function offsetName(offset: number, suffix: string): string {
  return `${String(offset).padStart(20, '0')}${suffix}`;
}

/** Remembers which sealed segments hold a file and an index in memory and lets go of the least recently read. */
export class OpenSegments {
  readonly #limit: number;
  readonly #order = new Set<Segment>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  touch(segment: Segment): void {
    this.#order.delete(segment);
    this.#order.add(segment);
    if (this.#order.size <= this.#limit) return;
    for (const oldest of this.#order) {
      if (oldest.busy) continue;
      this.#order.delete(oldest);
      void oldest.release();
      return;
    }
  }

  forget(segment: Segment): void {
    this.#order.delete(segment);
  }
}

/**
 * One STRM file of a partition. It is *planned* (only named; appends may already be queued for it), then *created*, then
 * *sealed* (complete, synced, with a sidecar). Only the last one of a log is not sealed.
 */
export class Segment {
  readonly path: string;
  readonly sidecarPath: string;
  readonly #keysPath: string;
  readonly header: SegmentHeader;
  /** Identifies this segment to its successor. */
  readonly link: number;
  readonly summary: SegmentSummary;
  /** File length once everything queued is written. */
  plannedBytes: number;
  created: boolean;
  sealed: boolean;
  readonly #disk: Disk;
  readonly #encodedHeader: Buffer;
  #file: Promise<DiskFile> | undefined;
  #index: Promise<SegmentIndex> | SegmentIndex | undefined;
  #keys: Promise<KeyFilter | undefined> | undefined;
  #users = 0;
  #deleted = false;

  private constructor(
    disk: Disk,
    directory: string,
    header: SegmentHeader,
    state: { summary: SegmentSummary; index: SegmentIndex | undefined; created: boolean; sealed: boolean },
  ) {
    this.#disk = disk;
    this.path = `${directory}/${offsetName(header.baseOffset, SEGMENT_SUFFIX)}`;
    this.sidecarPath = `${directory}/${offsetName(header.baseOffset, SIDECAR_SUFFIX)}`;
    this.#keysPath = `${directory}/${offsetName(header.baseOffset, KEYS_SUFFIX)}`;
    this.header = header;
    this.#encodedHeader = encodeSegmentHeader(header);
    this.link = linkOf(this.#encodedHeader);
    this.summary = state.summary;
    this.plannedBytes = state.summary.sizeBytes;
    this.created = state.created;
    this.sealed = state.sealed;
    this.#index = state.index;
  }

  static planned(disk: Disk, directory: string, header: SegmentHeader): Segment {
    const summary = emptySummary(header.baseOffset);
    return new Segment(disk, directory, header, { summary, index: new SegmentIndex(), created: false, sealed: false });
  }

  /** One that is on disk. The index of a sealed one is read again when it is needed. */
  static existing(
    disk: Disk,
    directory: string,
    header: SegmentHeader,
    summary: SegmentSummary,
    unsealedIndex: SegmentIndex | undefined,
  ): Segment {
    const sealed = unsealedIndex === undefined;
    return new Segment(disk, directory, header, { summary, index: unsealedIndex, created: true, sealed });
  }

  get baseOffset(): number {
    return this.header.baseOffset;
  }

  get empty(): boolean {
    return this.plannedBytes === SEGMENT_HEADER_BYTES;
  }

  get busy(): boolean {
    return this.#users > 0;
  }

  /** Writes the header and makes it and the directory entry durable: a longer file always has a whole header. */
  async create(): Promise<void> {
    const file = await this.#disk.open(this.path, 'create');
    try {
      await file.append([this.#encodedHeader]);
      await file.sync();
      await this.#disk.syncDirectory(this.path.slice(0, this.path.lastIndexOf('/')));
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#file = Promise.resolve(file);
    this.created = true;
  }

  /** The open file; for an unsealed segment it can be appended to. */
  file(): Promise<DiskFile> {
    if (this.#deleted && this.#file === undefined) {
      return Promise.reject(new StreamError('STORAGE_FAILED', `segment ${this.path} was replaced; read again`));
    }
    this.#file ??= this.#disk.open(this.path, this.sealed ? 'read' : 'append');
    this.#file.catch(() => {
      this.#file = undefined;
    });
    return this.#file;
  }

  /** Takes a batch that is now in the file into summary and indexes. */
  note(header: BatchHeader, transactions: TransactionIndex): void {
    noteBatch(this.summary, this.#index as SegmentIndex, this.baseOffset, header);
    transactions.take(header, this.summary.aborted);
  }

  /** Writes the sidecar: what is derived, so that the next start need not scan. */
  async writeSidecar(index?: SegmentIndex): Promise<void> {
    const content = encodeSidecar(this.link, this.summary, index ?? (await this.index()));
    await this.#disk.replaceFile(this.sidecarPath, content);
  }

  index(): Promise<SegmentIndex> | SegmentIndex {
    this.#index ??= this.#loadIndex().catch((error: unknown) => {
      this.#index = undefined;
      throw error;
    });
    return this.#index;
  }

  /**
   * Which keys the sealed segment holds. The first who asks reads all of it, for which a small segment is not worth it, and leaves the answer beside it. Undefined for one
   * with encrypted batches too: their keys are nobody's business. STORAGE_FAILED when it cannot be read.
   */
  keyFilter(): Promise<KeyFilter | undefined> | undefined {
    if (!this.sealed || this.header.keyId !== undefined || this.summary.sizeBytes < FILTERED_BYTES) return undefined;
    this.#keys ??= this.use(() => this.#loadKeys()).catch((error: unknown) => {
      this.#keys = undefined;
      throw error;
    });
    return this.#keys;
  }

  /** The segment's batches in their order, a chunk of the file at a time. */
  async *batches(): AsyncGenerator<{ batch: Buffer; header: BatchHeader }> {
    const { endOffset, sizeBytes } = this.summary;
    for (let offset = this.baseOffset; offset < endOffset; ) {
      const data = await this.read(offset, CHUNK_BYTES, sizeBytes, endOffset);
      for (let at = 0; at < data.length; ) {
        const header = readBatchHeader(data, at);
        yield { batch: data.subarray(at, at + header.sizeBytes), header };
        at += header.sizeBytes;
        offset = header.lastOffset + 1;
      }
    }
  }

  /**
   * Whole batches beginning with the one that holds `offset`: at least one, and as many as fit `maxBytes` and begin below
   * `maxOffset`. `limit` is the position that readers may not pass.
   */
  async read(offset: number, maxBytes: number, limit: number, maxOffset: number): Promise<Buffer> {
    return this.use(async () => {
      const file = await this.file();
      let position = (await this.index()).positionOf(offset - this.baseOffset);
      for (;;) {
        if (position + BATCH_HEADER_BYTES > limit) throw this.#damaged(`offset ${offset} is not below byte ${limit}`);
        const data = await this.#bytes(file, position, Math.min(limit, position + maxBytes + INDEX_INTERVAL_BYTES));
        let start = 0;
        while (start + BATCH_HEADER_BYTES <= data.length && lastOffset(data, start) < offset) {
          start += this.#batchSize(data, start, position);
        }
        if (start + BATCH_HEADER_BYTES > data.length) {
          // The wanted batch begins beyond what was read, after a large one.
          position += start;
          continue;
        }
        const size = this.#batchSize(data, start, position);
        const first = firstOffset(data, start);
        // A base offset lies outside its batch's checksum, so a wrong one would mislead the reader without a word.
        if (first > offset && !this.header.compacted)
          throw this.#damaged(`offset ${first} at byte ${position + start} where ${offset} belongs`);
        if (position + start + size > limit) throw this.#damaged(`the batch at ${position + start} passes ${limit}`);
        if (start + size > data.length) return this.#bytes(file, position + start, position + start + size);
        return data.subarray(
          start,
          wholeBatchesEnd(data, start, start + maxBytes, maxOffset, this.header.compacted === true),
        );
      }
    });
  }

  /**
   * Whole batches beginning with the one at `offset`, as `read`, but where they lie: the reader checks them. Undefined when they cannot be
   * told apart by the index alone, or are too few to be worth it.
   */
  async stored(offset: number, maxBytes: number, maxOffset: number): Promise<StoredBytes | undefined> {
    if (maxBytes < STORED_LEAST_BYTES || this.header.keyId !== undefined) return undefined;
    return this.use(async () => {
      const file = await this.file();
      if (file.fd === undefined) return undefined;
      const range = (await this.index()).rangeFrom(offset - this.baseOffset, maxBytes, maxOffset - this.baseOffset);
      if (range === undefined || range.to - range.from < STORED_LEAST_BYTES) return undefined;
      const { from, to } = range;
      return {
        length: to - from,
        position: from,
        fd: () => (file.fd !== undefined && file.fd >= 0 ? file.fd : undefined),
        read: (skip) => this.bytes(from + skip, to),
      };
    });
  }

  #batchSize(data: Buffer, start: number, position: number): number {
    const size = batchSizeAt(data, start);
    if (size < BATCH_HEADER_BYTES) throw this.#damaged(`a batch of ${size} bytes at ${position + start}`);
    return size;
  }

  #damaged(problem: string): StreamError {
    return new StreamError('STORAGE_FAILED', `segment ${this.path} is damaged: ${problem}`, {
      hint: 'restore the file from a copy; its records cannot be derived again',
    });
  }

  /** Visits batches from a batch start on until `visit` returns false. STORAGE_FAILED when one is damaged. Returns the bytes walked. */
  async scan(from: number, visit: (header: BatchHeader, position: number) => unknown): Promise<number> {
    return this.use(async () => {
      const file = await this.file();
      const first = Buffer.alloc(8);
      if ((await file.read(first, from)) < 8) return 0;
      const { sizeBytes } = this.summary;
      const { position, problem } = await scanBatches(
        file,
        from,
        sizeBytes,
        readInt64(first, 0),
        false,
        this.header.compacted === true,
        visit,
      );
      if (problem)
        throw new StreamError('STORAGE_FAILED', `segment ${this.path} is damaged at byte ${position}: ${problem}`);
      return position - from;
    });
  }

  /** Bytes from one position to another. */
  async bytes(from: number, to: number): Promise<Buffer> {
    return this.use(async () => this.#bytes(await this.file(), from, to));
  }

  /** Keeps the file open and in place while `work` runs. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await work();
    } finally {
      this.#users--;
      if (this.#deleted && this.#users === 0) await this.release();
    }
  }

  /** Closes the file and forgets the index; both come back when they are needed. Only for sealed or closing segments. */
  async release(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (this.sealed) this.#index = undefined;
    this.#keys = undefined;
    await (await file?.catch(() => undefined))?.close();
  }

  /** Removes the files. Reads under way finish. */
  async delete(): Promise<void> {
    await this.#disk.remove(this.sidecarPath);
    await this.#disk.remove(this.#keysPath);
    await this.#disk.remove(this.path);
    await this.retire();
  }

  /** Another file stands at the path now, or none: reads under way finish on the old one. */
  async retire(): Promise<void> {
    this.#deleted = true;
    if (this.#users === 0) await this.release();
  }

  async #loadIndex(): Promise<SegmentIndex> {
    try {
      const bytes = await this.#disk.readFile(this.sidecarPath);
      const found = decodeSidecar(bytes, this.link, this.summary.sizeBytes);
      if (found) return found.index;
    } catch {
      // Missing: derived again below.
    }
    const file = await this.file();
    const { index, problem } = await rebuild(file, this.header, this.summary.sizeBytes, false);
    if (problem) throw new StreamError('STORAGE_FAILED', `segment ${this.path}: ${problem}`);
    return index;
  }

  async #loadKeys(): Promise<KeyFilter | undefined> {
    const { sizeBytes } = this.summary;
    const stored = await this.#disk.readFile(this.#keysPath).catch(() => undefined);
    const known = stored && KeyFilter.decode(stored, this.link, sizeBytes);
    if (known) return known;
    const hashes = new KeyHashes();
    for await (const { batch, header } of this.batches()) {
      if (header.isControl) continue;
      if (isEncrypted(batch)) return undefined;
      for (const { key } of rawRecords(batch, header)) if (key !== null) hashes.add(hashKey(key));
    }
    const filter = KeyFilter.of(hashes);
    // One that is lost is derived again.
    if (!this.#deleted)
      await this.#disk.replaceFile(this.#keysPath, filter.encode(this.link, sizeBytes)).catch(() => {});
    return filter;
  }

  async #bytes(file: DiskFile, from: number, to: number): Promise<Buffer> {
    const into = Buffer.allocUnsafeSlow(to - from);
    const bytes = await file.read(into, from);
    if (bytes < into.length)
      throw new StreamError('STORAGE_FAILED', `segment ${this.path} is shorter than ${to} bytes`);
    return into;
  }
}

/** A batch that begins at least this far after the last index entry gets one of its own. */
const INDEX_INTERVAL_BYTES = 4096;
const CHUNK_BYTES = 4 << 20;
/** What is less is read as quickly. */
const STORED_LEAST_BYTES = 64 << 10;
/** A smaller segment is read as quickly as a filter of its keys would be. */
const FILTERED_BYTES = 256 << 10;

/** A damaged one is some number too, and does not keep the batches before it from being read. */
function firstOffset(data: Buffer, at: number): number {
  return data.readInt32BE(at) * 4294967296 + data.readUInt32BE(at + 4);
}

function lastOffset(data: Buffer, at: number): number {
  return firstOffset(data, at) + data.readInt32BE(at + 23);
}

/**
 * Where the batches of `data` end that begin with the one at `start`, are whole, end at or before `end` and hold offsets
 * below `maxOffset`. The first is always taken.
 */
function wholeBatchesEnd(data: Buffer, start: number, end: number, maxOffset: number, gaps: boolean): number {
  let at = start + batchSizeAt(data, start);
  let next = lastOffset(data, start) + 1;
  const last = Math.min(end, data.length);
  while (at + BATCH_HEADER_BYTES <= last) {
    const size = batchSizeAt(data, at);
    // What is damaged is told to whoever reads from there on.
    if (size < BATCH_HEADER_BYTES || at + size > last) break;
    if (gaps ? firstOffset(data, at) < next : firstOffset(data, at) !== next) break;
    next = lastOffset(data, at) + 1;
    if (next > maxOffset) break;
    at += size;
  }
  return at;
}

function emptySummary(baseOffset: number): SegmentSummary {
  return {
    endOffset: baseOffset,
    sizeBytes: SEGMENT_HEADER_BYTES,
    maxTimestampMs: -1,
    maxTimestampOffset: -1,
    batchCount: 0,
    epochs: [],
    aborted: [],
    open: [],
  };
}

/**
 * Scans a whole segment file: its summary and index up to the first bad batch, and what was wrong there. `transactions` are those open
 * where it begins; without them the summary has none.
 */
export async function rebuild(
  file: DiskFile,
  header: SegmentHeader,
  sizeBytes: number,
  verify: boolean,
  transactions?: TransactionIndex,
): Promise<{ summary: SegmentSummary; index: SegmentIndex; problem: string | undefined }> {
  const summary = emptySummary(header.baseOffset);
  const index = new SegmentIndex();
  const take = (batch: BatchHeader) => {
    noteBatch(summary, index, header.baseOffset, batch);
    transactions?.take(batch, summary.aborted);
  };
  const { problem } = await scanBatches(
    file,
    SEGMENT_HEADER_BYTES,
    sizeBytes,
    header.baseOffset,
    verify,
    header.compacted === true,
    take,
  );
  return { summary, index, problem };
}

function noteBatch(summary: SegmentSummary, index: SegmentIndex, baseOffset: number, batch: BatchHeader): void {
  if (index.count === 0 || summary.sizeBytes - index.lastPosition >= INDEX_INTERVAL_BYTES) {
    index.add(batch.baseOffset - baseOffset, summary.sizeBytes, summary.maxTimestampMs);
  }
  if (batch.maxTimestamp > summary.maxTimestampMs) {
    summary.maxTimestampMs = batch.maxTimestamp;
    summary.maxTimestampOffset = batch.baseOffset;
  }
  if (summary.epochs.length === 0 || summary.epochs.at(-1)!.epoch !== batch.partitionLeaderEpoch) {
    summary.epochs.push({ epoch: batch.partitionLeaderEpoch, startOffset: batch.baseOffset });
  }
  summary.batchCount++;
  summary.sizeBytes += batch.sizeBytes;
  summary.endOffset = batch.lastOffset + 1;
}
