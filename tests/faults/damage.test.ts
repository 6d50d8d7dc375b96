import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StreamError } from '../../src/lib/errors.ts';
import { createLog } from '../../src/lib/log.ts';
import { batchCrcMatches, encodeBatch, RecordCursor, readBatchHeader } from '../../src/protocol/records.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/storage/segment-header.ts';
import { Storage } from '../../src/storage/storage.ts';
import { seededRandom } from '../support/fault-disk.ts';

/** Damage to files at rest: DAMAGE_RUNS=5000 is a long run, DAMAGE_SEED=n begins elsewhere. */
const RUNS = Number(process.env['DAMAGE_RUNS'] ?? 100);
const FIRST_SEED = Number(process.env['DAMAGE_SEED'] ?? 1);
const PARTITIONS = 2;

let root: string;
/** Values by partition; all acknowledged. */
const values: string[][] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'streamline-damage-'));
  const dir = join(root, 'work');
  const storage = await Storage.open({ dir, walFileBytes: 60_000 });
  await storage.createTopic('t', { partitions: PARTITIONS, config: { 'segment.bytes': '30000' } });
  const random = seededRandom(7);
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = storage.partition('t', partition)!;
    const written: string[] = [];
    let sequence = 0;
    while (written.length < 400) {
      const batch = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, at) => {
        return `${partition}.${written.length + at} ${'x'.repeat(Math.floor(random() * 400))}`;
      });
      const options = { producerId: 5, producerEpoch: 0, baseSequence: sequence };
      const result = log.append(
        encodeBatch(
          batch.map((value) => ({ key: null, value: Buffer.from(value), timestampMs: Date.now() })),
          options,
        ),
      );
      expect(result.error).toBeUndefined();
      await log.durable(result.lastOffset);
      written.push(...batch);
      sequence += batch.length;
    }
    values.push(written);
  }
  // As kill −9 leaves it, and as an orderly end does.
  cpSync(dir, join(root, 'killed'), { recursive: true });
  await storage.close();
  cpSync(dir, join(root, 'stopped'), { recursive: true });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function filesUnder(directory: string, prefix = ''): string[] {
  return readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? filesUnder(directory, path) : [path];
  });
}

/** Spoils the end of a file; returns what was done and where the damage begins. */
function spoil(path: string, random: () => number): { what: string; at: number } {
  const content = readFileSync(path);
  const most = Math.min(content.length, 1 + Math.floor(random() * (random() < 0.5 ? 64 << 10 : 300)));
  const at = content.length - most;
  const style = Math.floor(random() * 4);
  if (style === 0) writeFileSync(path, content.subarray(0, at));
  else if (style === 3) {
    if (content.length > 0) content[at]! ^= 1 << Math.floor(random() * 8);
    writeFileSync(path, content);
  } else {
    for (let byte = at; byte < content.length; byte++) content[byte] = style === 1 ? 0 : Math.floor(random() * 256);
    writeFileSync(path, content);
  }
  return { what: ['cut off', 'zeroed', 'garbled', 'one bit flipped'][style]!, at };
}

/** Offset → value of what can be read; batches that fail their checksum are told apart: a client refuses those. */
async function readAll(storage: Storage, partition: number): Promise<{ found: Map<number, string>; refused: number }> {
  const log = storage.partition('t', partition)!;
  const found = new Map<number, string>();
  for (let offset = log.logStart; offset < log.highWatermark; ) {
    let data: Buffer;
    try {
      data = await log.read(offset, 20_000);
    } catch (thrown) {
      // Told to the reader, who cannot get further, and to the log.
      expect((thrown as StreamError).code).toBe('STORAGE_FAILED');
      expect((thrown as StreamError).message).toContain('.strm');
      return { found, refused: 1 };
    }
    expect(data.length, `a read at ${offset} gives something`).toBeGreaterThan(0);
    for (let at = 0; at < data.length; ) {
      const batch = data.subarray(at, at + data.readInt32BE(at + 8) + 12);
      at += batch.length;
      // A client stops here and says so.
      if (batch[16] !== 2 || !batchCrcMatches(batch, 0, batch.length)) return { found, refused: 1 };
      const { baseOffset, lastOffsetDelta } = readBatchHeader(batch);
      expect(baseOffset, 'batches follow each other').toBe(offset);
      offset = baseOffset + lastOffsetDelta + 1;
      const cursor = new RecordCursor(batch);
      while (cursor.next()) found.set(cursor.offset, cursor.value()!.toString());
    }
  }
  return { found, refused: 0 };
}

/** Offsets of a whole segment file's batches that end before a byte. */
function offsetsBefore(path: string, end: number): number[] {
  const content = readFileSync(path);
  const offsets: number[] = [];
  for (let at = SEGMENT_HEADER_BYTES; at < content.length; ) {
    const { sizeBytes, baseOffset, lastOffsetDelta } = readBatchHeader(content, at);
    at += sizeBytes;
    if (at > end) break;
    for (let delta = 0; delta <= lastOffsetDelta; delta++) offsets.push(baseOffset + delta);
  }
  return offsets;
}

interface Tally {
  opened: number;
  offline: number;
  refused: number;
  whole: number;
}

/** One damage, one start. What can be read is right; what cannot is reported with the file's name. */
async function damageOnce(seed: number, tally: Tally): Promise<void> {
  const random = seededRandom(seed * 7919);
  const from = random() < 0.7 ? 'killed' : 'stopped';
  const dir = join(root, `run-${seed}`);
  cpSync(join(root, from), dir, { recursive: true });
  rmSync(join(dir, 'lock'), { force: true });
  const files = filesUnder(dir).filter((name) => name !== 'lock' && statSync(join(dir, name)).size > 0);
  const file = files[Math.floor(random() * files.length)]!;
  const { what, at } = spoil(join(dir, file), random);
  const story = `seed ${seed}: ${from}, ${file} ${what} from byte ${at}`;
  const lines: string[] = [];
  let storage: Storage | undefined;
  try {
    storage = await Storage.open({ dir, log: createLog('warn', (line) => lines.push(line)) });
  } catch (thrown) {
    expect(thrown, `${story}: ${thrown}`).toBeInstanceOf(StreamError);
    const { code, message } = thrown as StreamError;
    expect(code, `${story}: ${message}`).toBe('STORAGE_FAILED');
    expect(message, story).toContain(file.split('/').at(-1)!);
    tally.refused++;
  }
  if (storage !== undefined) {
    tally.opened++;
    let whole = true;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const mine = file.startsWith('topics/') && file.includes(`/${partition}/`);
      if (storage.partition('t', partition)!.offline !== undefined) {
        // The file cannot be mended here: its partition is offline, with the file's name, and takes nothing.
        expect(mine, story).toBe(true);
        const log = storage.partition('t', partition)!;
        expect(log.offline!.message, story).toContain(file.split('/').at(-1)!);
        expect(lines.join(''), story).toContain('partition offline');
        await expect(log.read(0, 1000)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
        const batch = encodeBatch([{ key: null, value: Buffer.from('more'), timestampMs: Date.now() }]);
        expect(log.append(batch).error, story).toBe(56);
        expect(await log.applyRetention()).toBe(0);
        tally.offline++;
        whole = false;
        continue;
      }
      const { found, refused } = await readAll(storage, partition);
      for (const [offset, value] of found) expect([offset, value], story).toEqual([offset, values[partition]![offset]]);
      if (mine && file.endsWith('.strm')) {
        for (const offset of offsetsBefore(join(root, from, file), at)) {
          expect(found.has(offset), `${story}: offset ${offset} lies below the damage`).toBe(true);
        }
      }
      const missing = values[partition]!.length - found.size;
      if (missing > 0) whole = false;
      // Other partitions are not touched, and what is missing was reported, or is refused by the reader's checksum.
      if (!mine) expect(missing, story).toBe(0);
      else if (missing > 0 && refused === 0) expect(lines.join(''), story).toContain(file.split('/').at(-1)!);
      // The log takes appends, and the next ones are readable.
      const log = storage.partition('t', partition)!;
      const more = log.append(encodeBatch([{ key: null, value: Buffer.from('more'), timestampMs: Date.now() }]));
      expect(more.error, story).toBeUndefined();
      await log.durable(more.lastOffset);
      const tail = new RecordCursor(await log.read(more.lastOffset, 1000));
      expect(tail.next() && tail.value()?.toString(), story).toBe('more');
    }
    if (whole) tally.whole++;
    await storage.close();
  }
  rmSync(dir, { recursive: true, force: true });
}

test(
  `torn, zeroed and garbled files (${RUNS} runs): what is read is right, what is lost is reported by name`,
  async () => {
    const tally: Tally = { opened: 0, offline: 0, refused: 0, whole: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) await damageOnce(seed, tally);
    if (process.env['DAMAGE_RUNS']) console.log(JSON.stringify(tally));
    expect(tally.opened).toBeGreaterThan(RUNS / 4);
    expect(tally.offline).toBeGreaterThan(0);
    expect(tally.whole).toBeGreaterThan(0);
  },
  60_000 + RUNS * 200,
);
