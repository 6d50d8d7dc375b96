// Compiles TypeScript into dist/ unless dist is newer than every source: `npm start` and `npm test` stay quick.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'dist', '.built');

function newestMs(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}

const sources = ['src', 'streamql', 'sinks', 'tests', 'tsconfig.json', 'package.json']
  .map((name) => join(root, name))
  .filter(existsSync);
const newest = Math.max(...sources.map(newestMs));
if (!existsSync(stamp) || statSync(stamp).mtimeMs < newest) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const startedMs = performance.now();
  process.stderr.write('building dist/ … ');
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const done = spawnSync(process.execPath, [tsc], { cwd: root, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) process.exit(done.status ?? 1);
  // The command of package.json's `bin`.
  chmodSync(join(root, 'dist', 'src', 'main.js'), 0o755);
  writeFileSync(stamp, '');
  process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
}
