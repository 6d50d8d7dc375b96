import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StreamError } from '../../src/lib/errors.ts';
import { readAvro, writeAvro } from './avro.ts';
import { parseBigJson, stringifyBigJson } from './big-json.ts';
import {
  makeDirectories,
  namesIn,
  putIfAbsent,
  readText,
  remove,
  replaceDurably,
  syncDirectory,
  writeDurably,
} from './files.ts';
import { ADDED, EXISTING, MANIFEST_LIST_SCHEMA, MANIFEST_SCHEMA, manifestMetadata } from './manifest.ts';
import type { IcebergSchema } from './schema.ts';

/** Table metadata, format v2, as far as we touch it; what else a file holds is kept as it is. */
export interface TableMetadata {
  readonly 'format-version': number;
  readonly 'table-uuid': string;
  readonly location: string;
  readonly 'last-sequence-number': number;
  readonly 'current-schema-id': number;
  readonly schemas: readonly IcebergSchema[];
  readonly 'partition-specs': readonly { readonly 'spec-id': number; readonly fields: readonly unknown[] }[];
  readonly 'default-spec-id': number;
  readonly snapshots?: readonly Snapshot[];
  readonly 'current-snapshot-id'?: bigint | number;
  readonly [key: string]: unknown;
}

export interface Snapshot {
  readonly 'snapshot-id': bigint | number;
  readonly 'sequence-number': number;
  readonly 'timestamp-ms': number;
  readonly 'manifest-list': string;
  readonly summary: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

/** One data file as a manifest entry holds it; counts and bounds by field id. */
export interface DataFile {
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
  readonly columnSizes: readonly (readonly [id: number, bytes: number])[];
  readonly valueCounts: readonly (readonly [id: number, count: number])[];
  readonly nullCounts: readonly (readonly [id: number, count: number])[];
  /** Bounds in Iceberg's single-value serialization, base64. */
  readonly lowerBounds: readonly (readonly [id: number, value: string])[];
  readonly upperBounds: readonly (readonly [id: number, value: string])[];
}

/** Snapshots and metadata files that stay; what they alone referred to is removed behind a commit. */
const KEPT_SNAPSHOTS = 100;
const KEPT_METADATA_FILES = 100;
/** This many manifests are merged into one, so that a commit does not slow down with the table's age. */
const MERGED_MANIFESTS = 100;
const MAX_ATTEMPTS = 20;

export const newSnapshotId = (): bigint => randomBytes(8).readBigUInt64BE() & 0x7fff_ffff_ffff_ffffn;

/** A table of the filesystem catalogue: `metadata/v<N>.metadata.json`, published by link(2), and version-hint.text. */
export class IcebergTable {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get dataDirectory(): string {
    return join(this.root, 'data');
  }

  #metadataPath(name: string): string {
    return join(this.root, 'metadata', name);
  }

  /** The newest version; the hint may lag behind it by a crash. Undefined when there is no table. */
  async load(): Promise<{ version: number; metadata: TableMetadata } | undefined> {
    const names = await namesIn(join(this.root, 'metadata'));
    const versions = names.map((name) => Number(/^v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? -1));
    const version = Math.max(-1, ...versions);
    if (version < 0) return undefined;
    const text = await readText(this.#metadataPath(`v${version}.metadata.json`));
    if (text === undefined) throw new StreamError('SINK_UNAVAILABLE', `metadata of ${this.root} vanished`);
    const metadata = parseBigJson(text) as TableMetadata;
    if (metadata['format-version'] !== 2) {
      throw new StreamError(
        'SINK_REJECTED',
        `table ${this.root} has format version ${metadata['format-version']}; this sink writes version 2`,
      );
    }
    const spec = metadata['partition-specs'].find((one) => one['spec-id'] === metadata['default-spec-id']);
    if (spec === undefined || spec.fields.length > 0)
      throw new StreamError(
        'SINK_REJECTED',
        `table ${this.root} is partitioned; this sink writes unpartitioned tables`,
      );
    return { version, metadata };
  }

  async create(schema: IcebergSchema): Promise<void> {
    await makeDirectories(this.dataDirectory);
    await makeDirectories(join(this.root, 'metadata'));
    const nowMs = Date.now();
    const metadata = {
      'format-version': 2,
      'table-uuid': randomUUID(),
      location: fileUri(this.root),
      'last-sequence-number': 0,
      'last-updated-ms': nowMs,
      'last-column-id': schema.fields.length,
      'current-schema-id': 0,
      schemas: [schema],
      'default-spec-id': 0,
      'partition-specs': [{ 'spec-id': 0, fields: [] }],
      'last-partition-id': 999,
      'default-sort-order-id': 0,
      'sort-orders': [{ 'order-id': 0, fields: [] }],
      properties: { 'write.format.default': 'parquet' },
      'current-snapshot-id': -1,
      refs: {},
      snapshots: [],
      'snapshot-log': [],
      'metadata-log': [],
    };
    // Somebody else may have made it meanwhile: then theirs counts.
    await putIfAbsent(this.#metadataPath('v1.metadata.json'), stringifyBigJson(metadata));
    await replaceDurably(this.#metadataPath('version-hint.text'), '1');
  }

  /**
   * Publishes files in a new snapshot. `decide` looks at the current metadata first and says what to add to the snapshot's summary, or undefined to leave the
   * table as it is. Concurrent writers are retried against; only the manifest list is written anew then.
   */
  async append(
    snapshotId: bigint,
    files: readonly DataFile[],
    decide: (metadata: TableMetadata) => Readonly<Record<string, string>> | undefined,
  ): Promise<void> {
    let manifest: Record<string, unknown> | undefined;
    for (let attempt = 1; ; attempt++) {
      const loaded = await this.load();
      if (loaded === undefined)
        throw new StreamError('SINK_REJECTED', `table ${this.root} is gone`, {
          hint: 'drop the sink and create it again',
        });
      const { version, metadata } = loaded;
      const extra = decide(metadata);
      if (extra === undefined) return;
      manifest ??= await this.#writeManifest(
        metadata,
        snapshotId,
        files.map((file) => addedEntry(file)),
        'm0',
        files,
      );
      const next = await this.#nextMetadata(metadata, version, snapshotId, files, manifest, extra, attempt);
      if (await putIfAbsent(this.#metadataPath(`v${version + 1}.metadata.json`), stringifyBigJson(next.metadata))) {
        await replaceDurably(this.#metadataPath('version-hint.text'), String(version + 1));
        await this.#cleanUp(version + 1, next.expired);
        return;
      }
      await remove(next.manifestListPath);
      if (attempt === MAX_ATTEMPTS)
        throw new StreamError(
          'SINK_UNAVAILABLE',
          `table ${this.root} changes too fast: ${attempt} commits lost the race`,
        );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
    }
  }

  async #writeManifest(
    metadata: TableMetadata,
    snapshotId: bigint,
    entries: readonly unknown[],
    suffix: string,
    added: readonly DataFile[],
  ): Promise<Record<string, unknown>> {
    const schema = currentSchema(metadata);
    const bytes = writeAvro(MANIFEST_SCHEMA, manifestMetadata(schema), entries);
    const path = this.#metadataPath(`${randomUUID()}-${suffix}.avro`);
    await writeDurably(path, bytes);
    await syncDirectory(join(this.root, 'metadata'));
    return {
      manifest_path: fileUri(path),
      manifest_length: BigInt(bytes.length),
      partition_spec_id: 0,
      content: 0,
      added_snapshot_id: snapshotId,
      added_files_count: added.length,
      existing_files_count: 0,
      deleted_files_count: 0,
      added_rows_count: BigInt(added.reduce((sum, file) => sum + file.records, 0)),
      existing_rows_count: 0n,
      deleted_rows_count: 0n,
    };
  }

  async #nextMetadata(
    metadata: TableMetadata,
    version: number,
    snapshotId: bigint,
    files: readonly DataFile[],
    manifest: Readonly<Record<string, unknown>>,
    extra: Readonly<Record<string, string>>,
    attempt: number,
  ) {
    const sequence = metadata['last-sequence-number'] + 1;
    const parent = currentSnapshot(metadata);
    const manifests = parent === undefined ? [] : await this.#readManifestList(parent);
    const kept =
      manifests.length >= MERGED_MANIFESTS ? [await this.#merge(metadata, snapshotId, sequence, manifests)] : manifests;
    const list = [{ ...manifest, sequence_number: BigInt(sequence), min_sequence_number: BigInt(sequence) }, ...kept];
    const parentId = parent === undefined ? 'null' : String(parent['snapshot-id']);
    const manifestListPath = this.#metadataPath(`snap-${snapshotId}-${attempt}-${randomUUID()}.avro`);
    await writeDurably(
      manifestListPath,
      writeAvro(
        MANIFEST_LIST_SCHEMA,
        {
          'snapshot-id': String(snapshotId),
          'parent-snapshot-id': parentId,
          'sequence-number': String(sequence),
          'format-version': '2',
        },
        list,
      ),
    );
    await syncDirectory(join(this.root, 'metadata'));
    const nowMs = Math.max(Date.now(), Number(metadata['last-updated-ms'] ?? 0));
    const snapshot: Snapshot = {
      'snapshot-id': snapshotId,
      ...(parent === undefined ? {} : { 'parent-snapshot-id': parent['snapshot-id'] }),
      'sequence-number': sequence,
      'timestamp-ms': nowMs,
      'manifest-list': fileUri(manifestListPath),
      'schema-id': metadata['current-schema-id'],
      summary: { operation: 'append', ...totals(parent, files), ...extra },
    };
    const all = [...(metadata.snapshots ?? []), snapshot];
    const refs = (metadata['refs'] ?? {}) as Record<string, { 'snapshot-id': bigint | number }>;
    const referenced = new Set(
      Object.entries(refs)
        .filter(([name]) => name !== 'main')
        .map(([, ref]) => String(ref['snapshot-id'])),
    );
    const snapshots = all.filter(
      (one, i) => i >= all.length - KEPT_SNAPSHOTS || referenced.has(String(one['snapshot-id'])),
    );
    const keptIds = new Set(snapshots.map((one) => String(one['snapshot-id'])));
    const next = {
      ...metadata,
      'last-sequence-number': sequence,
      'last-updated-ms': nowMs,
      'current-snapshot-id': snapshotId,
      snapshots,
      refs: { ...refs, main: { 'snapshot-id': snapshotId, type: 'branch' } },
      'snapshot-log': [
        ...((metadata['snapshot-log'] as { 'snapshot-id': bigint }[] | undefined) ?? []).filter((one) =>
          keptIds.has(String(one['snapshot-id'])),
        ),
        { 'snapshot-id': snapshotId, 'timestamp-ms': nowMs },
      ],
      'metadata-log': [
        ...((metadata['metadata-log'] as unknown[] | undefined) ?? []).slice(1 - KEPT_METADATA_FILES),
        {
          'metadata-file': fileUri(this.#metadataPath(`v${version}.metadata.json`)),
          'timestamp-ms': Number(metadata['last-updated-ms'] ?? nowMs),
        },
      ],
    };
    const expired = all.filter((one) => !keptIds.has(String(one['snapshot-id'])));
    return { metadata: next, manifestListPath, expired };
  }

  async #readManifestList(snapshot: Snapshot): Promise<Record<string, unknown>[]> {
    return readAvro(await readFile(pathOf(snapshot['manifest-list'])));
  }

  /** One manifest with the entries of many; their sequence numbers become explicit, as the spec wants of existing entries. */
  async #merge(
    metadata: TableMetadata,
    snapshotId: bigint,
    sequence: number,
    manifests: readonly Record<string, unknown>[],
  ): Promise<Record<string, unknown>> {
    const entries: Record<string, unknown>[] = [];
    let rows = 0n;
    let least = BigInt(sequence);
    for (const manifest of manifests) {
      for (const entry of await readAvro(await readFile(pathOf(manifest['manifest_path'] as string)))) {
        const sequenceNumber = (entry['sequence_number'] ?? manifest['sequence_number']) as bigint;
        entries.push({
          ...entry,
          status: EXISTING,
          snapshot_id: entry['snapshot_id'] ?? manifest['added_snapshot_id'],
          sequence_number: sequenceNumber,
          file_sequence_number: entry['file_sequence_number'] ?? manifest['sequence_number'],
        });
        rows += BigInt((entry['data_file'] as { record_count: bigint | number }).record_count);
        if (BigInt(sequenceNumber) < least) least = BigInt(sequenceNumber);
      }
    }
    const written = await this.#writeManifest(metadata, snapshotId, entries, 'merged', []);
    return {
      ...written,
      sequence_number: BigInt(sequence),
      min_sequence_number: least,
      existing_files_count: entries.length,
      existing_rows_count: rows,
    };
  }

  /** Old metadata files and the manifest lists of expired snapshots. A crash in between leaves files that nothing refers to. */
  async #cleanUp(version: number, expired: readonly Snapshot[]): Promise<void> {
    if (version > KEPT_METADATA_FILES)
      await remove(this.#metadataPath(`v${version - KEPT_METADATA_FILES}.metadata.json`));
    for (const snapshot of expired) await remove(pathOf(snapshot['manifest-list']));
  }

  /** Paths of all live data files. */
  async liveFiles(): Promise<Set<string>> {
    const loaded = await this.load();
    const snapshot = loaded === undefined ? undefined : currentSnapshot(loaded.metadata);
    const paths = new Set<string>();
    if (snapshot === undefined) return paths;
    for (const manifest of await this.#readManifestList(snapshot)) {
      for (const entry of await readAvro(await readFile(pathOf(manifest['manifest_path'] as string)))) {
        paths.add(pathOf((entry['data_file'] as { file_path: string }).file_path));
      }
    }
    return paths;
  }
}

const fileUri = (path: string): string => `file://${path}`;
export const pathOf = (uri: string): string => uri.replace(/^file:(\/\/)?/, '');

export function currentSchema(metadata: TableMetadata): IcebergSchema {
  return metadata.schemas.find((schema) => schema['schema-id'] === metadata['current-schema-id']) as IcebergSchema;
}

export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const id = String(metadata['current-snapshot-id'] ?? -1);
  return metadata.snapshots?.find((snapshot) => String(snapshot['snapshot-id']) === id);
}

function totals(parent: Snapshot | undefined, files: readonly DataFile[]): Record<string, string> {
  const records = files.reduce((sum, file) => sum + file.records, 0);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const total = (name: string, added: number): string => String(Number(parent?.summary[name] ?? 0) + added);
  return {
    'added-data-files': String(files.length),
    'added-records': String(records),
    'added-files-size': String(bytes),
    'total-data-files': total('total-data-files', files.length),
    'total-records': total('total-records', records),
    'total-files-size': total('total-files-size', bytes),
    'total-delete-files': total('total-delete-files', 0),
    'total-position-deletes': total('total-position-deletes', 0),
    'total-equality-deletes': total('total-equality-deletes', 0),
  };
}

/** Snapshot id and sequence numbers are inherited from the manifest list, so that a retry can use the manifest again. */
function addedEntry(file: DataFile): unknown {
  const pairs = (list: readonly (readonly [number, number])[]) =>
    list.map(([key, value]) => ({ key, value: BigInt(value) }));
  const bounds = (list: readonly (readonly [number, string])[]) =>
    list.map(([key, value]) => ({ key, value: Buffer.from(value, 'base64') }));
  return {
    status: ADDED,
    snapshot_id: null,
    sequence_number: null,
    file_sequence_number: null,
    data_file: {
      content: 0,
      file_path: fileUri(file.path),
      file_format: 'PARQUET',
      partition: {},
      record_count: BigInt(file.records),
      file_size_in_bytes: BigInt(file.bytes),
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullCounts),
      lower_bounds: bounds(file.lowerBounds),
      upper_bounds: bounds(file.upperBounds),
      sort_order_id: 0,
    },
  };
}
