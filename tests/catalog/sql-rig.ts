import type { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import type { SqlResult } from '../../src/catalog/context.ts';
import { openTestDatabase, type TestDatabase } from '../../src/cli/sql-test/test-database.ts';
import { rowAt } from '../../src/values/batch.ts';
import type { Datum } from '../../src/values/types.ts';

/** A database in memory with its answers as objects. */
export class SqlRig {
  readonly db: TestDatabase;

  private constructor(db: TestDatabase) {
    this.db = db;
  }

  static async open(analytics: DuckDbAnalytics, startMs = Date.UTC(2026, 0, 1)): Promise<SqlRig> {
    return new SqlRig(await openTestDatabase(startMs, analytics));
  }

  /** The last statement's result. */
  async run(sql: string): Promise<SqlResult> {
    const results = await this.db.executor.execute(sql, { params: [], timeoutMs: 10_000, maxRows: 1000 });
    return results[results.length - 1];
  }

  async rows(sql: string): Promise<Record<string, Datum>[]> {
    const result = await this.run(sql);
    if (result.kind !== 'rows') throw new Error(result.tag);
    const names = result.columns.map(({ name }) => name);
    return result.batches.flatMap((batch) =>
      Array.from({ length: batch.length }, (_, i) =>
        Object.fromEntries(rowAt(batch, i).map((value, c) => [names[c], value])),
      ),
    );
  }

  close(): Promise<void> {
    return this.db.close();
  }
}
