import { expect, test } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { INTEGER } from '../../src/values/types.ts';
import type { UserFunction } from '../../streamql/functions/user/user-function.ts';

const plus: UserFunction = {
  kind: 'scalar',
  name: 'plus',
  language: 'js',
  params: [{ name: 'x', type: INTEGER }],
  returns: INTEGER,
  columns: [],
  source: 'return x + 1',
};

test('functions are there again after a restart', async () => {
  const disk = new MemoryDisk();
  const catalog = await Catalog.open(disk);
  await catalog.setFunctions([plus]);
  const again = await Catalog.open(disk);
  expect(again.functions).toEqual([plus]);
  expect(again.userFunction('plus')).toEqual(plus);
  await again.setFunctions([]);
  expect((await Catalog.open(disk)).functions).toEqual([]);
});
