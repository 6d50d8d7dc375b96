import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { asStreamError, StreamError } from '../../src/lib/errors.ts';
import type { Sink, SinkContext, SinkKind, SinkToken } from '../../src/ports/sink.ts';
import type { Batch } from '../../src/values/batch.ts';
import { namesIn, remove, syncDirectory } from './files.ts';
import { ICEBERG_OPTIONS } from './options.ts';
import { matchSchema, schemaOf } from './schema.ts';
import {
  currentSchema,
  currentSnapshot,
  type DataFile,
  IcebergTable,
  newSnapshotId,
  type TableMetadata,
} from './table.ts';

/**
 * INTO ICEBERG: append to a table of a local warehouse, exactly once. `prepare` writes Parquet files that nothing refers to yet;
 * `commit` publishes them in a snapshot whose summary says up to which epoch each sink has written, by which a repeated commit is
 * recognised. Read on in table.ts (metadata and commit) and parquet-writer.ts.
 */
export const iceberg: SinkKind = {
  name: 'iceberg',
  options: ICEBERG_OPTIONS,
  create: (context) => new IcebergSink(context),
};

/** Key in a snapshot's summary: JSON of sink id → {epoch, hash}, carried on from snapshot to snapshot. */
const MARKER = 'streamline.commits';
type Marker = Readonly<Record<string, { readonly epoch: number; readonly hash: string }>>;

interface PendingCommit extends SinkToken {
  readonly tableUuid: string;
  readonly snapshotId: string;
  readonly files: readonly DataFile[];
  readonly hash: string;
}

/** A file takes at most this many rows; an epoch with more gets several. */
const ROWS_PER_FILE = 2_000_000;

class IcebergSink implements Sink {
  readonly #context: SinkContext;
  readonly #table: IcebergTable;
  #tableUuid = '';
  #writer: import('./parquet-writer.ts').ParquetWriter | undefined;

  constructor(context: SinkContext) {
    const { options, name, dataDir } = context;
    this.#context = context;
    const part = (option: string, fallback: string): string => {
      const text = options[option] ?? fallback;
      if (!/^[^/\\\0]+$/.test(text) || text === '.' || text === '..')
        throw new StreamError('OPTION_INVALID', `${option} = '${text}' is no name of a directory`);
      return text;
    };
    this.#table = new IcebergTable(
      join(options['warehouse'] ?? join(dataDir, 'warehouse'), part('namespace', 'default'), part('table', name)),
    );
  }

  async open(): Promise<void> {
    const { columns, appendOnly, name, options } = this.#context;
    if (!appendOnly) {
      throw new StreamError(
        'SINK_REJECTED',
        `the query of sink "${name}" can take rows back; INTO ICEBERG appends only`,
        {
          hint: 'write the rows before they are aggregated, or an append-only SELECT over a source',
        },
      );
    }
    await unavailable(async () => {
      if ((await this.#table.load()) === undefined) await this.#table.create(schemaOf(columns));
    });
    const { metadata } = (await this.#table.load()) as { metadata: TableMetadata };
    this.#tableUuid = metadata['table-uuid'];
    const fieldIds = matchSchema(currentSchema(metadata), columns, this.#table.root);
    const { ParquetWriter } = await import('./parquet-writer.ts');
    this.#writer = new ParquetWriter(columns, fieldIds, options['compression'] ?? 'zstd');
  }

  async prepare(epoch: number, batches: readonly Batch[]): Promise<SinkToken | null> {
    const groups = groupRows(batches);
    if (groups.length === 0) return null;
    const writer = this.#writer;
    if (writer === undefined) throw new StreamError('INVARIANT', 'prepare before open');
    return unavailable(async () => {
      const files: DataFile[] = [];
      for (const group of groups) {
        const path = join(this.#table.dataDirectory, `${this.#context.sinkId}-${epoch}-${randomUUID()}.parquet`);
        files.push(await writer.write(path, group));
      }
      await syncDirectory(this.#table.dataDirectory);
      const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 16);
      const token: PendingCommit = { tableUuid: this.#tableUuid, snapshotId: String(newSnapshotId()), files, hash };
      return token;
    });
  }

  async commit(epoch: number, token: SinkToken): Promise<void> {
    const pending = token as unknown as PendingCommit;
    const { sinkId, name } = this.#context;
    await unavailable(() =>
      this.#table.append(BigInt(pending.snapshotId), pending.files, (metadata) => {
        if (metadata['table-uuid'] !== pending.tableUuid) {
          throw new StreamError(
            'SINK_REJECTED',
            `table ${this.#table.root} was made anew while sink "${name}" wrote to it`,
            { hint: 'drop the sink and create it again' },
          );
        }
        const marker = markerOf(metadata);
        const written = marker[sinkId];
        if (written?.epoch === epoch && written.hash === pending.hash) return undefined;
        if (written !== undefined && written.epoch >= epoch) {
          throw new StreamError(
            'SINK_REJECTED',
            `table ${this.#table.root} holds epoch ${written.epoch} of sink "${name}", which is about to write epoch ${epoch}`,
            {
              hint: 'the data directory is older than the table: restore both from the same time, or write to a new table',
            },
          );
        }
        return { [MARKER]: JSON.stringify({ ...marker, [sinkId]: { epoch, hash: pending.hash } }) };
      }),
    );
  }

  /** Files of epochs that were prepared but whose checkpoint was lost. */
  async recover(lastEpoch: number): Promise<void> {
    await unavailable(async () => {
      const loaded = await this.#table.load();
      if (loaded === undefined) return;
      const written = markerOf(loaded.metadata)[this.#context.sinkId];
      if (written !== undefined && written.epoch > lastEpoch) {
        throw new StreamError(
          'SINK_REJECTED',
          `table ${this.#table.root} holds epoch ${written.epoch} of sink "${this.#context.name}", the newest checkpoint is of epoch ${lastEpoch}`,
          {
            hint: 'the data directory is older than the table: restore both from the same time, or write to a new table',
          },
        );
      }
      const prefix = `${this.#context.sinkId}-`;
      const ours = (await namesIn(this.#table.dataDirectory)).filter((name) => name.startsWith(prefix));
      const orphans = ours.filter((name) => Number(name.slice(prefix.length).split('-')[0]) > lastEpoch);
      for (const name of orphans) await remove(join(this.#table.dataDirectory, name));
    });
  }

  async close(): Promise<void> {
    this.#writer?.close();
  }
}

function markerOf(metadata: TableMetadata): Marker {
  const text = currentSnapshot(metadata)?.summary[MARKER];
  return text === undefined ? {} : (JSON.parse(text) as Marker);
}

/** Batches in groups of one file each; a weight other than +1 has no place in an append-only table. */
function groupRows(batches: readonly Batch[]): Batch[][] {
  const groups: Batch[][] = [];
  let rows = 0;
  for (const batch of batches) {
    if (batch.length === 0) continue;
    if (batch.weights?.some((weight) => weight !== 1))
      throw new StreamError(
        'SINK_REJECTED',
        'a row was taken back or repeated, which an append-only table cannot hold',
      );
    if (groups.length === 0 || rows + batch.length > ROWS_PER_FILE) {
      groups.push([]);
      rows = 0;
    }
    groups[groups.length - 1].push(batch);
    rows += batch.length;
  }
  return groups;
}

/** Errors of the file system are the target's; ours stay what they are. */
async function unavailable<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (thrown instanceof StreamError || typeof code !== 'string' || !/^E[A-Z]+$/.test(code))
      throw asStreamError(thrown);
    throw new StreamError('SINK_UNAVAILABLE', `the warehouse cannot be written: ${(thrown as Error).message}`, {
      cause: thrown,
    });
  }
}
