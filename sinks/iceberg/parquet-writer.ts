import type * as Api from '@duckdb/node-api';
import { loadDuckDb } from '../../src/duckdb/chunks.ts';
import { RelationFeed } from '../../src/duckdb/relation-feed.ts';
import type { Batch, ColumnSchema } from '../../src/values/batch.ts';
import { datumFromText } from '../../src/values/text.ts';
import type { SqlType } from '../../src/values/types.ts';
import { syncFile } from './files.ts';
import { duckdbExpression } from './schema.ts';
import type { DataFile } from './table.ts';

/** Rows of a group: enough for good compression, few enough for readers that take a group at once. */
const ROW_GROUP_ROWS = 122_880;

/** Writes batches as Parquet files with field ids, by a DuckDB of its own that is opened with the first file. */
export class ParquetWriter {
  readonly #columns: readonly ColumnSchema[];
  readonly #fieldIds: readonly number[];
  readonly #compression: string;
  #instance: Api.DuckDBInstance | undefined;
  #connection: Api.DuckDBConnection | undefined;
  #feed: RelationFeed | undefined;

  constructor(columns: readonly ColumnSchema[], fieldIds: readonly number[], compression: string) {
    this.#columns = columns;
    this.#fieldIds = fieldIds;
    this.#compression = compression === 'none' ? 'uncompressed' : compression;
  }

  /** One file, durable, with what DuckDB counted while writing it. */
  async write(path: string, batches: readonly Batch[]): Promise<DataFile> {
    const { connection, feed } = await this.#open();
    const id = feed.add(
      this.#columns.map((column) => column.type),
      batches.map((batch) => ({ ...batch, weights: null })),
    );
    try {
      const items = this.#columns.map(
        (column, c) => `${duckdbExpression(`c${c}`, column.type)} AS ${quoted(column.name)}`,
      );
      const ids = this.#columns.map((column, c) => `${quoted(column.name)}: ${this.#fieldIds[c]}`);
      const reader = await connection.runAndReadAll(
        `COPY (SELECT ${items.join(', ')} FROM ${RelationFeed.FUNCTION}(${id})) TO '${path.replaceAll("'", "''")}' ` +
          `(FORMAT parquet, CODEC '${this.#compression}', ROW_GROUP_SIZE ${ROW_GROUP_ROWS}, FIELD_IDS {${ids.join(', ')}}, RETURN_STATS)`,
      );
      await syncFile(path);
      return this.#dataFile(path, reader.getRowObjectsJson()[0]);
    } finally {
      feed.drop(id);
    }
  }

  close(): void {
    this.#connection?.disconnectSync();
    this.#instance?.closeSync();
    this.#connection = undefined;
    this.#instance = undefined;
  }

  async #open(): Promise<{ connection: Api.DuckDBConnection; feed: RelationFeed }> {
    if (this.#connection === undefined || this.#feed === undefined) {
      const module = await loadDuckDb();
      this.#instance = await module.api.DuckDBInstance.create(':memory:', {
        threads: '1',
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
      });
      const connection = await this.#instance.connect();
      await connection.run("SET TimeZone = 'UTC'");
      const feed = new RelationFeed(module);
      feed.register(connection);
      this.#connection = connection;
      this.#feed = feed;
    }
    return { connection: this.#connection, feed: this.#feed };
  }

  #dataFile(path: string, row: Readonly<Record<string, any>>): DataFile {
    const columnSizes: [number, number][] = [];
    const valueCounts: [number, number][] = [];
    const nullCounts: [number, number][] = [];
    const lowerBounds: [number, string][] = [];
    const upperBounds: [number, string][] = [];
    const statistics = new Map<string, Map<string, string>>(
      (row['column_statistics'] as { key: string; value: { key: string; value: string }[] }[]).map(({ key, value }) => [
        key,
        new Map(value.map((one) => [one.key, one.value])),
      ]),
    );
    this.#columns.forEach((column, c) => {
      const found = statistics.get(quoted(column.name));
      if (found === undefined) return;
      const id = this.#fieldIds[c];
      const number = (name: string): number | undefined => (found.has(name) ? Number(found.get(name)) : undefined);
      const [size, values, nulls] = [number('column_size_bytes'), number('num_values'), number('null_count')];
      if (size !== undefined) columnSizes.push([id, size]);
      if (values !== undefined) valueCounts.push([id, values]);
      if (nulls !== undefined) nullCounts.push([id, nulls]);
      const [low, high] = [boundOf(found.get('min'), column.type), boundOf(found.get('max'), column.type)];
      if (low !== undefined && high !== undefined) {
        lowerBounds.push([id, low]);
        upperBounds.push([id, high]);
      }
    });
    return {
      path,
      records: Number(row['count']),
      bytes: Number(row['file_size_bytes']),
      columnSizes,
      valueCounts,
      nullCounts,
      lowerBounds,
      upperBounds,
    };
  }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Single-value serialization (spec, appendix D) where DuckDB's text is exact; other types go without bounds. */
function boundOf(text: string | undefined, type: SqlType): string | undefined {
  if (text === undefined || text === '') return undefined;
  switch (type.kind) {
    case 'smallint':
    case 'integer':
    case 'date': {
      const out = Buffer.alloc(4);
      out.writeInt32LE(datumFromText(text, type) as number);
      return out.toString('base64');
    }
    case 'bigint':
    case 'timestamp':
    case 'timestamptz': {
      const out = Buffer.alloc(8);
      out.writeBigInt64LE(BigInt(datumFromText(text, type) as number | bigint));
      return out.toString('base64');
    }
    default:
      return undefined;
  }
}
