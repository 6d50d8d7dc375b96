import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Batch, batchOfRows, rowAt, weightAt } from '../../src/values/batch.ts';
import { datumToText } from '../../src/values/text.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import { buildPipeline } from '../../streamql/engine/build.ts';
import type { Pipeline, StateTable } from '../../streamql/engine/operator.ts';
import { localPeers, runTogether } from '../../streamql/engine/shards/peers.ts';
import { spreadAnew } from '../../streamql/engine/shards/restore-tables.ts';
import { ScratchFiles } from '../../streamql/engine/state/scratch-files.ts';
import { resultPartitioning } from '../../streamql/plan/partitioning.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { savedBytes } from '../support/saved-bytes.ts';
import { scratch } from '../support/scratch.ts';
import { type Case, type Change, Content, idOf, nowAt } from './case.ts';
import { schemaOf } from './relations.ts';

type Rows = Map<string, { row: Datum[]; count: number }>;

/** What is wrong with what a pipeline did, whatever the right answer is. */
export class Misbehaviour extends Error {}

/** A pipeline, or several shards of one, with what they have output so far. */
export class View {
  failed = false;
  #pipelines: Pipeline[] = [];
  #rows: Rows[] = [];
  readonly #plan: Plan;

  constructor(plan: Plan, shards = 1) {
    this.#plan = plan;
    this.#start(shards, () => new Map());
  }

  get shards(): number {
    return this.#pipelines.length;
  }

  #start(count: number, rowsOf: () => Rows): void {
    const result = resultPartitioning(this.#plan, 'view', null);
    const peers = count === 1 ? [null] : localPeers(count);
    this.#rows = peers.map(rowsOf);
    this.#pipelines = peers.map((one, shard) =>
      buildPipeline(
        this.#plan,
        {
          onOutput: (batch) => this.#output(shard, batch),
          onError: () => {
            this.failed = true;
          },
        },
        { peers: one, channel: 'v', result },
      ),
    );
  }

  #output(shard: number, batch: Batch): void {
    const onlyComes = this.#pipelines[shard].changelog === 'append';
    for (let i = 0; i < batch.length; i++) {
      const row = rowAt(batch, i);
      const weight = weightAt(batch, i);
      if (onlyComes && weight < 0) throw new Misbehaviour('a row goes, of what is only appended to');
      const id = idOf(row);
      const entry = this.#rows[shard].get(id) ?? { row, count: 0 };
      entry.count += weight;
      this.#rows[shard].set(id, entry);
    }
  }

  /** In batches of one relation's changes, or of one change. A row comes and goes through one shard. */
  push(changes: readonly Change[], one = false): void {
    const batches = new Map<string, Change[]>();
    changes.forEach((change, i) => {
      const { relation, row } = change;
      const shard = idOf(relation === 't' ? row.slice(0, 1) : row).length % this.shards;
      const batch = `${one ? i : ''} ${relation} ${shard}`;
      batches.set(batch, [...(batches.get(batch) ?? []), change]);
    });
    for (const [name, batch] of batches) this.#enter(batch[0].relation, Number(name.split(' ')[2]), batch);
  }

  #enter(relation: string, shard: number, changes: readonly Change[]): void {
    const { inputs } = this.#pipelines[shard];
    if (!inputs.some((input) => input.relation === relation)) return;
    const comes = changes.every(({ weight }) => weight === 1);
    const whole = batchOfRows(
      schemaOf(relation).map(({ type }) => type),
      changes.map(({ row }) => row),
      comes ? undefined : changes.map(({ weight }) => weight),
    );
    inputs.forEach((input, port) => {
      if (input.relation !== relation) return;
      this.#pipelines[shard].push(port, { ...whole, columns: input.columns.map((column) => whole.columns[column]) });
    });
  }

  endEpoch(content: Content, nowMicros: number): void {
    for (const pipeline of this.#pipelines) {
      pipeline.inputs.forEach(({ relation }, port) => {
        const watermark = content.watermark(relation);
        if (watermark !== undefined) pipeline.advance(port, watermark);
      });
    }
    runTogether(this.#pipelines.map((pipeline) => pipeline.meetAndEndEpoch(nowMicros)));
  }

  /** The rows that there are now. */
  content(): readonly (readonly Datum[])[] {
    return [...new Set(this.#rows)].flatMap((rows) =>
      [...rows.values()].flatMap(({ row, count }) => {
        if (count < 0) throw new Misbehaviour(`a row is there ${count} times: ${idOf(row)}`);
        return Array<readonly Datum[]>(count).fill(row);
      }),
    );
  }

  /** What of each table has changed since the last save; all of it the first time. */
  save(pieces: Map<string, Uint8Array[]>): Map<string, Uint8Array[]> {
    const saved = new Map(pieces);
    for (const table of this.#pipelines[0].state) {
      const before = pieces.get(table.id);
      const piece = savedBytes(table, before === undefined);
      if (piece !== null) saved.set(table.id, [...(before ?? []), piece]);
    }
    return saved;
  }

  /** One that goes on from what this had saved when it had output `rows`. */
  restored(pieces: ReadonlyMap<string, readonly Uint8Array[]>, rows: Rows): View {
    const next = new View(this.#plan);
    next.#rows = [rows];
    for (const table of next.#pipelines[0].state as StateTable[]) {
      for (const piece of pieces.get(table.id) ?? []) table.load(piece);
    }
    return next;
  }

  /** All arrays of its state go into files, and out of memory. */
  spill(files: ScratchFiles): void {
    for (const { state } of this.#pipelines) for (const table of state) table.arrays?.(files.take);
    files.keepWithin(0);
  }

  copyOfRows(): Rows {
    return new Map([...this.#rows[0]].map(([id, { row, count }]) => [id, { row, count }]));
  }

  /** Goes on with another number of shards, from what these have saved; what came out before counts for all together. */
  move(count: number): void {
    const saved = this.#pipelines.map(
      (pipeline) => new Map(pipeline.state.map((table) => [table.id, savedBytes(table, true) as Uint8Array])),
    );
    const all: Rows = new Map();
    for (const [id, { row, count: some }] of [...new Set(this.#rows)].flatMap((rows) => [...rows])) {
      all.set(id, { row, count: (all.get(id)?.count ?? 0) + some });
    }
    this.#start(count, () => all);
    this.#pipelines.forEach((pipeline, index) => {
      const piecesOf = (table: { id: string }, shard: number): Uint8Array[] => {
        const piece = saved[shard].get(table.id);
        return piece === undefined ? [] : [piece];
      };
      const parts = { pipeline, held: new Map(), store: null, history: null };
      spreadAnew(parts, piecesOf, [...saved.keys()], { index, count });
    });
  }
}

/** How the changes of a case come to a view, and what happens to it in between. */
export interface Way {
  readonly name: string;
  readonly start: (plan: Plan) => View;
  /** Takes an epoch in. Gives the view that goes on. */
  readonly epoch: (view: View, changes: readonly Change[], end: (view: View) => void, epoch: number) => View;
  /** Epochs are to be one, so that only the end can be compared. */
  readonly merges?: true;
}

const directory = join(scratch, `differential-${process.pid}`);
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const single = (plan: Plan): View => new View(plan);

export const WAYS: readonly Way[] = [
  {
    name: 'straight',
    start: single,
    epoch: (view, changes, end) => {
      view.push(changes);
      end(view);
      return view;
    },
  },
  {
    name: 'a batch for each change',
    start: single,
    epoch: (view, changes, end) => {
      view.push(changes, true);
      end(view);
      return view;
    },
  },
  {
    name: 'an epoch for each change',
    start: single,
    epoch: (view, changes, end) => {
      for (const change of changes) {
        view.push([change]);
        end(view);
      }
      if (changes.length === 0) end(view);
      return view;
    },
  },
  {
    name: 'one epoch',
    start: single,
    merges: true,
    epoch: (view, changes) => {
      view.push(changes);
      return view;
    },
  },
  {
    name: 'killed',
    start: single,
    epoch: killed(),
  },
  {
    name: 'state in files',
    start: single,
    epoch: (view, changes, end) => {
      const files = new ScratchFiles(directory, 1);
      view.spill(files);
      view.push(changes);
      view.spill(files);
      end(view);
      return view;
    },
  },
  {
    name: '2 shards',
    start: (plan) => new View(plan, 2),
    epoch: (view, changes, end) => {
      view.push(changes, true);
      end(view);
      return view;
    },
  },
  {
    name: 'other numbers of shards',
    start: (plan) => new View(plan, 1),
    epoch: (view, changes, end, epoch) => {
      if (epoch > 0) view.move([2, 4, 1, 3][(epoch - 1) % 4]);
      view.push(changes);
      end(view);
      return view;
    },
  },
];

/** Each epoch is gone through in part, lost, and gone through again from what was saved before it. */
function killed(): Way['epoch'] {
  const saved = new WeakMap<View, Map<string, Uint8Array[]>>();
  return (view, changes, end) => {
    const pieces = view.save(saved.get(view) ?? new Map());
    const rows = view.copyOfRows();
    view.push(changes.slice(0, changes.length >> 1));
    if (changes.length % 2 === 0) end(view);
    const next = view.restored(pieces, rows);
    next.push(changes);
    end(next);
    saved.set(next, pieces);
    return next;
  };
}

/** Takes a case through a way; `check` is called where the answer is to be right. Null when a row had no value. */
export async function runWay(
  way: Way,
  plan: Plan,
  { epochs }: Case,
  check: (rows: readonly (readonly Datum[])[], epoch: number) => void | Promise<void>,
): Promise<boolean> {
  let view = way.start(plan);
  const content = new Content();
  for (let epoch = 0; epoch < epochs.length; epoch++) {
    const changes = epochs[epoch];
    const isOne = way.name === 'an epoch for each change';
    if (!isOne) for (const change of changes) content.apply(change);
    let next = 0;
    const end = (of: View): void => {
      if (isOne && next < changes.length) content.apply(changes[next++]);
      of.endEpoch(content, nowAt(epoch));
    };
    view = way.epoch(view, changes, end, epoch);
    const isLast = epoch === epochs.length - 1;
    if (way.merges === true && isLast) end(view);
    if (view.failed) return false;
    if (way.merges !== true || isLast) await check(view.content(), epoch);
  }
  return true;
}

/** Doubles to eleven digits: the order of a sum may show in the last ones. */
export const shown = (row: readonly Datum[], types: readonly SqlType[]): string =>
  row
    .map((datum, i) => {
      if (datum === null) return 'NULL';
      const { kind } = types[i];
      if ((kind === 'double' || kind === 'real') && typeof datum === 'number') {
        return Math.abs(datum) < 1e-9 ? '0' : datum.toPrecision(kind === 'real' ? 6 : 11);
      }
      return datumToText(datum, types[i]);
    })
    .join(' | ');
