import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { RecordCursor } from '../../src/protocol/records.ts';
import { Storage } from '../../src/storage/storage.ts';

const ROUNDS = Number(process.env.STORAGE_KILL_ROUNDS ?? 5);
const CHILD = fileURLToPath(new URL('./storage-kill-child.ts', import.meta.url));

/** Runs a producer, kills it a while after its first acknowledged record, and returns the lines it wrote. */
async function produceUntilKilled(dir: string, round: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, dir, String(round)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors += data;
  });
  child.stdout.on('data', (data: Buffer) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), 20 + Math.random() * 250);
    output += data;
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect(child.signalCode, errors).toBe('SIGKILL');
  // The last line may be cut off; its promise then counts as not made.
  return output.split('\n').slice(0, -1);
}

test(`after kill -9 (${ROUNDS} rounds) each acknowledged record is there once, in order, at its offset`, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'streamline-kill-'));
  const promised = [new Map<number, string>(), new Map<number, string>()];
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const line of await produceUntilKilled(dir, round)) {
        const [partition, offset, id] = line.split(' ');
        promised[Number(partition)]!.set(Number(offset), id!);
      }
      const storage = await Storage.open({ dir });
      for (const partition of [0, 1]) {
        const log = storage.partition('t', partition)!;
        expect(log.leaderEpoch).toBe(round);
        const ids: string[] = [];
        while (ids.length < log.highWatermark) {
          const cursor = new RecordCursor(await log.read(ids.length, 1 << 20));
          while (cursor.next()) {
            expect(cursor.offset).toBe(ids.length);
            ids.push(cursor.value()!.toString().split(' ', 1)[0]!);
          }
        }
        expect(new Set(ids).size).toBe(ids.length);
        for (const [offset, id] of promised[partition]!) expect(ids[offset]).toBe(id);
      }
      await storage.close();
    }
    expect(promised[0]!.size + promised[1]!.size).toBeGreaterThan(ROUNDS * 10);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}, 120_000);
