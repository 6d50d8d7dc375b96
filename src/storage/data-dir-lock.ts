import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StreamError } from '../lib/errors.ts';

const LOCK_FILE = 'lock';
/** States of an ended process in /proc/PID/stat. */
const GONE = ['Z', 'X'];

/**
 * One live process per data directory. The lock file names its holder by process id, start time and boot, so that a holder that was
 * killed, or whose id another process got since, does not keep the directory. Taken by hard link, which is atomic.
 */
export class DataDirLock {
  readonly #path: string;
  readonly #content: string;

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  /** Creates the directory when missing. DATA_DIR_LOCKED naming the process that holds it. */
  static acquire(directory: string): DataDirLock {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, LOCK_FILE);
    const content = `${JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) })}\n`;
    const own = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
    writeFileSync(own, content);
    try {
      for (let attempt = 0; attempt < 10; attempt++) {
        if (tryLink(own, path)) return new DataDirLock(path, content);
        takeOverIfDead(path, own);
      }
    } finally {
      rmSync(own, { force: true });
    }
    throw new StreamError('DATA_DIR_LOCKED', `the lock of ${directory} keeps changing hands`);
  }

  release(): void {
    if (readIfThere(this.#path) === this.#content) rmSync(this.#path, { force: true });
  }
}

/**
 * Moves a dead holder's lock out of the way. Two processes may find it dead at once; the second would then move away the first's
 * new lock, so what was moved is compared with what was found dead and, when it differs, put back.
 */
function takeOverIfDead(path: string, own: string): void {
  const found = readIfThere(path);
  if (found === undefined) return;
  const holder = holderOf(found);
  if (holder) {
    throw new StreamError('DATA_DIR_LOCKED', `the data directory is in use by process ${holder} (${path})`, {
      hint: 'stop that process or choose another --data-dir',
    });
  }
  const moved = `${own}.stale`;
  try {
    renameSync(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(moved) !== found) tryLink(moved, path);
  rmSync(moved, { force: true });
}

/** The live process that wrote this lock; undefined when it is gone or the file is not a lock. */
function holderOf(content: string): number | undefined {
  let stated: { pid?: unknown; identity?: unknown };
  try {
    stated = JSON.parse(content);
  } catch {
    return undefined; // A lock file appears whole, so this was damaged by a crash of the machine.
  }
  const { pid, identity } = stated ?? {};
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return undefined;
  return isAlive(pid) && identityOf(pid) === identity ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Tells this process from another that gets the same id later; empty where /proc is not there. */
function identityOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22, counted after the command's closing bracket, which may itself contain spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // One that has ended and that nobody has asked about (a container's first process may never do) holds nothing.
    return GONE.includes(fields[0] ?? '') ? 'gone' : `${boot}/${fields[19]}`;
  } catch {
    return '';
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
