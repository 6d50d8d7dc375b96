import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { assert } from '../../lib/assert.ts';
import type { DiskFile, DurableDisk, DurableFile } from '../../ports/disk.ts';

/** Ends the name of a file that replaceFile had not renamed yet; left behind only by a crash. */
export const TEMPORARY_SUFFIX = '.tmp';

/** The real file system. Errors are Node's own (`code` ENOSPC, EIO, ENOENT …); relative paths start at `root`. */
export class NodeDisk implements DurableDisk {
  readonly #root: string;
  #temporaries = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile> {
    const flags =
      mode === 'read'
        ? constants.O_RDONLY
        : mode === 'append'
          ? constants.O_RDWR | constants.O_CREAT
          : constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC;
    const handle = await fs.open(this.#at(path), flags, 0o640);
    try {
      return new NodeFile(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async openDurable(path: string): Promise<DurableFile> {
    // O_DSYNC saves the second call; where it is missing the sync follows the write.
    const dsync = constants.O_DSYNC ?? 0;
    const handle = await fs.open(this.#at(path), constants.O_RDWR | constants.O_CREAT | dsync, 0o640);
    return {
      async overwrite(buffers, position) {
        await writeAll(handle, buffers, position);
        if (dsync === 0) await handle.datasync();
      },
      close: () => handle.close(),
    };
  }

  readFile(path: string): Promise<Buffer> {
    return fs.readFile(this.#at(path));
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    const target = this.#at(path);
    const temporary = `${target}.${this.#temporaries++}${TEMPORARY_SUFFIX}`;
    try {
      const handle = await fs.open(temporary, 'w', 0o640);
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(temporary, target);
    } catch (error) {
      await fs.rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await this.syncDirectory(dirname(path));
  }

  async exists(path: string): Promise<boolean> {
    return fs.access(this.#at(path)).then(
      () => true,
      () => false,
    );
  }

  async list(path: string): Promise<string[]> {
    try {
      return (await fs.readdir(this.#at(path))).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** Also makes missing parents, and their entries durable. */
  async makeDirectory(path: string): Promise<void> {
    const first = await fs.mkdir(this.#at(path), { recursive: true });
    if (first === undefined) return;
    for (let at = this.#at(path); at.length >= first.length; at = dirname(at)) await this.syncDirectory(dirname(at));
  }

  async remove(path: string): Promise<void> {
    await fs.rm(this.#at(path), { recursive: true, force: true });
  }

  async rename(from: string, to: string): Promise<void> {
    await fs.rename(this.#at(from), this.#at(to));
  }

  async syncDirectory(path: string): Promise<void> {
    const handle = await fs.open(this.#at(path), 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #at(path: string): string {
    return isAbsolute(path) ? path : join(this.#root, path);
  }
}

class NodeFile implements DiskFile {
  readonly #handle: fs.FileHandle;
  #size: number;

  constructor(handle: fs.FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  get fd(): number {
    return this.#handle.fd;
  }

  get size(): number {
    return this.#size;
  }

  async append(buffers: readonly Uint8Array[]): Promise<void> {
    const position = this.#size;
    const total = await writeAll(this.#handle, buffers, position);
    assert(this.#size === position, 'two appends to one file overlapped');
    this.#size = position + total;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
    this.#size = size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Returns the bytes written: all. */
async function writeAll(handle: fs.FileHandle, buffers: readonly Uint8Array[], position: number): Promise<number> {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  let rest: readonly Uint8Array[] = buffers;
  let done = 0;
  while (done < total) {
    const { bytesWritten } =
      rest.length === 1
        ? await handle.write(rest[0]!, 0, rest[0]!.length, position + done)
        : await handle.writev(rest, position + done);
    // A short write is legal (a signal, a nearly full disk); the next attempt goes on or brings the error.
    if (bytesWritten === 0) throw Object.assign(new Error('the write made no progress'), { code: 'EIO' });
    done += bytesWritten;
    if (done < total) rest = skip(rest, bytesWritten);
  }
  return total;
}

/** The buffers without their first `bytes` bytes. */
function skip(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let index = 0;
  let left = bytes;
  while (left >= buffers[index]!.length) left -= buffers[index++]!.length;
  return [buffers[index]!.subarray(left), ...buffers.slice(index + 1)];
}
