import type * as Api from '@duckdb/node-api';
import type duckdb from '@duckdb/node-bindings';
import type { Batch } from '../values/batch.ts';
import type { Column } from '../values/column.ts';
import type { SqlType } from '../values/types.ts';
import { readLists, writeLists } from './duckdb-values.ts';
import { readVector } from './vector-reader.ts';
import { writeVector } from './vector-writer.ts';

/** DuckDB's two layers, loaded on first use: the library and the C functions under it. */
export interface DuckDbModule {
  readonly api: typeof Api;
  readonly bindings: typeof duckdb;
}

export async function loadDuckDb(): Promise<DuckDbModule> {
  const [api, bindings] = await Promise.all([import('@duckdb/node-api'), import('@duckdb/node-bindings')]);
  return { api, bindings: bindings.default };
}

/** Writes rows [start, start + count) of `column` into column `index` of a chunk whose rowCount is set. */
export function writeChunkColumn(
  { api, bindings }: DuckDbModule,
  chunk: Api.DuckDBDataChunk,
  index: number,
  column: Column,
  start: number,
  count: number,
): void {
  if (column.type.kind === 'array') writeLists(api, chunk.getColumnVector(index), column, start, count);
  else writeVector(bindings, bindings.data_chunk_get_vector(chunk.chunk, index), column, start, count);
}

export function readChunkColumn(
  { bindings }: DuckDbModule,
  chunk: Api.DuckDBDataChunk,
  index: number,
  type: SqlType,
): Column {
  const count = chunk.rowCount;
  if (type.kind === 'array') return readLists(chunk.getColumnVector(index), type, count);
  return readVector(bindings, bindings.data_chunk_get_vector(chunk.chunk, index), type, count);
}

export function readChunk(module: DuckDbModule, chunk: Api.DuckDBDataChunk, types: readonly SqlType[]): Batch {
  return {
    length: chunk.rowCount,
    columns: types.map((type, i) => readChunkColumn(module, chunk, i, type)),
    weights: null,
  };
}
