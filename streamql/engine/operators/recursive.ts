import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, gatherBatch, weightAt } from '../../../src/values/batch.ts';
import { BIGINT, type SqlType } from '../../../src/values/types.ts';
import { changelogOf } from '../../plan/changelog.ts';
import type { Recursive } from '../../plan/plan.ts';
import type { Pipeline, PipelineOutput, StateTable } from '../operator.ts';
import { consolidate } from '../runtime/consolidate.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** Rounds of one epoch after which a recursion is taken to be without end. */
const MAX_ROUNDS = 10_000;
const BASE = 0;

/** By port. */
type Changes = readonly (readonly Batch[])[];

/**
 * WITH RECURSIVE. The step runs as a pipeline of its own, whose output of a round is its input of the next, until none comes: each
 * round sees only what is new (semi-naive). State: that of the step, and without duplicates each row with the number of its derivations in one
 * step from the rows that are there.
 *
 * Taking back without duplicates is delete and rederive (Gupta, Mumick, Subrahmanian 1993): counts alone would keep rows that only derive each
 * other. First all that goes goes, and every row that loses a derivation goes with it; then the rows that still have one come back, with what
 * comes new. With duplicates a row is there as often as it is derived, and the changes of that sum simply go round.
 */
export class RecursiveOperator extends OperatorBase {
  readonly #types: readonly SqlType[];
  readonly #portTypes: readonly (readonly SqlType[])[];
  readonly #portAppends: readonly boolean[];
  readonly #step: Pipeline;
  readonly #self: string;
  /** Row → derivations, and 1 where the row is in; null with duplicates. */
  readonly #rows: RowTable | null;
  #pending: Batch[][];
  #derived: Batch[] = [];
  /** Slots seen in this epoch, and whether their row was in before. */
  readonly #before = new Map<number, boolean>();
  #slots = new Int32Array(0);

  constructor(
    info: OperatorInfo,
    context: OperatorContext,
    plan: Recursive,
    build: (output: PipelineOutput) => Pipeline,
  ) {
    super(info, context);
    const types = (input: Recursive['base']): SqlType[] => input.schema.map((column) => column.type);
    this.#types = types(plan);
    this.#portTypes = [plan.base, ...plan.inputs].map(types);
    this.#portAppends = [plan.base, ...plan.inputs].map((input) => changelogOf(input) === 'append');
    this.#pending = this.#portTypes.map(() => []);
    this.#self = plan.self;
    this.#rows = plan.all ? null : new RowTable(`${this.id}.rows`, this.#types, [BIGINT, BIGINT]);
    this.#step = build({
      onOutput: (batch) => {
        this.#derived.push(batch);
      },
      onError: ({ code, reason, row }) => context.onError(code, reason, row),
    });
  }

  override get state(): readonly StateTable[] {
    return [...(this.#rows === null ? [] : [this.#rows]), ...this.#step.state];
  }

  push(port: number, batch: Batch): void {
    this.#pending[port].push(batch);
  }

  override endEpoch(): void {
    const changes = this.#pending.map((batches, port) =>
      netted(this.#portTypes[port], batches, this.#portAppends[port]),
    );
    this.#pending = this.#portTypes.map(() => []);
    if (this.#rows === null) this.#goRound(changes);
    else this.#fixpoint(this.#rows, changes);
  }

  /** With duplicates: what changed is output and goes round. */
  #goRound(changes: Changes): void {
    this.#pushInputs(changes);
    const isAppend = this.changelog === 'append';
    let fresh = netted(this.#types, [...changes[BASE], ...this.#runStep()], isAppend);
    for (let round = 0; fresh.length > 0; round++) {
      this.#checkRound(round);
      for (const batch of fresh) this.emit(batch);
      for (const batch of fresh) this.#pushSelf(batch);
      fresh = netted(this.#types, this.#runStep(), isAppend);
    }
  }

  #fixpoint(rows: RowTable, changes: Changes): void {
    if (this.changelog !== 'append') {
      const gone = changes.map((batches) => ofSign(batches, -1));
      if (gone.some((batches) => batches.length > 0)) this.#takeOut(rows, gone);
    }
    this.#putIn(
      rows,
      changes.map((batches) => ofSign(batches, 1)),
    );
    this.#settle(rows);
  }

  /** Takes out every row that loses a derivation, whether it has others or not. */
  #takeOut(rows: RowTable, changes: Changes): void {
    this.#pushInputs(changes);
    let touched = this.#count(rows, [...changes[BASE], ...this.#runStep()]);
    for (let round = 0; ; round++) {
      const moved = this.#move(rows, touched, 0, () => true);
      if (moved.length === 0) return;
      this.#checkRound(round);
      this.#pushSelf(this.#rowsAt(rows, moved, -1));
      touched = this.#count(rows, this.#runStep());
    }
  }

  /** Puts in every row that has a derivation, those that were just taken out too. */
  #putIn(rows: RowTable, changes: Changes): void {
    this.#pushInputs(changes);
    const derived = this.#count(rows, [...changes[BASE], ...this.#runStep()]);
    let touched: Iterable<number> = new Set([...derived, ...this.#before.keys()]);
    for (let round = 0; ; round++) {
      const derivations = rows.values[0].values as Float64Array;
      const moved = this.#move(rows, touched, 1, (slot) => derivations[slot] > 0);
      if (moved.length === 0) return;
      this.#checkRound(round);
      this.#pushSelf(this.#rowsAt(rows, moved, 1));
      touched = this.#count(rows, this.#runStep());
    }
  }

  /** Sets rows to be in or out; those that were not. */
  #move(rows: RowTable, slots: Iterable<number>, to: 0 | 1, may: (slot: number) => boolean): number[] {
    const inside = rows.values[1].values as Float64Array;
    const moved: number[] = [];
    for (const slot of slots) {
      if (inside[slot] === to || !may(slot)) continue;
      inside[slot] = to;
      moved.push(slot);
    }
    return moved;
  }

  /** Adds derivations; the slots that it changed. */
  #count(rows: RowTable, batches: readonly Batch[]): Set<number> {
    const touched = new Set<number>();
    for (const batch of batches) {
      if (this.#slots.length < batch.length) this.#slots = new Int32Array(batch.length);
      rows.upsert(batch.columns, batch.length, this.#slots);
      const derivations = rows.values[0].values as Float64Array;
      const inside = rows.values[1].values as Float64Array;
      for (let row = 0; row < batch.length; row++) {
        const slot = this.#slots[row];
        if (!this.#before.has(slot)) this.#before.set(slot, inside[slot] === 1);
        derivations[slot] += weightAt(batch, row);
        rows.touch(slot);
        touched.add(slot);
      }
    }
    return touched;
  }

  /** Emits what is in and was not, and the other way round; lets go of rows without derivations. */
  #settle(rows: RowTable): void {
    const [derivations, inside] = rows.values.map((column) => column.values as Float64Array);
    const gone: number[] = [];
    const come: number[] = [];
    for (const [slot, before] of this.#before) {
      assert(derivations[slot] >= 0, `${this.id}: a derivation was taken back that is not there`);
      if (before === (inside[slot] === 1)) continue;
      (before ? gone : come).push(slot);
    }
    if (gone.length > 0) this.emit(this.#rowsAt(rows, gone, -1));
    if (come.length > 0) this.emit(this.#rowsAt(rows, come, 1));
    for (const slot of this.#before.keys()) if (derivations[slot] === 0) rows.release(slot);
    this.#before.clear();
  }

  #rowsAt(rows: RowTable, slots: readonly number[], weight: 1 | -1): Batch {
    const at = Int32Array.from(slots);
    const columns = rows.keys.columns.map((column) => column.gather(at, at.length));
    return { length: at.length, columns, weights: weight === 1 ? null : new Int32Array(at.length).fill(-1) };
  }

  #pushInputs(changes: Changes): void {
    this.#step.inputs.forEach(({ relation, columns }, input) => {
      if (relation === this.#self) return;
      for (const batch of changes[1 + Number(relation.slice('$input '.length))])
        this.#step.push(input, { ...batch, columns: columns.map((c) => batch.columns[c]) });
    });
  }

  #pushSelf(batch: Batch): void {
    this.#step.inputs.forEach(({ relation, columns }, input) => {
      if (relation === this.#self) this.#step.push(input, { ...batch, columns: columns.map((c) => batch.columns[c]) });
    });
  }

  /** One round; what it derived. */
  #runStep(): readonly Batch[] {
    this.#step.endEpoch();
    const derived = this.#derived;
    this.#derived = [];
    return derived;
  }

  #checkRound(round: number): void {
    if (round < MAX_ROUNDS) return;
    throw new StreamError('SQL_LIMIT', `the recursion has not ended after ${MAX_ROUNDS} rounds`, {
      hint: 'bound it by a condition on a column that counts the steps; over data with cycles use UNION instead of UNION ALL',
    });
  }
}

/** Each row once, with what is left of its changes; as they are where rows only come. */
function netted(types: readonly SqlType[], batches: readonly Batch[], appends: boolean): readonly Batch[] {
  if (appends || batches.length === 0) return batches;
  const net = consolidate(types, batches);
  return net === null ? [] : [net];
}

/** The rows whose weight has the sign. */
function ofSign(batches: readonly Batch[], sign: 1 | -1): readonly Batch[] {
  return batches.flatMap((batch) => {
    const { weights, length } = batch;
    if (weights === null) return sign === 1 ? [batch] : [];
    const rows = Int32Array.from({ length }, (_, i) => i).filter((row) => weights[row] * sign > 0);
    return rows.length === 0 ? [] : [gatherBatch(batch, rows, rows.length)];
  });
}
