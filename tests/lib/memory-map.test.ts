import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  blank,
  mapFile,
  mapsFiles,
  pageOut,
  reserve,
  residentBytes,
  UNIT_BYTES,
  unmap,
} from '../../src/lib/memory-map.ts';
import { grown } from '../../streamql/engine/state/arrays.ts';
import { ScratchFiles } from '../../streamql/engine/state/scratch-files.ts';
import { scratch } from '../support/scratch.ts';

const directory = mkdtempSync(join(scratch, 'maps-'));
afterAll(() => rmSync(directory, { recursive: true }));

const onLinux = mapsFiles() ? describe : describe.skip;
onLinux('files as memory', () => {
  test('show what is written to either, and nothing once they are blank', () => {
    const path = join(directory, 'shown');
    const fd = openSync(path, 'w+');
    const bytes = 4 * UNIT_BYTES;
    reserve(fd, 0, bytes);
    const { range, buffer } = mapFile(fd, bytes);
    const array = new Float64Array(buffer);
    array[5] = 1.5;
    expect(readFileSync(path).readDoubleLE(40)).toBe(1.5);
    expect(residentBytes([range])).toBeGreaterThan(0);
    pageOut(range, 0, bytes);
    expect(residentBytes([range])).toBe(0);
    expect(array[5]).toBe(1.5);
    blank(range);
    expect(array[5]).toBe(0);
    expect(readFileSync(path).readDoubleLE(40)).toBe(1.5);
    unmap(range);
    closeSync(fd);
  });

  test('say that there is no room before anything is written', () => {
    const fd = openSync(join(directory, 'full'), 'w+');
    expect(() => reserve(fd, 0, 2 ** 52)).toThrow(/^(ENOSPC|EFBIG): fallocate/);
    closeSync(fd);
  });

  test('hold arrays whose pages leave memory in turn, and come back', () => {
    const files = new ScratchFiles(directory);
    let arrays = Array.from({ length: 8 }, (_, n) => new Int32Array(1 << 18).map((_, i) => i * n));
    arrays = arrays.map((array) => files.take(array));
    expect(files.moved()).toBe(8 << 20);
    for (let round = 0; round < 20; round++) {
      files.keepWithin(2 << 20);
      arrays.forEach((array, n) => {
        expect(array[round * 12_345]).toBe(round * 12_345 * n);
        array[round] = round + n;
      });
      arrays[round % 8] = grown(arrays[round % 8], arrays[round % 8].length + 1000);
    }
    arrays.forEach((array, n) => {
      expect(array.subarray(0, 20)).toEqual(Int32Array.from({ length: 20 }, (_, i) => i + n));
      expect(array[200_000]).toBe(200_000 * n);
      expect(array.subarray(1 << 18).every((value) => value === 0)).toBe(true);
    });
    files.close();
    // Whoever still had one would see nothing, and not end the process.
    expect(arrays[0][5]).toBe(0);
  });
});
