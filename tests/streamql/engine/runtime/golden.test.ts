import { describe, expect, test } from 'vitest';
import { silentLog } from '../../../../src/lib/log.ts';
import type { StreamEngine } from '../../../../src/ports/engine.ts';
import { crc32c } from '../../../../src/protocol/crc32c.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import { CheckpointStore } from '../../../../streamql/engine/runtime/checkpoint-store.ts';
import { contentOf, makeTopics, produceStep } from './every-operator.ts';
import { GOLDEN_STEPS, type Golden, goldenNames, readGolden } from './golden.ts';
import { type FakeLog, openEngine, RecordingTarget, recordingSink } from './support.ts';

const settings = { epochIntervalMs: 0, checkpointIntervalMs: 1 << 30 };

async function start(
  log: FakeLog,
  golden: Golden,
  disk: MemoryDisk | null,
  target = new RecordingTarget(),
): Promise<StreamEngine> {
  const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings });
  for (const object of golden.objects) await engine.add(object);
  await engine.resume();
  return engine;
}

describe.each(goldenNames())('a checkpoint of %s', (name) => {
  test('is loaded, holds what it held, and is built upon', async () => {
    const golden = await readGolden(name);
    const log = await makeTopics();
    for (let step = 0; step < GOLDEN_STEPS; step++) await produceStep(log, step);
    // What the checkpoint has taken in is gone from the log: only its state knows.
    for (const topic of log.topics.values()) topic.starts = topic.partitions.map((batches) => batches.at(-1)!.end);
    const target = new RecordingTarget();
    const engine = await start(log, golden, golden.disk, target);
    await engine.flush();
    expect(await contentOf(engine, golden.objects)).toEqual(golden.content);
    expect(target.rows).toEqual([]);

    for (let step = GOLDEN_STEPS; step < GOLDEN_STEPS + 3; step++) await produceStep(log, step);
    await engine.flush();
    const content = await contentOf(engine, golden.objects);
    await engine.close();

    for (const topic of log.topics.values()) topic.starts = topic.partitions.map(() => 0);
    const whole = new RecordingTarget();
    const fresh = await start(log, golden, null, whole);
    await fresh.flush();
    expect(content).toEqual(await contentOf(fresh, golden.objects));
    expect(target.rows.length).toBe(whole.rows.length - golden.published);
    await fresh.close();
  });

  test('damaged anywhere, falls back to a whole one or refuses; it never loads something else', async () => {
    const { disk } = await readGolden(name);
    const names = await disk.list('engine');
    const files = new Map<string, Buffer>();
    for (const file of names) files.set(file, await disk.readFile(`engine/${file}`));
    const load = async (changed: string, content: Buffer): Promise<number | string> => {
      const copy = new MemoryDisk();
      for (const [file, bytes] of files) await copy.replaceFile(`engine/${file}`, file === changed ? content : bytes);
      try {
        return (await new CheckpointStore(copy, 'engine', silentLog).load())!.manifest.epoch;
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    };
    const whole = await load('', Buffer.alloc(0));
    expect(whole).toBeGreaterThan(0);
    const seen = new Set<number | string>();
    for (const [file, bytes] of files) {
      // Every byte of the first line, and places all over the rest: flipped, cut there, overwritten from there.
      const places = [
        ...Array(40).keys(),
        ...Array.from({ length: 25 }, (_, i) => Math.floor((bytes.length * i) / 25)),
      ];
      for (const at of new Set(places.filter((place) => place < bytes.length))) {
        const flipped = Buffer.from(bytes);
        flipped[at] ^= 1 << (at % 8);
        for (const content of [
          flipped,
          bytes.subarray(0, at),
          Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]),
        ])
          seen.add(await load(file, content));
      }
      seen.add(await load(file, Buffer.concat([bytes, Buffer.from('more')])));
    }
    // The newest, the one before, or none; no error but the one that says so.
    for (const outcome of seen)
      expect(typeof outcome === 'number' ? outcome <= (whole as number) : outcome === 'STORAGE_FAILED').toBe(true);
    expect(seen).toContain(whole);
  });

  test('of a newer release is refused, not passed over', async () => {
    const { disk, ...golden } = await readGolden(name);
    const newest = (await disk.list('engine'))
      .filter((file) => file.endsWith('.manifest'))
      .sort((a, b) => Number.parseInt(b) - Number.parseInt(a))[0];
    const manifest = (await disk.readFile(`engine/${newest}`)).toString();
    const body = JSON.stringify({ ...JSON.parse(manifest.slice(manifest.indexOf('\n') + 1)), format: 99 });
    const line = `streamline-checkpoint 99 ${crc32c(Buffer.from(body)).toString(16)}\n`;
    await disk.replaceFile(`engine/${newest}`, Buffer.from(line + body));
    await expect(start(await makeTopics(), { ...golden, disk }, disk)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining('newer release'),
      hint: expect.stringContaining('the release that wrote it'),
    });
  });
});
