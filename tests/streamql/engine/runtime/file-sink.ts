import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SinkKind } from '../../../../src/ports/sink.ts';
import { rowsOf } from './support.ts';

/** A registry of sinks for tests: one that writes ids to a file, one that ends the thread it runs in. */
export const SINK_KINDS: readonly SinkKind[] = [
  {
    name: 'file',
    options: [],
    create: ({ dataDir, sinkId }) => ({
      async open() {
        await appendFile(join(dataDir, `${sinkId}.txt`), '');
      },
      async prepare(epoch, batches) {
        const staged = join(dataDir, `${sinkId}-${epoch}.staged`);
        await writeFile(
          staged,
          batches
            .flatMap(rowsOf)
            .map(([id]) => `${id}\n`)
            .join(''),
        );
        return { staged };
      },
      async commit(_epoch, token) {
        const { readFile, rm } = await import('node:fs/promises');
        const staged = token['staged'] as string;
        const lines = await readFile(staged, 'utf8').catch(() => null);
        if (lines === null) return;
        await appendFile(join(dataDir, `${sinkId}.txt`), lines);
        await rm(staged);
      },
      async recover() {},
      async close() {},
    }),
  },
  {
    name: 'deadly',
    options: [],
    create: () => {
      process.exit(3);
    },
  },
];
