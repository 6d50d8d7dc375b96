import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { StreamError } from '../lib/errors.ts';

const EXTENSION = '.slt';

export function addTest(program: Command): void {
  program
    .command('test <paths...>')
    .description(`Run test files (${EXTENSION}) and folders of them, each on a database of its own in memory.`)
    .option('-u, --update', 'write the rows that came into the files as the expected ones')
    .option(
      '--all-ways',
      'run each file also record by record, and with the engine killed after each statement; each view is verified at the end',
    )
    .action(async (paths: string[], options: Options, command: Command) => {
      const { files, failed } = await runTests(paths, options);
      const summary = `${files - failed} of ${files} files passed`;
      if (failed > 0) command.error(summary, { exitCode: 1, code: 'streamline.testsFailed' });
      process.stdout.write(`${summary}\n`);
    });
}

interface Options {
  readonly update?: boolean;
  readonly allWays?: boolean;
}

/** Prints one line a file and way, and each failure as `file:line: what`. */
async function runTests(paths: readonly string[], options: Options): Promise<{ files: number; failed: number }> {
  const files = paths.flatMap(testFiles);
  if (files.length === 0) throw new StreamError('NOT_FOUND', `there is no ${EXTENSION} file in ${paths.join(', ')}`);
  const [{ DuckDbAnalytics }, { runTestFile }, { WAYS }] = await Promise.all([
    import('../analytics/analytics.ts'),
    import('./sql-test/run-file.ts'),
    import('./sql-test/ways.ts'),
  ]);
  const ways = options.allWays ? WAYS : WAYS.slice(0, 1);
  const failing = new Set<string>();
  const analytics = new DuckDbAnalytics({ memoryLimitBytes: 512 * 2 ** 20 });
  try {
    for (const file of files) {
      for (const way of ways) {
        const text = readFileSync(file, 'utf8');
        const began = performance.now();
        const result = await runTestFile(text, analytics, way, { verifies: options.allWays ?? false });
        const tookMs = Math.round(performance.now() - began);
        // What the first way answers is what the others are held to.
        const update = (options.update ?? false) && way === ways[0];
        const changed = update && result.updated !== text;
        if (changed) writeFileSync(file, result.updated);
        const left = update ? result.failures.filter((one) => !one.differs) : result.failures;
        if (left.length > 0) failing.add(file);
        const word = left.length > 0 ? 'FAIL' : changed ? 'new ' : 'ok  ';
        const note = ways.length > 1 ? `${way.name}, ` : '';
        process.stdout.write(`${word} ${file} (${note}${result.steps} steps, ${tookMs} ms)\n`);
        for (const { line, message } of left) process.stdout.write(`${file}:${line}: ${message}\n`);
      }
    }
  } finally {
    await analytics.close();
  }
  return { files: files.length, failed: failing.size };
}

function testFiles(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new StreamError('NOT_FOUND', `there is no file or folder ${path}`);
  if (!found.isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(EXTENSION))
    .sort()
    .map((name) => join(path, name));
}
