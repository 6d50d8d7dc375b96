import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { scansOf } from '../../src/catalog/pull.ts';
import type { EngineObject, StreamEngine, ViewSpec } from '../../src/ports/engine.ts';
import type { Relation, RelationCatalog } from '../../src/ports/relations.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { type Batch, batchOfRows, type ColumnSchema, rowAt } from '../../src/values/batch.ts';
import { HIDDEN_COLUMNS } from '../../src/values/hidden-columns.ts';
import { BIGINT, type Datum } from '../../src/values/types.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { column, FakeLog, openEngine, rowsIn, source } from '../streamql/engine/runtime/support.ts';
import { type Random, randomFrom } from './random.ts';
import { shown } from './ways.ts';

/**
 * Views over the same relations come and go, are paused and replaced, amid changes, checkpoints, crashes and restarts with other numbers of shards;
 * whatever they share with each other, each equals DuckDB's answer. STREAMLINE_SEED=n repeats one run, STREAMLINE_FUZZ_RUNS makes more.
 */
const RUNS = Number(process.env['STREAMLINE_FUZZ_RUNS'] ?? 12);
const FIRST_SEED = Number(process.env['STREAMLINE_SEED'] ?? 1);
const STEPS = 90;
const MOST_VIEWS = 9;

const duckdb = new DuckDbAnalytics({ memoryLimitBytes: 512 << 20 });
afterAll(() => duckdb.close());

const EVENTS: readonly ColumnSchema[] = ['k', 'n', 'w'].map((name) => column(name, BIGINT));
const ITEMS: readonly ColumnSchema[] = [
  { name: 'id', type: BIGINT, nullable: false },
  ...['g', 'x'].map((name) => column(name, BIGINT)),
];
const BASE: readonly Relation[] = [
  { id: 's', name: 's', kind: 'source', columns: [...EVENTS, ...HIDDEN_COLUMNS], key: null, changelog: 'append' },
  ...['t', 'u'].map(
    (id): Relation => ({
      id,
      name: id,
      kind: 'table',
      columns: [...ITEMS, ...HIDDEN_COLUMNS],
      key: [0],
      changelog: 'upsert',
    }),
  ),
];
const SOURCES: readonly EngineObject[] = [
  source('s', { columns: [...EVENTS, ...HIDDEN_COLUMNS] }),
  source('t', { columns: [...ITEMS, ...HIDDEN_COLUMNS], primaryKey: [0] }),
  source('u', { columns: [...ITEMS, ...HIDDEN_COLUMNS], primaryKey: [0] }),
];

/** Queries of one kind have a part or a side of a join in common. */
const KINDS: readonly ((random: Random) => string)[] = [
  (r) => `SELECT s.k AS j, ${events(r)}, ${items(r)} FROM s JOIN t ON s.k = t.id${where(r)}`,
  (r) => `SELECT s.k AS j, ${events(r)}, ${items(r)} FROM s LEFT JOIN t ON s.k = t.id AND ${also(r)}`,
  (r) => `SELECT s.k AS j, ${events(r)} FROM s JOIN t ON s.k = t.g${where(r)}`,
  (r) => `SELECT t.x AS j, ${events(r)} FROM t LEFT JOIN s ON t.id = s.k`,
  (r) => `SELECT t.id AS j, t.x, u.x AS y FROM t JOIN u ON t.g = u.g${r.pick(['', ' WHERE t.x > 2'])}`,
  (r) => `SELECT t.id AS j, u.x AS y${r.pick(['', ', t.x'])} FROM t JOIN u ON t.${r.pick(['g', 'id'])} = u.id`,
  (r) => `SELECT t.id AS j, t.x FROM t WHERE ${not(r)}EXISTS (SELECT 1 FROM s WHERE s.k = t.${r.pick(['g', 'id'])})`,
  (r) => `SELECT s.n AS j, s.w FROM s WHERE ${not(r)}EXISTS (SELECT 1 FROM t WHERE t.id = s.k AND ${also(r)})`,
  (r) => `SELECT a.n AS j, b.w FROM s AS a JOIN s AS b ON a.k = b.k${r.pick(['', ' WHERE a.n > 3'])}`,
  (r) => `SELECT s.k AS j, ${events(r)}, a.c FROM s JOIN (SELECT g, count(*) AS c FROM t GROUP BY g) AS a ON s.k = a.g`,
  (r) => `SELECT t.g AS j, count(*) AS c, max(t.x) AS m FROM t GROUP BY t.g${r.pick(['', ' HAVING count(*) > 1'])}`,
  (r) => `SELECT k AS j, sum(n) AS c FROM s GROUP BY k${r.pick(['', ' HAVING count(*) > 2'])}`,
  (r) => `SELECT j FROM (SELECT DISTINCT k AS j, w FROM s) AS d${r.pick(['', ' WHERE w = 1'])}`,
  (r) => `SELECT j FROM (SELECT DISTINCT g AS j, x FROM t) AS d${r.pick(['', ' WHERE x > 3'])}`,
  (r) =>
    `SELECT k AS j, n FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY n DESC, w) AS r FROM s) AS q WHERE r <= 2${r.pick(['', ' AND n > 1'])}`,
  (r) =>
    `SELECT * FROM (SELECT g AS j, sum(x) OVER (PARTITION BY g ORDER BY id) AS c FROM t) AS o${r.pick(['', ' WHERE c > 4'])}`,
  (r) =>
    `SELECT * FROM (SELECT x AS j FROM t ${r.pick(['UNION', 'EXCEPT'])} SELECT x FROM u) AS o${r.pick(['', ' WHERE j > 2'])}`,
];
const events = (r: Random): string => r.pick(['s.n', 's.w', 's.n, s.w', 's.n + 1 AS n1']);
const items = (r: Random): string => r.pick(['t.x', 't.g', 't.g, t.x']);
const also = (r: Random): string => r.pick(['t.x > 2', 's.n > 1', 't.x > s.n', 'true']);
const where = (r: Random): string =>
  r.pick(['', '', '', ' WHERE s.n > 2', ' WHERE s.w = 1', ' WHERE t.x > 3', ' WHERE t.x > 2 AND s.n < 5']);
const not = (r: Random): string => r.pick(['', 'NOT ']);

/** Over one of these views. */
const OVER_VIEW: readonly ((view: string) => string)[] = [
  (view) => `SELECT t.id, v.j, t.x FROM t JOIN ${view} AS v ON t.g = v.j`,
  (view) => `SELECT s.n, v.j FROM s LEFT JOIN ${view} AS v ON s.k = v.j`,
  (view) => `SELECT v.j, count(*) AS c FROM ${view} AS v GROUP BY v.j`,
];

interface View extends Relation {
  readonly sql: string;
  readonly plan: Plan;
  paused: boolean;
}

class World {
  readonly random: Random;
  readonly log = new FakeLog();
  readonly content: Record<string, Datum[][]> = { s: [], t: [], u: [] };
  views: View[] = [];
  engine!: StreamEngine;
  #disk = new MemoryDisk();
  #made = 0;
  readonly #kinds: readonly (typeof KINDS)[number][];
  readonly #story: string[] = [];

  constructor(random: Random) {
    this.random = random;
    this.#kinds = Array.from({ length: 4 }, () => random.pick(KINDS));
  }

  get story(): string {
    return this.#story.join('\n');
  }

  async begin(): Promise<void> {
    for (const topic of ['s', 't', 'u']) await this.log.createTopic(topic, { partitions: topic === 's' ? 3 : 1 });
    await this.#start();
  }

  async step(): Promise<void> {
    const { random } = this;
    const chance = random.next();
    if (chance < 0.45) await this.#change();
    else if (chance < 0.64) await this.#create();
    else if (chance < 0.72) await this.#drop();
    else if (chance < 0.79) await this.#pause();
    else if (chance < 0.85) await this.engine.checkpoint();
    else if (chance < 0.93) await this.#restart();
    else await this.compare();
    if (random.chance(0.4)) await this.engine.flush();
  }

  async compare(): Promise<void> {
    for (const view of this.views.filter(({ paused }) => paused)) await this.#resume(view);
    await this.engine.flush();
    const { objects } = await this.engine.stats();
    const failed = objects.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error.detail}`]));
    expect(failed, this.story).toEqual([]);
    const content = new Map<string, Datum[][]>(Object.entries(this.content));
    for (const view of this.views) {
      const rows = await batchAnswer(view.plan, content);
      content.set(view.id, rows);
      const actual = await rowsIn(this.engine, view.id, view.columns.length);
      const text = (some: readonly Datum[][]): string[] =>
        some
          .map((row) =>
            shown(
              row,
              view.columns.map(({ type }) => type),
            ),
          )
          .sort();
      expect(text(actual), `${view.name}: ${view.sql}\n${this.story}`).toEqual(text(rows));
    }
  }

  async #change(): Promise<void> {
    const { random } = this;
    for (let left = 1 + random.below(4); left > 0; left--) {
      const relation = random.pick(['s', 't', 'u']);
      const rows = this.content[relation];
      if (relation === 's') {
        const some = Array.from({ length: 1 + random.below(4) }, (): Datum[] => [
          random.chance(0.1) ? null : random.below(6),
          random.below(7),
          random.below(3),
        ]);
        rows.push(...some);
        const values = some.map(([k, n, w]) => ({ k, n, w }));
        await this.log.produce('s', random.below(3), values);
        this.#story.push(`s ${JSON.stringify(some)}`);
        continue;
      }
      const row: Datum[] = [random.below(7), random.chance(0.1) ? null : random.below(4), random.below(7)];
      const old = rows.findIndex(([id]) => id === row[0]);
      if (old >= 0) rows.splice(old, 1);
      const goes = old >= 0 && random.chance(0.35);
      if (!goes) rows.push(row);
      const [id, g, x] = row;
      await this.log.produce(relation, 0, [goes ? null : { id, g, x }], [JSON.stringify({ id })]);
      this.#story.push(`${relation} ${goes ? `delete ${id}` : JSON.stringify(row)}`);
    }
  }

  async #create(): Promise<void> {
    if (this.views.length >= MOST_VIEWS) return;
    const name = `v${++this.#made}`;
    const live = this.views.filter(({ paused }) => !paused);
    const { random } = this;
    const below = live.filter((view) => view.columns.some((one) => one.name === 'j'));
    const sql =
      below.length > 0 && random.chance(0.2)
        ? random.pick(OVER_VIEW)(random.pick(below).name)
        : random
            .pick(this.#kinds)(random)
            .replace(/^.*$/, (text) => (random.chance(0.1) ? swapped(text) : text));
    const relations = [...BASE, ...this.views];
    const catalog: RelationCatalog = {
      relation: (wanted) => relations.find((one) => one.name === wanted),
      relationNames: () => relations.map((one) => one.name),
    };
    const bound = bindQuery((parseStatements(sql)[0] as QueryStatement).query, catalog, { mode: 'view' });
    const { key, changelog, columns } = bound;
    const view: View = {
      id: name,
      name,
      kind: 'view',
      columns,
      key,
      changelog,
      sql,
      plan: optimize(bound.plan),
      paused: false,
    };
    this.#story.push(`create ${name} as ${sql}`);
    await this.engine.add(specOf(view));
    this.views.push(view);
  }

  async #drop(): Promise<void> {
    const free = this.views.filter(
      ({ id }) => !this.views.some(({ plan }) => scansOf(plan).some(({ relation }) => relation === id)),
    );
    if (free.length === 0) return;
    const view = this.random.pick(free);
    this.#story.push(`drop ${view.name}`);
    await this.engine.remove(view.id);
    this.views = this.views.filter((one) => one !== view);
  }

  async #pause(): Promise<void> {
    if (this.views.length === 0) return;
    const view = this.random.pick(this.views);
    if (view.paused) return this.#resume(view);
    this.#story.push(`pause ${view.name}`);
    view.paused = true;
    await this.engine.alter(view.id, { paused: true });
  }

  async #resume(view: View): Promise<void> {
    this.#story.push(`resume ${view.name}`);
    view.paused = false;
    await this.engine.alter(view.id, { paused: false });
  }

  async #restart(): Promise<void> {
    if (this.random.chance(0.4)) {
      const left = new MemoryDisk();
      for (const file of await this.#disk.list('engine'))
        await left.replaceFile(`engine/${file}`, await this.#disk.readFile(`engine/${file}`));
      await this.engine.close();
      this.#disk = left;
      this.#story.push('crash');
    } else await this.engine.close();
    await this.#start();
  }

  async #start(): Promise<void> {
    const shards = this.random.pick([1, 1, 1, 2, 3]);
    this.#story.push(`start with ${shards} shards`);
    const settings = { batchRecords: 4, checkpointIntervalMs: 1 << 30 };
    this.engine = await openEngine(this.log, { disk: this.#disk, shards, settings });
    for (const object of [...SOURCES, ...this.views.map(specOf)]) await this.engine.add(object);
    await this.engine.resume();
  }
}

/** The same of the other table. */
const swapped = (sql: string): string => sql.replace(/\b[tu]\b/g, (name) => (name === 't' ? 'u' : 't'));

const specOf = ({ id, name, columns, key, plan, paused }: View): ViewSpec => ({
  kind: 'view',
  id,
  name,
  columns,
  key,
  plan,
  ephemeral: false,
  paused,
});

async function batchAnswer(plan: Plan, content: ReadonlyMap<string, Datum[][]>): Promise<Datum[][]> {
  const scans = new Map<Plan, readonly Batch[]>();
  for (const scan of scansOf(plan)) {
    const rows = content.get(scan.relation)!.map((row) => scan.columns.map((at) => row[at]));
    scans.set(scan, [
      batchOfRows(
        scan.schema.map(({ type }) => type),
        rows,
      ),
    ]);
  }
  const batches = await duckdb.run(plan, scans, { timeoutMs: 20_000, maxRows: 1_000_000 });
  return batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i)));
}

describe('views that share what they can', () => {
  const runs = process.env['STREAMLINE_SEED'] ? 1 : RUNS;
  test.each(Array.from({ length: runs }, (_, i) => FIRST_SEED + i))(
    'equal the batch answer, whatever happens to the others: seed %i',
    async (seed) => {
      const world = new World(randomFrom(seed));
      await world.begin();
      try {
        for (let step = 0; step < STEPS; step++) await world.step();
        await world.compare();
      } catch (thrown) {
        throw new Error(world.story, { cause: thrown });
      } finally {
        await world.engine.close();
      }
    },
    60_000,
  );
});
