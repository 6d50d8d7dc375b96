import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { runTestFile } from '../../src/cli/sql-test/run-file.ts';
import { WAYS } from '../../src/cli/sql-test/ways.ts';
import { StreamError } from '../../src/lib/errors.ts';
import { asStatements } from './as-statements.ts';
import { bind } from './judge.ts';
import { generateQuery } from './query-generator.ts';
import { type Random, randomFrom } from './random.ts';
import { randomEpochs } from './random-changes.ts';

/**
 * The same random queries in the whole engine: statements, records in a log, decoders, shared parts, checkpoints, kills and workers; several views
 * at a time, some of which catch up. At the end VERIFY VIEW compares each with its definition. STREAMLINE_SEED=n repeats one run,
 * STREAMLINE_FUZZ_RUNS makes more.
 */
const RUNS = Number(process.env['STREAMLINE_FUZZ_RUNS'] ?? 1);
const FIRST_SEED = Number(process.env['STREAMLINE_SEED'] ?? 1);
const VIEWS = 6;

const duckdb = new DuckDbAnalytics({ memoryLimitBytes: 512 << 20 });
afterAll(() => duckdb.close());

/** What can be verified: not what has been closed, nor what goes by the clock, which stands still here. */
function verifiable(random: Random): string {
  for (;;) {
    const sql = generateQuery(random);
    if (/EMIT|now\(\)/.test(sql)) continue;
    try {
      bind(sql);
      return sql;
    } catch (thrown) {
      if (!(thrown instanceof StreamError)) throw thrown;
    }
  }
}

describe.each(WAYS)('$name: $doc', (way) => {
  test.each(Array.from({ length: RUNS }, (_, i) => FIRST_SEED + i))(
    'seed %i',
    async (seed) => {
      const random = randomFrom(seed);
      const queries = Array.from({ length: VIEWS }, () => verifiable(random));
      const text = asStatements(queries, randomEpochs(random, 3));
      const { failures } = await runTestFile(text, duckdb, way, { verifies: true });
      expect(failures.map(({ line, message }) => `${text.split('\n')[line - 1]}\n${message}`)).toEqual([]);
    },
    90_000,
  );
});
