import { expect, test } from 'vitest';
import type { Disk, DiskFile } from '../../../../src/ports/disk.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import type { Datum } from '../../../../src/values/types.ts';
import { contentOf, everyObject, MORE_QUERIES, makeTopics, produceStep, QUERIES } from './every-operator.ts';
import { openEngine, RecordingTarget, recordingSink } from './support.ts';

type Files = ReadonlyMap<string, Buffer>;

/** What a crash leaves: the disk, and what the sink's target had staged and published. */
interface Moment {
  readonly files: Files;
  readonly staged: ReadonlyMap<number, Datum[][]>;
  readonly rows: readonly Datum[][];
  readonly lastEpoch: number;
}

/** A disk in memory that tells of every change, after it was made. */
class WatchedDisk implements Disk {
  readonly inner: MemoryDisk;
  readonly #changed: () => Promise<void>;

  constructor(inner: MemoryDisk, changed: () => Promise<void>) {
    this.inner = inner;
    this.#changed = changed;
  }

  async open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile> {
    const file = await this.inner.open(path, mode);
    if (mode === 'read') return file;
    await this.#changed();
    return new Proxy(file, {
      get: (target, name) => {
        const member = (target as never as Record<PropertyKey, unknown>)[name];
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]) => {
          if (name !== 'append') return member.apply(target, args);
          // The kernel may have had a part of it only.
          const whole = Buffer.concat(args[0] as Uint8Array[]);
          const half = whole.length >> 1;
          await target.append([whole.subarray(0, half)]);
          await this.#changed();
          await target.append([whole.subarray(half)]);
          return this.#changed();
        };
      },
    });
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    await this.inner.replaceFile(path, content);
    await this.#changed();
  }

  async rename(from: string, to: string): Promise<void> {
    await this.inner.rename(from, to);
    await this.#changed();
  }

  async remove(path: string): Promise<void> {
    await this.inner.remove(path);
    await this.#changed();
  }

  readFile = (path: string): Promise<Buffer> => this.inner.readFile(path);
  exists = (path: string): Promise<boolean> => this.inner.exists(path);
  list = (path: string): Promise<string[]> => this.inner.list(path);
  makeDirectory = (path: string): Promise<void> => this.inner.makeDirectory(path);
  syncDirectory = (): Promise<void> => this.inner.syncDirectory();
}

const isSame = (a: Moment, b: Moment): boolean =>
  a.files === b.files &&
  a.staged.size === b.staged.size &&
  a.rows.length === b.rows.length &&
  a.lastEpoch === b.lastEpoch;

/** STREAMLINE_CRASH_STEPS=20 is the long run. */
const STEPS = Number(process.env['STREAMLINE_CRASH_STEPS'] ?? 3);
const objects = everyObject({ ...QUERIES, ...MORE_QUERIES });
// Only checkpoints that the test asks for: so each step lies between two of them.
const settings = { batchRecords: 4, epochIntervalMs: 0, checkpointIntervalMs: 1 << 30 };

test(
  'a crash at any moment between two checkpoints, at every kind of operator and sink, changes nothing',
  async () => {
    const log = await makeTopics();
    const moments: Moment[] = [];
    const target = new RecordingTarget();
    const memory = new MemoryDisk();
    let files: Files = new Map();
    const note = (): void => {
      moments.push({ files, staged: new Map(target.staged), rows: [...target.rows], lastEpoch: target.lastEpoch });
    };
    const disk = new WatchedDisk(memory, async () => {
      const names = await memory.list('engine');
      files = new Map(
        await Promise.all(
          names.map(async (name) => [`engine/${name}`, await memory.readFile(`engine/${name}`)] as const),
        ),
      );
      note();
    });
    target.at = note;

    const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings });
    for (const object of objects) await engine.add(object);
    await engine.resume();
    for (let step = 0; step < STEPS; step++) {
      await produceStep(log, step);
      await engine.flush();
      note();
      await engine.checkpoint();
    }
    const expected = await contentOf(engine, objects);
    expect(Object.keys(expected).filter((view) => expected[view].length === 0)).toEqual([]);
    const published = target.rows.map(String).sort();
    await engine.close();

    // Flushing a sink takes a checkpoint too: what differs in nothing is tried once.
    const distinct = moments.filter((moment, i) => i === 0 || !isSame(moment, moments[i - 1]));
    expect(distinct.length).toBeGreaterThan(STEPS * 4);
    for (const [at, moment] of distinct.entries()) {
      const left = new MemoryDisk();
      for (const [path, content] of moment.files) await left.replaceFile(path, content);
      const after = new RecordingTarget();
      Object.assign(after, { staged: new Map(moment.staged), rows: [...moment.rows], lastEpoch: moment.lastEpoch });
      // Shared by another number of workers every second time.
      const again = await openEngine(log, {
        disk: left,
        sinks: [recordingSink(after)],
        settings,
        shards: 1 + (at % 2),
      });
      for (const object of objects) await again.add(object);
      await again.resume();
      await again.flush();
      expect(await contentOf(again, objects), `views after a crash at moment ${at}`).toEqual(expected);
      expect(after.rows.map(String).sort(), `the sink after a crash at moment ${at}`).toEqual(published);
      await again.close();
    }
  },
  60_000 * STEPS,
);
