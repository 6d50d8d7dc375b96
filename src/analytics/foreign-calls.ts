import type * as Api from '@duckdb/node-api';
import { type DuckDbModule, readChunkColumn } from '../duckdb/chunks.ts';
import { apiType, writeLists } from '../duckdb/duckdb-values.ts';
import { storageOf, writeVector } from '../duckdb/vector-writer.ts';
import { assert } from '../lib/assert.ts';
import { StreamError } from '../lib/errors.ts';
import { ColumnBuilder, datumAt } from '../values/column.ts';
import type { Datum } from '../values/types.ts';
import { foreignErrorText } from './duckdb-errors.ts';
import type { ForeignCall } from './duckdb-expr.ts';

/** Distinct signatures that DuckDB may learn; it cannot forget them. Types are few, so this bounds only malice. */
const MAX_FOREIGN_CALLS = 4096;

/** Our own functions and casts as scalar functions of DuckDB, for what it would answer differently. Registered on first use, for good. */
export class ForeignCalls {
  readonly #module: DuckDbModule;
  readonly #names = new Map<string, string>();

  constructor(module: DuckDbModule) {
    this.#module = module;
  }

  /** The name of the call, registered through a connection that runs no query. SQL_LIMIT. */
  nameOf(call: ForeignCall, connection: Api.DuckDBConnection): string {
    const known = this.#names.get(call.key);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_FOREIGN_CALLS) {
      throw new StreamError('SQL_LIMIT', 'too many different functions and types were used since the start');
    }
    const name = `streamline_call_${this.#names.size}`;
    const { api } = this.#module;
    connection.registerScalarFunction(
      api.DuckDBScalarFunction.create({
        name,
        parameterTypes: call.args.map((type) => apiType(api, type)),
        returnType: apiType(api, call.type),
        specialHandling: true,
        mainFunction: (info, input, output) => {
          try {
            this.#run(call, input, output);
          } catch (thrown) {
            info.setError(foreignErrorText(thrown));
          }
        },
      }),
    );
    this.#names.set(call.key, name);
    return name;
  }

  #run(call: ForeignCall, input: Api.DuckDBDataChunk, output: Api.DuckDBVector): void {
    const count = input.rowCount;
    const columns = call.args.map((type, i) => readChunkColumn(this.#module, input, i, type));
    const builder = new ColumnBuilder(call.type, count);
    const args = new Array<Datum>(columns.length);
    for (let row = 0; row < count; row++) {
      for (let c = 0; c < columns.length; c++) args[c] = datumAt(columns[c], row);
      builder.push(call.run(args));
    }
    const column = builder.finish();
    if (storageOf(call.type) === 'list') {
      writeLists(this.#module.api, output, column, 0, count);
      return;
    }
    const { vector } = output as unknown as { vector?: Parameters<typeof writeVector>[1] };
    assert(vector !== undefined, 'a vector of the library holds the one under it');
    writeVector(this.#module.bindings, vector, column, 0, count);
  }
}
