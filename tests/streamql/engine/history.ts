import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect } from 'vitest';
import { type Batch, batchOfRows, rowAt, weightAt } from '../../../src/values/batch.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { Operator } from '../../../streamql/engine/operator.ts';
import type { OperatorContext } from '../../../streamql/engine/operators/base.ts';
import { ScratchFiles } from '../../../streamql/engine/state/scratch-files.ts';
import { savedBytes } from '../../support/saved-bytes.ts';
import { scratch } from '../../support/scratch.ts';

const directory = mkdtempSync(join(scratch, 'histories-'));
afterAll(() => rmSync(directory, { recursive: true }));

export type Row = readonly Datum[];
/** A change on a port. */
export interface Change {
  readonly port: number;
  readonly row: Row;
  readonly weight: number;
}
/** Epochs of changes that never take back a row that is not there. */
export type History = readonly (readonly Change[])[];

/** Text that is equal exactly for rows that are the same group. */
export function rowKey(row: Row): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'number' && !Number.isFinite(value)) return `#${value}`;
    return value === 0 ? 0 : value;
  });
}

/** How often each row is there; only counts that are not 0. */
export class Bag {
  readonly counts = new Map<string, number>();
  readonly rows = new Map<string, Row>();

  add(row: Row, weight: number): void {
    const key = rowKey(row);
    const count = (this.counts.get(key) ?? 0) + weight;
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
    this.rows.set(key, row);
  }

  addBatch(batch: Batch): void {
    for (let i = 0; i < batch.length; i++) {
      expect(weightAt(batch, i)).not.toBe(0);
      this.add(rowAt(batch, i), weightAt(batch, i));
    }
  }

  /** Every copy of every row. */
  list(): Row[] {
    return [...this.counts].flatMap(([key, count]) => new Array<Row>(count).fill(this.rows.get(key)!));
  }

  sorted(): [string, number][] {
    return [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  static of(rows: readonly Row[]): Bag {
    const bag = new Bag();
    for (const row of rows) bag.add(row, 1);
    return bag;
  }
}

/** Each step: which port, whether to take back (and which of those there), or a new row, and whether the epoch ends. */
export function histories(rows: readonly fc.Arbitrary<Row>[], appendOnly: readonly boolean[]): fc.Arbitrary<History> {
  const step = fc.record({
    port: fc.nat(rows.length - 1),
    action: fc.nat(9),
    pick: fc.nat(1000),
    weight: fc.constantFrom(1, 1, 1, 2, 3),
    rows: fc.tuple(...rows),
    ends: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  });
  return fc.array(step, { maxLength: 60 }).map((steps) => {
    const present: Row[][] = rows.map(() => []);
    const epochs: Change[][] = [[]];
    for (const { port, action, pick, weight, rows: fresh, ends } of steps) {
      const there = present[port];
      const changes = epochs[epochs.length - 1];
      if (!appendOnly[port] && action < 4 && there.length > 0) {
        const [row] = there.splice(pick % there.length, 1);
        changes.push({ port, row, weight: -1 });
      } else {
        const copies = appendOnly[port] ? 1 : weight;
        for (let i = 0; i < copies; i++) there.push(fresh[port]);
        changes.push({ port, row: fresh[port], weight: copies });
      }
      if (ends) epochs.push([]);
    }
    return epochs;
  });
}

export interface Case {
  readonly types: readonly (readonly SqlType[])[];
  readonly appendOnly: readonly boolean[];
  make(context: OperatorContext): Operator;
  /** The query over the rows of each port. */
  evaluate(ports: readonly (readonly Row[])[]): Row[];
}

/** Feeds an epoch in batches of at most `size` changes of one port. */
export function pushEpoch(operator: Operator, test: Case, changes: readonly Change[], size: number): void {
  for (let from = 0; from < changes.length; ) {
    let to = from + 1;
    while (to < changes.length && to - from < size && changes[to].port === changes[from].port) to++;
    const part = changes.slice(from, to);
    // Order within a batch carries no meaning.
    if (part.length % 2 === 0) part.reverse();
    const port = part[0].port;
    const plain = part.every((change) => change.weight === 1);
    operator.push(
      port,
      batchOfRows(
        test.types[port],
        part.map((change) => change.row),
        plain ? undefined : part.map((change) => change.weight),
      ),
    );
    from = to;
  }
  operator.endEpoch();
}

/**
 * After every epoch the sum of the output is the query over the sum of the input, whatever the batches, and also when
 * the operator is saved (a full piece, then changes) and continued by another after every few epochs, or its state is put into files.
 */
export function checkHistory(test: Case, history: History, batchSize: number, saveEvery: number): void {
  const files = new ScratchFiles(directory, 1);
  try {
    followHistory(test, history, batchSize, saveEvery, files);
  } finally {
    files.close();
  }
}

function followHistory(test: Case, history: History, batchSize: number, saveEvery: number, files: ScratchFiles): void {
  const output = new Bag();
  const inputs = test.types.map(() => new Bag());
  const context: OperatorContext = {
    emit: (batch) => output.addBatch(batch),
    onError: (code, reason) => {
      throw new Error(`${code}: ${reason}`);
    },
  };
  let operator = test.make(context);
  let pieces: (Uint8Array | null)[][] = operator.state.map((table) => [savedBytes(table, true)]);
  history.forEach((changes, epoch) => {
    pushEpoch(operator, test, changes, batchSize);
    for (const { port, row, weight } of changes) inputs[port].add(row, weight);
    expect(output.sorted()).toEqual(Bag.of(test.evaluate(inputs.map((bag) => bag.list()))).sorted());
    operator.state.forEach((table, t) => {
      const piece = savedBytes(table, epoch % 5 === 4);
      if (epoch % 5 === 4) pieces[t] = [piece];
      else if (piece !== null) pieces[t].push(piece);
    });
    // Where all arrays of state are in files, nothing else is different.
    if (epoch % 3 === 1) {
      for (const table of operator.state) table.arrays?.(files.take);
      files.keepWithin(0);
    }
    if (epoch % saveEvery === saveEvery - 1) {
      const rows = operator.state.map((table) => table.rows);
      operator = test.make(context);
      operator.state.forEach((table, t) => {
        for (const piece of pieces[t]) if (piece !== null) table.load(piece);
      });
      expect(operator.state.map((table) => table.rows)).toEqual(rows);
      pieces = operator.state.map((table) => [savedBytes(table, true)]);
    }
  });
}

export function checkOperator(test: Case, rows: readonly fc.Arbitrary<Row>[], numRuns = 150): void {
  fc.assert(
    fc.property(
      histories(rows, test.appendOnly),
      fc.constantFrom(1, 2, 7, 100),
      fc.constantFrom(1, 2, 3, 1000),
      (history, batchSize, saveEvery) => checkHistory(test, history, batchSize, saveEvery),
    ),
    { numRuns },
  );
}

export const info = (id: string) => ({
  id,
  name: id,
  detail: '',
  inputs: [],
  changelog: 'general' as const,
  growth: null,
});
