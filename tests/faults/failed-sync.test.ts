import { expect, test } from 'vitest';
import { Storage } from '../../src/storage/storage.ts';
import { FaultDisk } from '../support/fault-disk.ts';

/** Appends until one is refused or there are `most`; offset → value of what was acknowledged. */
async function fill(storage: Storage, most: number, name: string, into: Map<number, string>): Promise<number> {
  for (let count = 0; count < most; count++) {
    const value = `${name} ${count}`;
    try {
      into.set(await storage.append('t', 0, [{ key: null, value: Buffer.from(value) }]), value);
    } catch {
      return count;
    }
  }
  return most;
}

/** A disk that does what Linux does: after a failed fsync the pages stay readable, count as clean, and are never written. */
test('what a failed sync left in the page cache is written again at the next start, before anybody builds on it', async () => {
  let lostWithout = 0;
  for (let seed = 1; seed <= 20; seed++) {
    for (const honest of [true, false]) {
      let disk = new FaultDisk(seed);
      const acknowledged = new Map<number, string>();
      const open = (): Promise<Storage> => {
        disk.dropsAtFailedSync = true;
        return Storage.open({ disk, walFileBytes: 600 });
      };
      const first = await open();
      await first.createTopic('t', { partitions: 1 });
      await fill(first, 5, 'before', acknowledged);
      disk.fault = (operation, path) => (operation === 'sync' && path.endsWith('.strm') ? 'EIO' : undefined);
      expect(await fill(first, 50, 'failing', acknowledged)).toBeLessThan(50);
      expect(first.failure?.code).toBe('STORAGE_FAILED');
      for (let turn = 0; turn < 50 && !(await disk.exists('storage-failed')); turn++)
        await first.flush().catch(() => {});
      expect(await disk.exists('storage-failed')).toBe(true);

      // The process ends and starts again; the machine has been on all the time.
      disk = disk.kill();
      if (!honest) await disk.remove('storage-failed');
      const second = await open();
      expect(second.failure).toBeUndefined();
      expect(await disk.exists('storage-failed')).toBe(false);
      // Enough that the write-ahead log needs to hold the old records no longer.
      expect(await fill(second, 30, 'after', acknowledged)).toBe(30);

      disk = disk.crash();
      try {
        const third = await open();
        const { highWatermark } = third.bounds('t', 0);
        const missing = [...acknowledged.keys()].filter((offset) => offset >= highWatermark);
        if (honest) expect(missing, `seed ${seed}`).toEqual([]);
        else if (missing.length > 0) lostWithout++;
      } catch (thrown) {
        if (honest) throw thrown;
        lostWithout++;
      }
    }
  }
  // The mark is what makes the difference.
  expect(lostWithout).toBeGreaterThan(0);
});
