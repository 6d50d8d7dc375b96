import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { root } from '../support/root.ts';
import { type Case, fromKept, type Kept, toKept } from './case.ts';
import { check, Difference, type Outcome } from './check.ts';
import { generateQuery } from './query-generator.ts';
import { randomFrom } from './random.ts';
import { randomEpochs } from './random-changes.ts';
import { shrink } from './shrink.ts';
import { WAYS, type Way } from './ways.ts';

/**
 * The sentence that is the product: after every epoch a view equals what DuckDB answers for the same query over the same input. Random
 * queries over random changes, in every way that they may come in. What fails is shrunk; put what is printed into `kept/`, mend the product, and it stays.
 * STREAMLINE_FUZZ_QUERIES=10000 is the long run, STREAMLINE_SEED=n repeats one query (or begins the run there, with
 * STREAMLINE_FUZZ_QUERIES), STREAMLINE_FUZZ_KEEP=DIR goes on after a failure and writes each into a file there.
 */
const ONE = process.env['STREAMLINE_SEED'] !== undefined && process.env['STREAMLINE_FUZZ_QUERIES'] === undefined;
const QUERIES = ONE ? 1 : Number(process.env['STREAMLINE_FUZZ_QUERIES'] ?? 300);
const FIRST_SEED = Number(process.env['STREAMLINE_SEED'] ?? 1);
const KEEP = process.env['STREAMLINE_FUZZ_KEEP'];

const duckdb = new DuckDbAnalytics({ memoryLimitBytes: 512 << 20 });
afterAll(() => duckdb.close());

function caseOf(seed: number): Case {
  const random = randomFrom(seed);
  return { sql: generateQuery(random), epochs: randomEpochs(random, random.chance(0.1) ? 7 : 3) };
}

/** Every query goes straight through and is killed; the other ways take turns. */
function waysOf(seed: number): Way[] {
  const always = WAYS.filter(({ name }) => name === 'straight' || name === 'killed');
  const inTurns = WAYS.filter((way) => !always.includes(way));
  return [...always, inTurns[seed % inTurns.length]];
}

async function smallest(one: Case, thrown: unknown): Promise<Kept> {
  const ways = thrown instanceof Difference ? [thrown.way] : [];
  let why = String(thrown);
  const fails = async (next: Case): Promise<boolean> => {
    try {
      await check(duckdb, next, ways);
      return false;
    } catch (again) {
      // Text that has become nonsense fails for another reason.
      if (again instanceof Difference !== thrown instanceof Difference) return false;
      if (!(again instanceof Difference) && (again as { code?: string }).code !== (thrown as { code?: string }).code)
        return false;
      why = String(again);
      return true;
    }
  };
  const least = await shrink(one, fails);
  return toKept(why, least);
}

describe('a view equals the batch answer after every epoch', () => {
  test(
    `${QUERIES} random queries from seed ${FIRST_SEED}`,
    async () => {
      const outcomes: Record<Outcome | 'failed', number> = { compared: 0, 'no value': 0, refused: 0, failed: 0 };
      for (let seed = FIRST_SEED; seed < FIRST_SEED + QUERIES; seed++) {
        const one = caseOf(seed);
        try {
          outcomes[await check(duckdb, one, waysOf(seed))]++;
        } catch (thrown) {
          outcomes.failed++;
          const kept = await smallest(one, thrown);
          const text = JSON.stringify(kept, null, 1);
          if (KEEP === undefined) throw new Error(`seed ${seed}: ${one.sql}\nshrunk:\n${text}`, { cause: thrown });
          mkdirSync(KEEP, { recursive: true });
          writeFileSync(join(KEEP, `${seed}.json`), text);
        }
        if (seed % 500 === 0 && QUERIES > 500) console.info(`to seed ${seed}: ${JSON.stringify(outcomes)}`);
      }
      console.info('differential:', JSON.stringify(outcomes));
      expect(outcomes.failed).toBe(0);
      if (!ONE) expect(outcomes.compared / QUERIES, JSON.stringify(outcomes)).toBeGreaterThan(0.6);
    },
    120_000 + QUERIES * 2000,
  );

  const kept = join(root, 'tests/differential/kept');
  test.each(existsSync(kept) ? readdirSync(kept) : [])('kept: %s', async (file) => {
    const one = fromKept(JSON.parse(readFileSync(join(kept, file), 'utf8')) as Kept);
    expect(await check(duckdb, one, WAYS)).toBe('compared');
  });
});
