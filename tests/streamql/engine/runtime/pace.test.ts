import { expect, test } from 'vitest';
import { Pace } from '../../../../streamql/engine/runtime/pace.ts';

/** Batches that a reader takes when a record costs so many milliseconds. */
function sizes(msPerRecord: number, count: number): number[] {
  const pace = new Pace(4096);
  return Array.from({ length: count }, () => {
    const { records } = pace;
    pace.took(records * msPerRecord, 8);
    return records;
  });
}

test('what is cheap is taken in large batches, what is dear in such as take a slice', () => {
  expect(sizes(0.0005, 8)).toEqual([64, 128, 256, 512, 1024, 2048, 4096, 4096]);
  expect(sizes(1, 3)).toEqual([64, 16, 16]);
  expect(sizes(100, 3)).toEqual([64, 16, 16]);
  expect(sizes(0.2, 4)).toEqual([64, 64, 64, 64]);
  expect(sizes(0.6, 3)).toEqual([64, 26, 26]);
});

test('one slow batch is made up for, and a small limit is kept', () => {
  const pace = new Pace(1000);
  for (let i = 0; i < 4; i++) pace.took(0, 8);
  expect(pace.records).toBe(1000);
  pace.took(80, 8);
  expect(pace.records).toBe(200);
  for (let i = 0; i < 3; i++) pace.took(1, 8);
  expect(pace.records).toBe(1000);
  const small = new Pace(3);
  small.took(1000, 8);
  expect(small.records).toBe(3);
});
