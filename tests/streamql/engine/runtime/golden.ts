import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineObject } from '../../../../src/ports/engine.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import type { Datum } from '../../../../src/values/types.ts';
import { contentOf, everyObject, makeTopics, produceStep } from './every-operator.ts';
import { openEngine, RecordingTarget, recordingSink } from './support.ts';

/**
 * Checkpoints as releases wrote them, kept for good: `npx tsx tests/streamql/engine/runtime/golden.ts NAME` writes one as the present sources do
 * into tests/golden/checkpoints/NAME, with the specs it is of and what the views held. To be run when the format changes, under a new name.
 */
const ROOT = resolve(import.meta.dirname, '../../../golden/checkpoints');
/** Steps that the checkpoint has taken in. */
export const GOLDEN_STEPS = 4;

export interface Golden {
  readonly objects: readonly EngineObject[];
  readonly content: Readonly<Record<string, Datum[][]>>;
  readonly published: number;
  readonly disk: MemoryDisk;
}

export const goldenNames = (): string[] => readdirSync(ROOT).sort();

export async function readGolden(name: string): Promise<Golden> {
  const directory = join(ROOT, name);
  const disk = new MemoryDisk();
  for (const file of readdirSync(join(directory, 'engine')))
    await disk.replaceFile(`engine/${file}`, readFileSync(join(directory, 'engine', file)));
  const { objects, content, published } = JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8'), (_, value) =>
    typeof value?.$bigint === 'string' ? BigInt(value.$bigint) : value,
  ) as Golden;
  return { objects, content, published, disk };
}

async function write(name: string): Promise<void> {
  const directory = join(ROOT, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'engine'), { recursive: true });
  const [log, disk, target, objects] = [await makeTopics(), new MemoryDisk(), new RecordingTarget(), everyObject()];
  const settings = { epochIntervalMs: 0, checkpointIntervalMs: 1 << 30 };
  const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings });
  for (const object of objects) await engine.add(object);
  await engine.resume();
  for (let step = 0; step < GOLDEN_STEPS; step++) {
    await produceStep(log, step);
    // With the sink a flush is a checkpoint: a full piece first, then changes.
    await engine.flush();
  }
  const content = await contentOf(engine, objects);
  await engine.close();
  for (const file of await disk.list('engine'))
    writeFileSync(join(directory, 'engine', file), await disk.readFile(`engine/${file}`));
  const state = { objects, content, published: target.rows.length };
  writeFileSync(
    join(directory, 'state.json'),
    `${JSON.stringify(state, (_, value) => (typeof value === 'bigint' ? { $bigint: `${value}` } : value))}\n`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write(process.argv[2]);
