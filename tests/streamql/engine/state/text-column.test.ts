import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Column, datumAt, PlainColumn, TextColumn } from '../../../../src/values/column.ts';
import { compareText } from '../../../../src/values/compare.ts';
import { VARCHAR } from '../../../../src/values/types.ts';
import { bytesOf } from '../../../../streamql/engine/state/arrays.ts';
import { decodePiece, encodePiece } from '../../../../streamql/engine/state/piece.ts';
import { hashOne, hashRows, markDifferent, placingHashes } from '../../../../streamql/engine/state/row-hash.ts';
import { compareAt } from '../../../../streamql/engine/state/row-order.ts';
import { ScratchFiles } from '../../../../streamql/engine/state/scratch-files.ts';
import { identity } from '../../../../streamql/engine/state/state-column.ts';
import { TextStateColumn } from '../../../../streamql/engine/state/text-state-column.ts';
import { scratch } from '../../../support/scratch.ts';

const directory = mkdtempSync(join(scratch, 'texts-'));
afterAll(() => rmSync(directory, { recursive: true }));

type Text = Buffer | null;

const text: fc.Arbitrary<Text> = fc.oneof(
  fc.string({ maxLength: 12 }).map((some) => Buffer.from(some)),
  fc.string({ unit: 'grapheme', maxLength: 9 }).map((some) => Buffer.from(some)),
  fc
    .record({ some: fc.string({ unit: 'binary', maxLength: 3 }), times: fc.nat(400) })
    .map(({ some, times }) => Buffer.from(some.repeat(times))),
  // What is no UTF-8.
  fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(null, Buffer.from(''), Buffer.from('ab\ud800c'), Buffer.alloc(300_000, 'long ')),
);

/** As a batch brings texts: ranges of bytes with others between them, or strings. */
function columnOf(texts: readonly Text[], form: 'ranges' | 'strings'): Column {
  const nulls = texts.includes(null) ? Uint8Array.from(texts, (one) => (one === null ? 1 : 0)) : null;
  if (form === 'strings')
    return new PlainColumn(
      VARCHAR,
      texts.length,
      texts.map((one) => one?.toString() ?? null),
      nulls,
    );
  const parts = texts.flatMap((one) => [Buffer.from('/'), one ?? Buffer.from('?')]);
  const ends = new Int32Array(texts.length);
  const starts = new Int32Array(texts.length);
  let at = 0;
  texts.forEach((_, i) => {
    starts[i] = at + 1;
    ends[i] = starts[i] + parts[i * 2 + 1].length;
    at = ends[i];
  });
  return new TextColumn(VARCHAR, texts.length, Buffer.concat(parts), starts, ends, nulls);
}

const shown = (one: Text | undefined): string | null => one?.toString() ?? null;
const form = fc.constantFrom('ranges' as const, 'strings' as const);
const SLOTS = 40;

function sizeOf(column: TextStateColumn): number {
  const { inMemory, texts, spilled } = bytesOf((visit) => column.arrays(visit));
  return inMemory + texts + spilled;
}

test('a column of texts holds what was put into it, in memory or out of it', () => {
  const step = fc.record({
    action: fc.constantFrom('put', 'put', 'put', 'set', 'clear', 'spill', 'piece'),
    slots: fc.uniqueArray(fc.nat(SLOTS - 1), { minLength: 1, maxLength: 12 }),
    texts: fc.array(text, { minLength: 12, maxLength: 12 }),
    form,
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const files = new ScratchFiles(directory, 1);
      let column = new TextStateColumn(VARCHAR);
      column.ensure(SLOTS / 2);
      column.ensure(SLOTS);
      const model = new Map<number, Text>();
      const all = identity(SLOTS);
      for (const { action, slots, texts, form } of steps) {
        const places = Int32Array.from(slots);
        const chosen = texts.slice(0, slots.length);
        if (action === 'put') {
          column.scatter(columnOf(texts, form), identity(slots.length), places, slots.length);
          slots.forEach((slot, i) => {
            model.set(slot, chosen[i]);
          });
        } else if (action === 'set') {
          column.set(slots[0], shown(texts[0]));
          model.set(slots[0], texts[0]);
        } else if (action === 'clear') {
          for (const slot of slots) column.clear(slot);
          for (const slot of slots) model.delete(slot);
        } else if (action === 'spill') {
          column.arrays(files.take);
          files.keepWithin(0);
        } else {
          const saved = encodePiece({
            full: true,
            slots: all,
            alive: new Uint8Array(SLOTS).fill(1),
            columns: [column.gather(all, SLOTS)],
          });
          column = new TextStateColumn(VARCHAR);
          column.ensure(SLOTS);
          column.scatter(decodePiece(Buffer.concat(saved), [VARCHAR]).columns[0], all, all, SLOTS);
        }
        // What is asked for: one by one, as columns, whether it is the same, and the order.
        for (const slot of slots) {
          expect(column.get(slot)).toBe(shown(model.get(slot)));
          expect(column.equals(slot, shown(model.get(slot)))).toBe(true);
          expect(column.equals(slot, 'no such text')).toBe(false);
        }
        const gathered = column.gather(places, slots.length);
        expect(slots.map((_, i) => datumAt(gathered, i))).toEqual(slots.map((slot) => shown(model.get(slot))));
        const others = columnOf(texts, form);
        const differs = new Uint8Array(slots.length);
        const count = markDifferent([others], [column], places, slots.length, differs);
        const expected = slots.map((slot, i) => (shown(model.get(slot)) === shown(texts[i]) ? 0 : 1));
        expect([...differs]).toEqual(expected);
        expect(count).toBe(expected.filter((one) => one === 1).length);
        slots.forEach((slot, i) => {
          const mine = shown(model.get(slot));
          const other = shown(texts[i]);
          if (mine === null || other === null) return;
          expect(Math.sign(compareAt(column, slot, others, i))).toBe(compareText(mine, other));
          expect(Math.sign(compareAt(others, i, column, slot))).toBe(compareText(other, mine));
          const next = shown(model.get(slots[0]));
          if (next !== null) expect(Math.sign(compareAt(column, slot, column, slots[0]))).toBe(compareText(mine, next));
        });
      }
      // Nothing is left over when all is dropped.
      for (let slot = 0; slot < SLOTS; slot++) column.clear(slot);
      expect(column.textBytes).toBe(0);
      const empty = new TextStateColumn(VARCHAR);
      empty.ensure(SLOTS);
      expect(sizeOf(column) - (column.nulls === null ? 0 : SLOTS)).toBe(sizeOf(empty));
      files.close();
    }),
    { numRuns: 50 },
  );
});

test('what a batch was given stays what it was', () => {
  const column = new TextStateColumn(VARCHAR);
  column.ensure(1000);
  const slots = identity(1000);
  const texts = (seed: number): Text[] => Array.from(slots, (slot) => Buffer.from(`${seed}:${slot}`.repeat(5)));
  let before: { batch: Column; expected: (string | null)[] } | null = null;
  for (let round = 0; round < 20; round++) {
    const given = texts(round);
    column.scatter(columnOf(given, 'ranges'), slots, slots, 1000);
    if (before !== null) expect(before.expected).toEqual(Array.from(slots, (row) => datumAt(before!.batch, row)));
    before = { batch: column.gather(slots, 1000), expected: given.map(shown) };
  }
  // Much was replaced: what is dead has been let go of.
  expect(sizeOf(column)).toBeLessThan(3 * column.textBytes);
});

test('a text has one hash, as a string and as bytes, in tables and for placing', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), (texts) => {
      for (const hashes of [hashRows, placingHashes]) {
        const [ranges, strings] = (['ranges', 'strings'] as const).map((form) => {
          const out = new Int32Array(texts.length);
          hashes([columnOf(texts, form)], texts.length, out);
          return [...out];
        });
        expect(ranges).toEqual(strings);
        const single = texts.map((one) => hashOne([shown(one)], [columnOf([one], 'ranges')]));
        if (hashes === hashRows) expect(single).toEqual(ranges);
      }
    }),
  );
  const lone = new Int32Array(2);
  for (const hashes of [hashRows, placingHashes]) {
    hashes([new PlainColumn(VARCHAR, 2, ['x\ud800y', 'x\ufffdy'], null)], 2, lone);
    expect(lone[0]).toBe(lone[1]);
  }
});

test('rows are placed as releases before placed them', () => {
  const out = new Int32Array(4);
  placingHashes(
    [
      columnOf(
        ['', 'auction', 'Zürich', '東京😀'].map((one) => Buffer.from(one)),
        'ranges',
      ),
    ],
    4,
    out,
  );
  expect([...out]).toEqual([40381785, -905636541, -1861058675, 1896884746]);
});
