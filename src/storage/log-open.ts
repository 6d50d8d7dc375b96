import { asStreamError, StreamError } from '../lib/errors.ts';
import type { Disk } from '../ports/disk.ts';
import { type BatchHeader, readBatchHeader } from '../protocol/records.ts';
import { decodeChecked, encodeChecked } from './checked-file.ts';
import { TEMPORARY_SUFFIX } from './disk/node-disk.ts';
import type { LogShared } from './log-shared.ts';
import { ProducerState } from './producer-state.ts';
import { KEYS_SUFFIX, offsetName, rebuild, SEGMENT_SUFFIX, Segment, SIDECAR_SUFFIX } from './segment.ts';
import { decodeSegmentHeader, linkOf, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import { decodeSidecar, type SegmentIndex, type SegmentSummary } from './segment-index.ts';
import { TransactionIndex } from './transaction-index.ts';

const PRODUCERS_SUFFIX = '.producers';
const LOG_START_FILE = 'log-start';

export interface LogIdentity {
  readonly directory: string;
  /** UUID text of the topic. */
  readonly topicId: string;
  readonly partition: number;
}

export interface OpenedLog {
  /** In offset order; the last one takes appends. Empty for a new log. */
  readonly segments: Segment[];
  readonly producers: ProducerState;
  readonly transactions: TransactionIndex;
  readonly logStart: number;
  readonly logEnd: number;
  readonly scannedBytes: number;
}

/**
 * What a partition's directory holds. After a clean shutdown sidecars are trusted; else the last segment (the only one
 * that can hold unsynced bytes: a segment is synced before its successor is created) is read whole, cut at its first bad batch and
 * its index and the producer state derived again. Then it gets back from `committed`, the partition's batches in the write-ahead
 * log, what it lacks. Damage in an older segment is an error that names the file.
 */
export async function openLog(
  shared: LogShared,
  identity: LogIdentity,
  clean: boolean,
  committed: readonly Buffer[],
): Promise<OpenedLog> {
  const { disk, log, clock } = shared;
  const { directory } = identity;
  const names = await disk.list(directory);
  for (const name of names) if (name.endsWith(TEMPORARY_SUFFIX)) await disk.remove(`${directory}/${name}`);
  const start = names.includes(LOG_START_FILE) ? await readLogStart(shared, directory) : 0;
  const files = await readHeaders(shared, identity, names);
  for (const { path } of files.splice(0, superseded(files, start))) {
    for (const suffix of [SIDECAR_SUFFIX, KEYS_SUFFIX])
      await disk.remove(path.slice(0, -SEGMENT_SUFFIX.length) + suffix);
    await disk.remove(path);
  }
  for (const { path } of dropMerged(files)) {
    for (const suffix of [SIDECAR_SUFFIX, KEYS_SUFFIX])
      await disk.remove(path.slice(0, -SEGMENT_SUFFIX.length) + suffix);
    await disk.remove(path);
  }
  checkLinks(files, start);

  const segments: Segment[] = [];
  const transactions = new TransactionIndex();
  let scannedBytes = 0;
  for (const [at, { header, link, sizeBytes, path }] of files.entries()) {
    const last = at === files.length - 1;
    const trusted = !last || clean ? await readSidecar(shared, path, link, sizeBytes) : undefined;
    let found: { summary: SegmentSummary; index: SegmentIndex } | undefined = trusted;
    if (!found) {
      if (last && shared.distrustCache) await writeAgain(disk, path);
      const file = await disk.open(path, last ? 'append' : 'read');
      try {
        const scan = await rebuild(file, header, sizeBytes, true, transactions);
        scannedBytes += sizeBytes;
        if (scan.problem && !last) throw damaged(path, scan);
        if (scan.problem) {
          const lostBytes = sizeBytes - scan.summary.sizeBytes;
          log.warn('cut a torn segment', { path, problem: scan.problem, lostBytes, logEnd: scan.summary.endOffset });
          await file.truncate(scan.summary.sizeBytes);
        }
        // What is readable from now on must stay, also what the crash kept by luck.
        if (last) await file.sync();
        found = scan;
      } finally {
        await file.close();
      }
    }
    if (trusted) transactions.restore(trusted.summary.open);
    else found.summary.open = transactions.open();
    const next = files[at + 1];
    if (next && found.summary.endOffset !== next.header.baseOffset) {
      throw new StreamError(
        'STORAGE_FAILED',
        `segment ${path} ends at offset ${found.summary.endOffset}, the next one begins at ${next.header.baseOffset}`,
      );
    }
    const segment = Segment.existing(disk, directory, header, found.summary, last ? found.index : undefined);
    if (!last && !trusted) await segment.writeSidecar();
    segments.push(segment);
  }
  if (segments.length > 0 && committed.length > 0) await redo(shared, segments.at(-1)!, committed, transactions);
  if (segments.length > 0 && segments.at(-1)!.summary.endOffset < start) {
    // Records beyond these were deleted on purpose before an unsynced tail was lost: their offsets are not given again.
    for (const segment of segments.splice(0)) await segment.delete();
    transactions.restore([]);
  }
  const logStart = Math.max(start, segments[0]?.baseOffset ?? 0);
  const logEnd = Math.max(logStart, segments.at(-1)?.summary.endOffset ?? 0);
  const { producers, scanned } = await recoverProducers(shared, directory, names, segments, logEnd);
  producers.expire(clock.nowMs());
  return { segments, producers, transactions, logStart, logEnd, scannedBytes: scannedBytes + scanned };
}

/** Appends the batches that continue the segment, durably. The others are in it, or belonged to a segment that is gone. */
async function redo(
  shared: LogShared,
  segment: Segment,
  committed: readonly Buffer[],
  transactions: TransactionIndex,
): Promise<void> {
  const missing: Buffer[] = [];
  const from = segment.summary.endOffset;
  for (const payload of committed) {
    for (let at = 0; at < payload.length; ) {
      const header = readBatchHeader(payload, at);
      if (header.baseOffset === segment.summary.endOffset) {
        missing.push(payload.subarray(at, at + header.sizeBytes));
        segment.note(header, transactions);
      }
      at += header.sizeBytes;
    }
  }
  if (missing.length === 0) return;
  await segment.use(async () => {
    const file = await segment.file();
    await file.append(missing);
    await file.sync();
  });
  segment.plannedBytes = segment.summary.sizeBytes;
  shared.log.info('restored from the write-ahead log', { path: segment.path, from, to: segment.summary.endOffset });
}

/** Bytes copied at a time. */
const COPY_BYTES = 8 << 20;

/** Puts a durable copy in a file's place. */
async function writeAgain(disk: Disk, path: string): Promise<void> {
  const copyPath = `${path}${TEMPORARY_SUFFIX}`;
  const file = await disk.open(path, 'read');
  try {
    const copy = await disk.open(copyPath, 'create');
    try {
      for (let at = 0; at < file.size; ) {
        const chunk = Buffer.allocUnsafe(Math.min(COPY_BYTES, file.size - at));
        const bytes = await file.read(chunk, at);
        if (bytes === 0) break;
        await copy.append([chunk.subarray(0, bytes)]);
        at += bytes;
      }
      await copy.sync();
    } finally {
      await copy.close();
    }
  } finally {
    await file.close();
  }
  await disk.rename(copyPath, path);
  await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')));
}

/** Makes the first offset that may be read durable, before any file below it goes. */
export async function writeLogStart(shared: LogShared, directory: string, offset: number): Promise<void> {
  await shared.disk.replaceFile(`${directory}/${LOG_START_FILE}`, encodeChecked('log-start', 1, String(offset)));
}

export async function writeProducers(
  shared: LogShared,
  directory: string,
  offset: number,
  producers: ProducerState,
): Promise<void> {
  await shared.disk.replaceFile(`${directory}/${offsetName(offset, PRODUCERS_SUFFIX)}`, producers.encode());
  // One older snapshot stays for the case that the newest turns out damaged.
  const old = (await shared.disk.list(directory)).filter((name) => name.endsWith(PRODUCERS_SUFFIX)).slice(0, -2);
  for (const name of old) await shared.disk.remove(`${directory}/${name}`);
}

interface SegmentFile {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly link: number;
  readonly sizeBytes: number;
}

async function readLogStart({ disk }: LogShared, directory: string): Promise<number> {
  const path = `${directory}/${LOG_START_FILE}`;
  return Number(decodeChecked('log-start', 1, await disk.readFile(path), path));
}

async function readHeaders(shared: LogShared, identity: LogIdentity, names: string[]): Promise<SegmentFile[]> {
  const { disk, log } = shared;
  const segmentNames = names.filter((name) => name.endsWith(SEGMENT_SUFFIX));
  const files: SegmentFile[] = [];
  for (const [at, name] of segmentNames.entries()) {
    const path = `${identity.directory}/${name}`;
    const file = await disk.open(path, 'read');
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    let read: number;
    try {
      read = await file.read(bytes, 0);
    } finally {
      await file.close();
    }
    let header: SegmentHeader;
    try {
      header = decodeSegmentHeader(bytes.subarray(0, read), path);
    } catch (error) {
      // The header is synced before anything follows it, so a file no longer than it was never used.
      if (at < segmentNames.length - 1 || file.size > SEGMENT_HEADER_BYTES) throw error;
      log.warn('removed an unfinished segment', { path, bytes: file.size });
      await disk.remove(path);
      // Durably: it must not come back beside a later segment.
      await disk.syncDirectory(identity.directory);
      break;
    }
    if (name !== offsetName(header.baseOffset, SEGMENT_SUFFIX)) {
      throw new StreamError('STORAGE_FAILED', `segment ${path} states the base offset ${header.baseOffset}`);
    }
    if (header.topicId !== identity.topicId || header.partition !== identity.partition) {
      throw new StreamError(
        'STORAGE_FAILED',
        `segment ${path} belongs to topic ${header.topicId}, partition ${header.partition}: was it moved here?`,
      );
    }
    if (header.keyId !== undefined && !shared.keys?.has(header.keyId)) {
      const keys = shared.keys === undefined ? 'there is no key file' : 'the key file does not have it';
      throw new StreamError('OPTION_INVALID', `segment ${path} is encrypted with key ${header.keyId}: ${keys}`, {
        hint: 'storage.encryption_key_file must hold every key that something was encrypted with',
      });
    }
    files.push({ path, header, link: linkOf(bytes), sizeBytes: file.size });
  }
  return files;
}

/** How many segments lie wholly below the log start: they were about to be deleted, and a crash may have left any of them. */
function superseded(files: readonly SegmentFile[], logStart: number): number {
  let count = 0;
  while (count + 1 < files.length && files[count + 1]!.header.baseOffset <= logStart) count++;
  return count;
}

/** Takes out what a crash left of segments whose records were merged into the one before them: that one knows whom the next refers to. */
function dropMerged(files: SegmentFile[]): SegmentFile[] {
  const dropped: SegmentFile[] = [];
  for (let at = 0; at < files.length; at++) {
    const { header, link } = files[at]!;
    if (header.mergedLink === undefined) continue;
    const next = files.findIndex((file, other) => other > at && file.header.previousLink === link);
    if (next > at + 1) dropped.push(...files.splice(at + 1, next - at - 1));
  }
  return dropped;
}

/** The log start is made durable before a segment is deleted, so a gap is a loss. */
function checkLinks(files: readonly SegmentFile[], logStart: number): void {
  const first = files[0];
  if (first && first.header.baseOffset > logStart) {
    throw new StreamError(
      'STORAGE_FAILED',
      `a segment is missing before ${first.path}: the log begins at offset ${logStart}`,
    );
  }
  for (let at = 1; at < files.length; at++) {
    if (files[at]!.header.previousLink === files[at - 1]!.link) continue;
    const gap = `between ${files[at - 1]!.path} and ${files[at]!.path}`;
    throw new StreamError('STORAGE_FAILED', `a segment is missing ${gap}: the second does not follow the first`);
  }
}

async function readSidecar({ disk, log }: LogShared, path: string, link: number, sizeBytes: number) {
  const sidecar = path.slice(0, -SEGMENT_SUFFIX.length) + SIDECAR_SUFFIX;
  const found = (await disk.exists(sidecar)) ? decodeSidecar(await disk.readFile(sidecar), link, sizeBytes) : undefined;
  if (!found) log.info('deriving an index again', { path });
  return found;
}

/** The newest readable snapshot at or before the log end, and the batches since. */
async function recoverProducers(
  shared: LogShared,
  directory: string,
  names: readonly string[],
  segments: readonly Segment[],
  logEnd: number,
): Promise<{ producers: ProducerState; scanned: number }> {
  let producers = new ProducerState();
  let from = 0;
  const snapshots = names.filter((name) => name.endsWith(PRODUCERS_SUFFIX)).reverse();
  for (const name of snapshots) {
    const offset = Number(name.slice(0, -PRODUCERS_SUFFIX.length));
    if (!(offset <= logEnd)) {
      await shared.disk.remove(`${directory}/${name}`);
      continue;
    }
    try {
      const path = `${directory}/${name}`;
      producers = ProducerState.decode(await shared.disk.readFile(path), path);
      from = offset;
      break;
    } catch (error) {
      shared.log.warn('ignored a damaged producer snapshot', { name, reason: asStreamError(error).message });
    }
  }
  const now = shared.clock.nowMs();
  const replay = (batch: BatchHeader) => {
    if (batch.producerId < 0 || batch.baseOffset < from) return;
    producers.add(batch, batch.baseOffset, batch.maxTimestamp, now);
  };
  let scanned = 0;
  for (const segment of segments) {
    if (segment.summary.endOffset <= from || segment.summary.batchCount === 0) continue;
    const position = (await segment.index()).positionOf(Math.max(0, from - segment.baseOffset));
    scanned += await segment.scan(position, replay);
    if (segment.sealed) await segment.release();
  }
  return { producers, scanned };
}

function damaged(path: string, scan: { problem: string | undefined; summary: { sizeBytes: number } }): StreamError {
  return new StreamError(
    'STORAGE_FAILED',
    `segment ${path} is damaged at byte ${scan.summary.sizeBytes}: ${scan.problem}`,
    {
      hint: 'restore the file from a copy; its records were synced and cannot be derived again',
    },
  );
}
