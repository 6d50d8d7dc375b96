import { describe, expect, test } from 'vitest';
import { StreamError } from '../../src/lib/errors.ts';
import { batchOfRows, rowAt, weightAt } from '../../src/values/batch.ts';
import type { Datum } from '../../src/values/types.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import { buildPipeline } from '../../streamql/engine/build.ts';
import type { Pipeline } from '../../streamql/engine/operator.ts';
import { localPeers, runTogether } from '../../streamql/engine/shards/peers.ts';
import { spreadAnew } from '../../streamql/engine/shards/restore-tables.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import { resultPartitioning } from '../../streamql/plan/partitioning.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { savedBytes } from '../support/saved-bytes.ts';
import { generateQuery, randomFrom } from './query-generator.ts';
import { catalog, changesOf, idOf, schemaOf, shown } from './random-changes.ts';

/**
 * A pipeline spread over 2 or 4 shards, with rows exchanged by key, has after every epoch the same rows as one that is not; and where its rows
 * are taken back they are in the same shard as before. One that goes on with another number of shards before every epoch has them too.
 */
const QUERIES = Number(process.env['STREAMLINE_FUZZ_QUERIES'] ?? 60);

type Rows = Map<string, { row: Datum[]; count: number }>;

/** One pipeline or several shards of one, with what each has output so far. */
class Spread {
  pipelines: Pipeline[] = [];
  rows: Rows[] = [];
  failed = false;
  readonly #plan: Plan;

  constructor(plan: Plan, count: number) {
    this.#plan = plan;
    this.#start(count, () => new Map());
  }

  /** Goes on with another number of shards, from what these have saved; what came out before counts for all together. */
  move(count: number): void {
    const saved = this.pipelines.map(
      (pipeline) => new Map(pipeline.state.map((table) => [table.id, savedBytes(table, true) as Uint8Array])),
    );
    const all: Rows = new Map();
    for (const [id, { row, count: some }] of this.rows.flatMap((rows) => [...rows])) {
      all.set(id, { row, count: (all.get(id)?.count ?? 0) + some });
    }
    this.#start(count, () => all);
    this.pipelines.forEach((pipeline, index) => {
      const piecesOf = (table: { id: string }, shard: number): Uint8Array[] => {
        const piece = saved[shard].get(table.id);
        return piece === undefined ? [] : [piece];
      };
      const parts = { pipeline, held: new Map(), store: null, history: null };
      spreadAnew(parts, piecesOf, [...saved.keys()], { index, count });
    });
    this.rows = [all];
  }

  #start(count: number, rowsOf: () => Rows): void {
    const result = resultPartitioning(this.#plan, 'view', null);
    const peers = count === 1 ? [null] : localPeers(count);
    this.rows = peers.map(rowsOf);
    const { rows } = this;
    this.pipelines = peers.map((one, shard) =>
      buildPipeline(
        this.#plan,
        {
          onOutput: (batch) => {
            for (let i = 0; i < batch.length; i++) {
              const row = rowAt(batch, i);
              const entry = rows[shard].get(idOf(row)) ?? { row, count: 0 };
              entry.count += weightAt(batch, i);
              rows[shard].set(idOf(row), entry);
            }
          },
          onError: () => {
            this.failed = true;
          },
        },
        { peers: one, channel: 'v', result },
      ),
    );
  }

  endEpoch(): void {
    runTogether(this.pipelines.map((pipeline) => pipeline.meetAndEndEpoch(0)));
  }

  content(plan: Plan): string[] {
    return this.rows
      .flatMap((rows: Rows) => [...rows.values()])
      .flatMap(({ row, count }) => {
        expect(count).toBeGreaterThanOrEqual(0);
        return Array<string>(count).fill(shown(row, plan.schema));
      })
      .sort();
  }
}

function boundQuery(sql: string): Plan | undefined {
  try {
    return optimize(bindQuery((parseStatements(sql)[0] as QueryStatement).query, catalog, { mode: 'view' }).plan);
  } catch (thrown) {
    if (thrown instanceof StreamError) return undefined;
    throw thrown;
  }
}

describe('shards of a pipeline', () => {
  test(
    `have together what one pipeline has, for ${QUERIES} random queries`,
    () => {
      let compared = 0;
      for (let seed = 1; seed <= QUERIES; seed++) {
        const random = randomFrom(seed + 50_000);
        const sql = generateQuery(random);
        const plan = boundQuery(sql);
        if (plan === undefined) continue;
        const all = [1, 2, 4].map((count) => new Spread(plan, count));
        const content: Record<string, Datum[][]> = { a: [], g: [], t: [] };
        const moving = new Spread(plan, 1);
        all.push(moving);
        for (let epoch = 0; epoch < 5 && !all[0].failed; epoch++) {
          if (epoch > 0) moving.move([2, 4, 1, 3][epoch - 1]);
          for (const relation of Object.keys(content)) {
            const types = schemaOf(relation).map((column) => column.type);
            for (const { row, weight } of changesOf(random, relation, content[relation])) {
              const whole = batchOfRows(types, [row], relation === 'a' ? undefined : [weight]);
              // A row comes and goes through one shard.
              const at = idOf(relation === 't' ? row.slice(0, 1) : row).length;
              for (const { pipelines } of all) {
                const pipeline = pipelines[at % pipelines.length];
                pipeline.inputs.forEach((input, port) => {
                  if (input.relation !== relation) return;
                  pipeline.push(port, { ...whole, columns: input.columns.map((column) => whole.columns[column]) });
                });
              }
            }
          }
          for (const one of all) one.endEpoch();
          if (all.some((one) => one.failed)) break;
          const expected = all[0].content(plan);
          for (const one of all.slice(1)) {
            expect(one.content(plan), `seed ${seed}, ${one.pipelines.length} shards, epoch ${epoch}\n${sql}`).toEqual(
              expected,
            );
          }
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(QUERIES * 2);
    },
    120_000 + QUERIES * 500,
  );
});
