import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/ports/disk.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { NodeDisk } from '../../src/storage/disk/node-disk.ts';
import { FaultDisk } from '../support/fault-disk.ts';

const directories: string[] = [];
afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

const disks: Record<string, () => Promise<Disk>> = {
  node: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'streamline-disk-'));
    directories.push(directory);
    return new NodeDisk(directory);
  },
  memory: async () => new MemoryDisk(),
  fault: async () => new FaultDisk(1),
};

describe.each(Object.entries(disks))('%s disk', (_name, make) => {
  test('a file is what was appended to it, from any position', async () => {
    const disk = await make();
    await disk.makeDirectory('a');
    let files = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 4 }), { maxLength: 5 }),
        async (rounds) => {
          const path = `a/f${files++}`;
          const file = await disk.open(path, 'create');
          for (const buffers of rounds) await file.append(buffers);
          const all = Buffer.concat(rounds.flat());
          expect(file.size).toBe(all.length);
          const at = Math.floor(all.length / 3);
          const part = Buffer.alloc(all.length);
          expect(await file.read(part, at)).toBe(all.length - at);
          expect(part.subarray(0, all.length - at).equals(all.subarray(at))).toBe(true);
          await file.sync();
          await file.close();
          expect((await disk.readFile(path)).equals(all)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a reopened file goes on at its end, and after truncation at the new end', async () => {
    const disk = await make();
    const first = await disk.open('f', 'append');
    await first.append([Buffer.from('hello '), Buffer.from('world')]);
    await first.close();
    const second = await disk.open('f', 'append');
    expect(second.size).toBe(11);
    await second.truncate(5);
    await second.append([Buffer.from('!')]);
    expect(second.size).toBe(6);
    await second.close();
    expect((await disk.readFile('f')).toString()).toBe('hello!');
    const reader = await disk.open('f', 'read');
    expect(await reader.read(Buffer.alloc(3), 6)).toBe(0);
    await reader.close();
  });

  test('creating empties what was there; reading what is missing fails with ENOENT', async () => {
    const disk = await make();
    await disk.replaceFile('f', Buffer.from('old'));
    const file = await disk.open('f', 'create');
    expect(file.size).toBe(0);
    await file.close();
    await expect(disk.open('g', 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.readFile('g')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('replace, list, rename and remove', async () => {
    const disk = await make();
    expect(await disk.list('d')).toEqual([]);
    await disk.makeDirectory('d/e');
    await disk.replaceFile('d/e/2', Buffer.from('two'));
    await disk.replaceFile('d/e/1', Buffer.from('one'));
    await disk.replaceFile('d/e/1', Buffer.from('uno'));
    expect(await disk.list('d/e')).toEqual(['1', '2']);
    expect((await disk.readFile('d/e/1')).toString()).toBe('uno');
    await disk.rename('d/e', 'd/f');
    expect(await disk.list('d')).toEqual(['f']);
    expect(await disk.exists('d/f/2')).toBe(true);
    expect(await disk.exists('d/e')).toBe(false);
    await disk.syncDirectory('d');
    await disk.remove('d/f/2');
    expect(await disk.list('d/f')).toEqual(['1']);
    await disk.remove('d');
    await disk.remove('d');
    expect(await disk.exists('d/f/1')).toBe(false);
  });
});

test('after a crash of the fault disk, synced bytes are there and nothing else is invented', async () => {
  let lost = 0;
  let torn = 0;
  for (let seed = 0; seed < 200; seed++) {
    const disk = new FaultDisk(seed);
    const file = await disk.open('d/f', 'create');
    await disk.syncDirectory('d');
    await file.append([Buffer.alloc(100, 1)]);
    await file.sync();
    await file.append([Buffer.alloc(50, 2)]);
    await file.append([Buffer.alloc(50, 3)]);
    const content = await disk.crash().readFile('d/f');
    expect(content.subarray(0, 100).equals(Buffer.alloc(100, 1))).toBe(true);
    for (let at = 100; at < content.length; at++) expect([0, at < 150 ? 2 : 3]).toContain(content[at]);
    if (content.length === 100) lost++;
    else if (content.length < 200) torn++;
    await expect(file.append([Buffer.alloc(1)])).rejects.toThrow();
  }
  expect(lost).toBeGreaterThan(10);
  expect(torn).toBeGreaterThan(10);
});
