import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes fsync fail in a server process for as long as one wants. */
export interface FsyncShim {
  readonly env: Readonly<Record<string, string>>;
  fail(on: boolean): void;
}

/** Compiled into `directory`; a reason when that cannot be done here. */
export function buildFsyncShim(directory: string): FsyncShim | string {
  if (process.platform !== 'linux') return 'LD_PRELOAD is Linux';
  const library = join(directory, 'fsync-shim.so');
  const source = join(import.meta.dirname, 'fsync-shim.c');
  const done = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { encoding: 'utf8' });
  if (done.error) return `no C compiler: ${done.error.message}`;
  if (done.status !== 0 || !existsSync(library)) return `the shim does not compile: ${done.stderr}`;
  const flag = join(directory, 'fsync-fails');
  return {
    env: { LD_PRELOAD: library, FSYNC_FAULT: flag, UV_USE_IO_URING: '0' },
    fail: (on) => (on ? writeFileSync(flag, '') : rmSync(flag, { force: true })),
  };
}
