import { readSync } from 'node:fs';
import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { Disk, DiskFile } from '../../../src/ports/disk.ts';
import { crc32c, crc32cOfParts } from '../../../src/protocol/crc32c.ts';
import { bytesOfParts, type Parts } from '../state/piece.ts';
import type { SinkState } from './sink-writer.ts';
import type { CursorState } from './source-cursor.ts';

/** Saved bytes of one table: where they stand in a piece file. */
export interface PieceRef {
  readonly file: string;
  readonly at: number;
  readonly bytes: number;
  readonly crc: number;
}

/** One object in a checkpoint. */
export interface ObjectEntry {
  readonly id: string;
  /** Hash of the definition; another one starts from the beginning. */
  readonly fingerprint: string;
  /** Sources: where the shared reader is. */
  readonly cursor?: CursorState;
  /** Sources: watermark reached and rows counted. */
  readonly counts?: { readonly rows: number; readonly late: number; readonly watermark: number | null };
  /** Queries that have not caught up with their sources: where their own readers are, by source id. */
  readonly backfill?: Readonly<Record<string, CursorState>>;
  /** Beside `backfill`, of queries that were live before a pause: the inputs of which changes are held. */
  readonly held?: readonly number[];
  /** Queries: the shared parts that it reads instead of having them. */
  readonly shared?: readonly string[];
  readonly sink?: SinkState;
  /** Sinks that stopped for good. */
  readonly failed?: { readonly code: string; readonly detail: string };
  /** Pieces in the order of saving; one list per shard that has some, of shard 0 where none is named. */
  readonly tables: readonly { readonly id: string; readonly shard?: number; readonly pieces: readonly PieceRef[] }[];
}

export interface Manifest {
  readonly checkpoint: number;
  readonly epoch: number;
  /** How many shards had the state; 1 where it is not said. */
  readonly shards?: number;
  /** Its shards had rows elsewhere than this release has them: each takes its own from all, though their number is the same. */
  readonly isPlacedOtherwise?: true;
  readonly objects: readonly ObjectEntry[];
}

/** An object to be stored; pieces not yet on disk are still bytes. */
export interface DraftEntry extends Omit<ObjectEntry, 'tables'> {
  readonly tables: readonly {
    readonly id: string;
    readonly shard?: number;
    readonly pieces: readonly (PieceRef | Parts)[];
  }[];
}

/** Files of pieces by name: descriptors, which hold for all threads, or where the disk has none the contents. */
export type PieceFiles = ReadonlyMap<string, number | Buffer>;

/** The newest checkpoint that is whole, with the bytes of its pieces. */
export interface LoadedCheckpoint {
  readonly manifest: Manifest;
  /** What epochs count on from: beyond all numbers that were given before, also to epochs that were lost. */
  readonly firstEpoch: number;
  /** Sinks that wrote by the word of a newer checkpoint, which is damaged: they would write again what they wrote since this one. */
  readonly overtaken: readonly string[] | 'all';
  piece(ref: PieceRef): Buffer;
  readonly files: PieceFiles;
  /** No piece is read from here on. */
  close(): Promise<void>;
}

const FORMAT = 4;
/** Manifests kept: the newest, and the one before in case the newest is damaged. */
const KEPT = 2;

/**
 * Checkpoints in a directory (DESIGN D10): `<n>.pieces` holds the state saved by checkpoint n, written once; `<n>.manifest` names the pieces
 * that make up the whole state, of n and of earlier ones, and is what makes the checkpoint: it is replaced atomically after its
 * pieces are durable. `<n>.mirror` is a second copy of the manifest, written when sinks will be told to commit on its word: going back
 * behind that would give them rows twice, so one damaged file must not be enough. One writer at a time.
 */
export class CheckpointStore {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #logger: Log;
  #last = 0;
  /** Manifests that are still there, oldest first. */
  #kept: Manifest[] = [];

  constructor(disk: Disk, directory: string, logger: Log) {
    this.#disk = disk;
    this.#directory = directory;
    this.#logger = logger;
  }

  /** Null when there is no checkpoint. Epochs are fewer than milliseconds, so the time is a number beyond those of all starts before. STORAGE_FAILED when there are some but none is whole. */
  async load(nowMs = 0): Promise<LoadedCheckpoint | null> {
    await this.#disk.makeDirectory(this.#directory);
    const names = await this.#disk.list(this.#directory);
    const numbers = new Set(names.map(numberOf).filter((number) => number >= 0));
    for (const name of names) {
      const any = /^(\d+)\./.exec(name);
      if (any !== null) this.#last = Math.max(this.#last, Number(any[1]));
    }
    let damaged = 0;
    /** Of the newer ones: their manifests where a copy could be read; null where sinks had gone by it and none could. */
    const newer: (Manifest | null)[] = [];
    for (const number of [...numbers].sort((a, b) => b - a)) {
      let unread: Manifest | null = null;
      for (const kind of ['manifest', 'mirror']) {
        const name = `${number}.${kind}`;
        if (!names.includes(name)) continue;
        try {
          const manifest = decodeManifest(await this.#disk.readFile(this.#path(name)), name);
          unread = manifest;
          const read = await this.#read(manifest);
          const overtaken = overtakenSinks(manifest, newer);
          if (newer.length > 0)
            this.#logger.warn('checkpoint.fell_back', { to: name, epoch: manifest.epoch, overtaken });
          this.#kept = [manifest];
          return { ...read, overtaken, firstEpoch: Math.max(manifest.epoch + 1, nowMs) };
        } catch (thrown) {
          if (thrown instanceof NewerFormat) throw thrown;
          damaged++;
          this.#logger.error('checkpoint.damaged', { file: name, reason: asStreamError(thrown).message });
        }
      }
      // Without a mirror no sink was told to commit.
      if (unread !== null || names.includes(`${number}.mirror`)) newer.push(unread);
    }
    if (damaged === 0) return null;
    throw new StreamError('STORAGE_FAILED', `no checkpoint in ${this.#directory} is whole`, {
      hint: 'remove the directory to let every view start again from the log; sinks have to be created again',
    });
  }

  /** Makes the draft durable; answers with the manifest, all pieces in place. */
  async write(
    epoch: number,
    objects: readonly DraftEntry[],
    shards = 1,
  ): Promise<{ manifest: Manifest; bytes: number }> {
    const checkpoint = ++this.#last;
    const file = `${checkpoint}.pieces`;
    const buffers: Uint8Array[] = [];
    let at = 0;
    // A piece may have no bytes, and is looked for in the file all the same.
    let hasPieces = false;
    const entries = objects.map((object) => ({
      ...object,
      tables: object.tables.map(({ id, shard, pieces }) => ({
        id,
        ...(shard === undefined || shard === 0 ? {} : { shard }),
        pieces: pieces.map((piece) => {
          if (isRef(piece)) return piece;
          const ref = { file, at, bytes: bytesOfParts(piece), crc: crc32cOfParts(piece) };
          buffers.push(...piece);
          hasPieces = true;
          at += ref.bytes;
          return ref;
        }),
      })),
    }));
    const manifest: Manifest = { checkpoint, epoch, ...(shards === 1 ? {} : { shards }), objects: entries };
    if (hasPieces) {
      const opened = await this.#disk.open(this.#path(file), 'create');
      try {
        await opened.append(buffers);
        await opened.sync();
      } finally {
        await opened.close();
      }
      await this.#disk.syncDirectory(this.#directory);
    }
    const bytes = encodeManifest(manifest);
    if (objects.some((object) => (object.sink?.pending.length ?? 0) > 0)) {
      await this.#disk.replaceFile(this.#path(`${checkpoint}.mirror`), bytes);
    }
    await this.#disk.replaceFile(this.#path(`${checkpoint}.manifest`), bytes);
    this.#kept = [...this.#kept, manifest].slice(-KEPT);
    await this.#removeUnused();
    return { manifest, bytes: at + bytes.length };
  }

  /** The oldest files when pieces are spread over too many; whoever has a piece there saves all it has anew, so that the file can go. */
  crowdedFiles(manifest: Manifest): ReadonlySet<string> {
    const files = new Set<string>();
    let bytes = 0;
    for (const ref of refsOf(manifest)) {
      files.add(ref.file);
      bytes += ref.bytes;
    }
    const oldestFirst = [...files].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    return new Set(oldestFirst.slice(0, Math.max(0, files.size - mostPieces(bytes))));
  }

  /** Reads every piece once, and holds none: together they may be larger than memory. */
  async #read(manifest: Manifest): Promise<Omit<LoadedCheckpoint, 'firstEpoch' | 'overtaken'>> {
    const files = new Map<string, number | Buffer>();
    const opened: DiskFile[] = [];
    const close = async (): Promise<void> => {
      await Promise.all(opened.splice(0).map((file) => file.close()));
    };
    try {
      for (const ref of refsOf(manifest)) {
        if (!files.has(ref.file)) files.set(ref.file, await this.#open(this.#path(ref.file), opened));
        const piece = readPiece(files, ref);
        if (piece.length !== ref.bytes || crc32c(piece) !== ref.crc)
          throw new StreamError('STORAGE_FAILED', `${ref.file} is damaged at ${ref.at}`);
      }
    } catch (thrown) {
      await close();
      throw thrown;
    }
    return { manifest, files, piece: (ref) => readPiece(files, ref), close };
  }

  async #open(path: string, opened: DiskFile[]): Promise<number | Buffer> {
    const file = await this.#disk.open(path, 'read');
    if (file.fd !== undefined) {
      opened.push(file);
      return file.fd;
    }
    await file.close();
    return this.#disk.readFile(path);
  }

  async #removeUnused(): Promise<void> {
    const wanted = new Set<string>();
    for (const manifest of this.#kept) {
      wanted.add(`${manifest.checkpoint}.manifest`).add(`${manifest.checkpoint}.mirror`);
      for (const ref of refsOf(manifest)) wanted.add(ref.file);
    }
    for (const name of await this.#disk.list(this.#directory)) {
      if (!wanted.has(name)) await this.#disk.remove(this.#path(name));
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** The bytes of a piece, fewer where the file ends before it does. STORAGE_FAILED. */
export function readPiece(files: PieceFiles, { file, at, bytes }: PieceRef): Buffer {
  const content = files.get(file);
  if (typeof content !== 'number') return content!.subarray(at, at + bytes);
  const piece = Buffer.allocUnsafeSlow(bytes);
  let done = 0;
  try {
    for (let read = 1; read > 0 && done < bytes; done += read)
      read = readSync(content, piece, done, bytes - done, at + done);
  } catch (cause) {
    throw new StreamError('STORAGE_FAILED', `${file} cannot be read at ${at}: ${String(cause)}`, { cause });
  }
  return piece.subarray(0, done);
}

/** Over how many files one manifest's pieces may be spread, and how many a table may have: one more for each 4 MiB, since a large table is saved anew in as many parts. */
export const mostPieces = (bytes: number): number => 64 + bytes / (4 << 20);

const numberOf = (name: string): number => Number(/^(\d+)\.(manifest|mirror)$/.exec(name)?.[1] ?? -1);

export const isRef = (piece: PieceRef | Parts): piece is PieceRef => !Array.isArray(piece);

/** Of the checkpoint that is loaded and the damaged ones after it. */
function overtakenSinks(loaded: Manifest, newer: readonly (Manifest | null)[]): readonly string[] | 'all' {
  const rows = new Map(loaded.objects.map(({ id, sink }) => [id, sink?.rows ?? 0]));
  const overtaken = new Set<string>();
  for (const manifest of newer) {
    if (manifest === null) return 'all';
    for (const { id, sink } of manifest.objects) if ((sink?.rows ?? 0) > (rows.get(id) ?? 0)) overtaken.add(id);
  }
  return [...overtaken];
}

function* refsOf(manifest: Manifest): Iterable<PieceRef> {
  for (const object of manifest.objects) for (const table of object.tables) yield* table.pieces;
}

/**
 * A line `streamline-checkpoint <format> <CRC-32C of the rest, hex>`, then JSON, which names its format too: the line alone could be damaged
 * into any number. A form that is read no more as it stands gets a new number and a row in MIGRATIONS.
 */
function encodeManifest(manifest: Manifest): Buffer {
  const body = Buffer.from(JSON.stringify({ format: FORMAT, ...manifest }));
  return Buffer.concat([Buffer.from(`streamline-checkpoint ${FORMAT} ${crc32c(body).toString(16)}\n`), body]);
}

/**
 * How the JSON of an earlier format becomes that of the next one. 2: pieces hold texts in a form that releases before do not know. 3: of several
 * shards, groups of overlapping windows are where their other keys say. 4: distinct values of several filters are in one table (`StateTable.formerly`).
 */
const MIGRATIONS: Readonly<Record<number, (body: unknown) => unknown>> = {
  1: (body) => body,
  2: (body) => ((body as Manifest).shards === undefined ? body : { ...(body as Manifest), isPlacedOtherwise: true }),
  3: (body) => body,
};

/** Each of `count` shards goes on with the pieces that it saved itself. */
export const isPlacedFor = ({ shards = 1, isPlacedOtherwise }: Manifest, count: number): boolean =>
  shards === count && isPlacedOtherwise !== true;

function decodeManifest(content: Buffer, name: string): Manifest {
  const end = content.indexOf(0x0a);
  const [magic, format, crc] = content.toString('latin1', 0, Math.max(0, end)).split(' ');
  if (magic !== 'streamline-checkpoint') throw new StreamError('STORAGE_FAILED', `${name} is no manifest`);
  const body = content.subarray(end + 1);
  if (crc !== crc32c(body).toString(16))
    throw new StreamError('STORAGE_FAILED', `${name} is damaged: its checksum is wrong`);
  let parsed: unknown = JSON.parse(body.toString());
  const written = (parsed as { format?: number }).format ?? 1;
  if (String(written) !== format) throw new StreamError('STORAGE_FAILED', `${name} is damaged: it has two formats`);
  if (written > FORMAT) throw new NewerFormat(name, written);
  for (let from = written; from < FORMAT; from++) parsed = MIGRATIONS[from](parsed);
  const { format: _, ...manifest } = parsed as Manifest & { format?: number };
  return manifest;
}

/** Going back to an older checkpoint would undo what the newer release did, and sinks could not follow. */
class NewerFormat extends StreamError {
  constructor(name: string, format: number) {
    super('STORAGE_FAILED', `${name} has format ${format}, of a newer release; this one reads up to ${FORMAT}`, {
      hint: 'start the release that wrote it, or restore a copy of the data directory from before',
    });
  }
}
