import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** The README's tour, block by block, as a reader pastes it; `npx streamline` is this build, the ports are free ones. */
const root = resolve(import.meta.dirname, '../..');
const tour = readFileSync(resolve(root, 'README.md'), 'utf8').split('<!-- tour:')[1].split('\n## ')[0];
const blocks = [...tour.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]);

const directory = temporaryDirectory();
let server: ServerProcess;
beforeAll(async () => {
  server = await ServerProcess.start(`${directory.path}/data`, ['--playground']);
  mkdirSync(`${directory.path}/bin`);
  writeFileSync(
    `${directory.path}/bin/npx`,
    `#!/bin/sh\nshift\nexec "${process.execPath}" "${root}/dist/src/main.js" "$@"\n`,
  );
  chmodSync(`${directory.path}/bin/npx`, 0o755);
  // The first events need a moment to arrive.
  for (let tries = 0; tries < 100 && (await server.rows('SELECT count(*) FROM channel_stats'))[0][0] === 0; tries++) {
    await new Promise((done) => setTimeout(done, 100));
  }
});
afterAll(async () => {
  await server.stop();
  directory.remove();
});

function paste(block: string): string {
  const run = spawnSync('bash', ['-euo', 'pipefail', '-c', block.replaceAll('127.0.0.1:9094', server.http)], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${directory.path}/bin:${process.env['PATH']}`, STREAMLINE_HTTP_LISTEN: server.http },
  });
  expect(run.status, `${block}\n${run.stderr}`).toBe(0);
  return run.stdout;
}

test('every block of the tour works and shows what the text says', () => {
  const [playground, clicks, deadLetters, join, lake] = blocks.map(paste);
  expect(playground).toContain('channel_stats');
  expect(playground).toMatch(/(Google|Facebook|Baidu|Apple) +\d+/);
  expect(clicks).toMatch(/\/ +2 +2\n\/buy +1 +1\n/);
  expect(deadLetters).toMatch(/3 .*this is not JSON/);
  expect(join).toMatch(/Ada +2\nGrace +1\n/);
  expect(lake).toContain('{"page":"/","clicks":2,"users":2}');
  expect(lake).toContain('{"data":{"clicks_per_page":[{"page":"/","clicks":2,"users":2}]}}');
});
