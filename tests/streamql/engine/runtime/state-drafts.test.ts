import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { BIGINT, VARCHAR } from '../../../../src/values/types.ts';
import type { ObjectEntry, PieceRef } from '../../../../streamql/engine/runtime/checkpoint-store.ts';
import type { Graph } from '../../../../streamql/engine/runtime/graph.ts';
import { StateDrafts } from '../../../../streamql/engine/runtime/state-drafts.ts';
import { RowTable } from '../../../../streamql/engine/state/row-table.ts';

const RENEWED_BYTES = 1 << 10;

/** A table of one view, its drafts, and the files that its pieces would be in. */
class Saved {
  readonly table = new RowTable('t', [BIGINT], [VARCHAR]);
  readonly files = new Map<string, Uint8Array>();
  readonly #drafts: StateDrafts;
  #checkpoints = 0;
  pieces: readonly PieceRef[] = [];

  constructor() {
    const node = { kind: 'view', spec: { id: 'v' }, tables: [this.table], error: null, inputs: [], catchingUp: null };
    const graph = { nodes: [node], node: () => node } as unknown as Graph;
    this.#drafts = new StateDrafts(graph, true, () => 'same', RENEWED_BYTES);
  }

  put(keys: readonly number[], text: string): void {
    const slots = new Int32Array(keys.length);
    const { columns } = batchOfRows(
      [BIGINT],
      keys.map((key) => [key]),
    );
    this.table.upsert(columns, keys.length, slots);
    for (const slot of slots) {
      this.table.values[0].set(slot, text);
      this.table.touch(slot);
    }
  }

  remove(keys: readonly number[]): void {
    for (const key of new Set(keys)) {
      const slot = this.table.lookupOne([key]);
      if (slot >= 0) this.table.release(slot);
    }
  }

  /** Bytes written. */
  checkpoint(mostFiles: number, isLost = false): number {
    const file = `${++this.#checkpoints}.pieces`;
    const [draft] = this.#drafts.draft();
    if (isLost) {
      this.#drafts.lost();
      return 0;
    }
    let bytes = 0;
    this.pieces = draft.tables[0].pieces.map((piece) => {
      if ('crc' in piece) return piece;
      const whole = Buffer.concat(piece);
      this.files.set(file, whole);
      bytes += whole.length;
      return { file, at: 0, bytes: whole.length, crc: 0 };
    });
    const used = [...new Set(this.pieces.map((piece) => piece.file))];
    const crowded = new Set(used.slice(0, Math.max(0, used.length - mostFiles)));
    const entry: Pick<ObjectEntry, 'id' | 'tables'> = { id: 'v', tables: [{ id: 't', pieces: this.pieces }] };
    this.#drafts.stored([entry], crowded);
    return bytes;
  }

  rows(): Map<unknown, unknown> {
    return rowsOf(this.table);
  }

  loaded(): Map<unknown, unknown> {
    const copy = new RowTable('t', [BIGINT], [VARCHAR]);
    for (const { file } of this.pieces) copy.load(this.files.get(file)!);
    return rowsOf(copy);
  }
}

function rowsOf(table: RowTable): Map<unknown, unknown> {
  return new Map(
    Array.from(table.aliveSlots(), (slot) => [slot, [table.keys.columns[0].get(slot), table.values[0].get(slot)]]),
  );
}

test('the pieces of every checkpoint are the table, however it was saved anew meanwhile', () => {
  const key = fc.nat(60);
  const step = fc.record({
    put: fc.array(key, { maxLength: 20 }),
    remove: fc.array(key, { maxLength: 20 }),
    text: fc.string({ maxLength: 200 }),
    loses: fc.nat(15),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 6 }), (steps, mostFiles) => {
      const saved = new Saved();
      for (const { put, remove, text, loses } of steps) {
        saved.put([...new Set(put)], text);
        saved.remove(remove);
        saved.checkpoint(mostFiles, loses === 0);
        if (loses !== 0) expect(saved.loaded()).toEqual(saved.rows());
      }
    }),
    { numRuns: 60 },
  );
});

test('a checkpoint writes in proportion to what changed, not to what there is', () => {
  const saved = new Saved();
  const text = 'x'.repeat(100);
  const rows = 2000;
  saved.put([...Array(rows).keys()], text);
  const whole = saved.checkpoint(64);
  let most = 0;
  let sum = 0;
  for (let round = 0; round < 1000; round++) {
    saved.put([(round * 7) % rows, (round * 13) % rows], text);
    const bytes = saved.checkpoint(64);
    most = Math.max(most, bytes);
    sum += bytes;
    expect(saved.pieces.length).toBeLessThan(64 + (4 * whole) / RENEWED_BYTES);
  }
  expect(most).toBeLessThan(whole / 20);
  expect(sum).toBeLessThan(6 * whole);
  expect(saved.loaded()).toEqual(saved.rows());
});
