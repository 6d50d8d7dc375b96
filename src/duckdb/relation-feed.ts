import type * as Api from '@duckdb/node-api';
import type { Batch } from '../values/batch.ts';
import type { SqlType } from '../values/types.ts';
import { type DuckDbModule, writeChunkColumn } from './chunks.ts';
import { apiType } from './duckdb-values.ts';
import { CHUNK_ROWS } from './vector-writer.ts';

/** Rows that one query reads; batches without weights. */
interface Relation {
  readonly types: readonly SqlType[];
  readonly batches: readonly Batch[];
  readonly rowCount: number;
}

interface Position {
  batch: number;
  row: number;
}

/**
 * Batches as relations inside DuckDB: one table function `streamline_relation(id)`, registered once, that looks its rows up by id.
 * DuckDB calls it on the main thread for a chunk at a time, so other work goes on between chunks; a query's relations are dropped when
 * it ends.
 */
export class RelationFeed {
  static readonly FUNCTION = 'streamline_relation';
  readonly #relations = new Map<number, Relation>();
  readonly #module: DuckDbModule;
  #nextId = 1;

  constructor(module: DuckDbModule) {
    this.#module = module;
  }

  add(types: readonly SqlType[], batches: readonly Batch[]): number {
    const id = this.#nextId++;
    this.#relations.set(id, { types, batches, rowCount: batches.reduce((sum, batch) => sum + batch.length, 0) });
    return id;
  }

  drop(id: number): void {
    this.#relations.delete(id);
  }

  /** Relations that running queries hold. */
  get size(): number {
    return this.#relations.size;
  }

  register(connection: Api.DuckDBConnection): void {
    const { api } = this.#module;
    connection.registerTableFunction(
      api.DuckDBTableFunction.create({
        name: RelationFeed.FUNCTION,
        parameterTypes: [api.INTEGER],
        bindFunction: (info) => {
          const relation = this.#relations.get(info.getParameter(0) as number);
          if (relation === undefined) throw new Error('the relation is gone');
          for (const [i, type] of relation.types.entries()) info.addResultColumn(`c${i}`, apiType(api, type));
          if (relation.types.length === 0) info.addResultColumn('z', api.BOOLEAN);
          info.setCardinality(relation.rowCount, true);
          info.setBindData(relation);
        },
        initFunction: (info) => {
          info.setInitData({ batch: 0, row: 0 } satisfies Position);
          // One thread keeps the rows' order.
          info.setMaxThreads(1);
        },
        mainFunction: (info, chunk) => this.#fill(info.bindData as Relation, info.initData as Position, chunk),
      }),
    );
  }

  #fill({ types, batches }: Relation, position: Position, chunk: Api.DuckDBDataChunk): void {
    while (position.batch < batches.length && position.row >= batches[position.batch].length) {
      position.batch++;
      position.row = 0;
    }
    if (position.batch >= batches.length) {
      chunk.rowCount = 0;
      return;
    }
    const batch = batches[position.batch];
    const count = Math.min(CHUNK_ROWS, batch.length - position.row);
    chunk.rowCount = count;
    for (let c = 0; c < types.length; c++) {
      writeChunkColumn(this.#module, chunk, c, batch.columns[c], position.row, count);
    }
    position.row += count;
  }
}
