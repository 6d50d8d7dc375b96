import { assert } from '../../lib/assert.ts';
import type { Disk, DiskFile } from '../../ports/disk.ts';

/** Bytes of one chunk: large enough to make lookups rare, small enough that a short topic costs little. */
const LARGEST_CHUNK = 1 << 20;
const SMALLEST_CHUNK = 1 << 12;

/** Files that live in memory and end with the process (`--in-memory`). Nothing touches the real file system. */
export class MemoryDisk implements Disk {
  readonly #files = new Map<string, ChunkedBytes>();
  readonly #directories = new Set<string>();

  async open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile> {
    const name = normal(path);
    let bytes = this.#files.get(name);
    if (mode === 'create' || (mode === 'append' && !bytes)) {
      bytes = new ChunkedBytes();
      this.#files.set(name, bytes);
    }
    if (!bytes) throw missing(path);
    return new MemoryFile(bytes, mode !== 'read');
  }

  async readFile(path: string): Promise<Buffer> {
    const bytes = this.#files.get(normal(path));
    if (!bytes) throw missing(path);
    const all = Buffer.allocUnsafe(bytes.size);
    bytes.read(all, 0);
    return all;
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    const bytes = new ChunkedBytes();
    bytes.append(content);
    this.#files.set(normal(path), bytes);
  }

  async exists(path: string): Promise<boolean> {
    const name = normal(path);
    return this.#files.has(name) || this.#directories.has(name) || (await this.list(path)).length > 0;
  }

  async list(path: string): Promise<string[]> {
    const prefix = normal(path) === '' ? '' : `${normal(path)}/`;
    const names = new Set<string>();
    for (const known of [this.#files.keys(), this.#directories.keys()]) {
      for (const name of known) {
        if (name.startsWith(prefix) && name.length > prefix.length) {
          names.add(name.slice(prefix.length).split('/', 1)[0]!);
        }
      }
    }
    return [...names].sort();
  }

  async makeDirectory(path: string): Promise<void> {
    this.#directories.add(normal(path));
  }

  async remove(path: string): Promise<void> {
    const name = normal(path);
    for (const known of [this.#files, this.#directories]) {
      for (const entry of [...known.keys()]) {
        if (entry === name || entry.startsWith(`${name}/`)) known.delete(entry);
      }
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [normal(from), normal(to)];
    let found = false;
    const move = (name: string) => `${target}${name.slice(source.length)}`;
    const within = (name: string) => name === source || name.startsWith(`${source}/`);
    for (const [name, bytes] of [...this.#files]) {
      if (!within(name)) continue;
      found = true;
      this.#files.delete(name);
      this.#files.set(move(name), bytes);
    }
    for (const name of [...this.#directories]) {
      if (!within(name)) continue;
      found = true;
      this.#directories.delete(name);
      this.#directories.add(move(name));
    }
    if (!found) throw missing(from);
  }

  async syncDirectory(): Promise<void> {}
}

class MemoryFile implements DiskFile {
  readonly #bytes: ChunkedBytes;
  readonly #writable: boolean;
  #open = true;

  constructor(bytes: ChunkedBytes, writable: boolean) {
    this.#bytes = bytes;
    this.#writable = writable;
  }

  get size(): number {
    return this.#bytes.size;
  }

  async append(buffers: readonly Uint8Array[]): Promise<void> {
    this.#check(true);
    for (const buffer of buffers) this.#bytes.append(buffer);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check(false);
    return this.#bytes.read(into, position);
  }

  async sync(): Promise<void> {
    this.#check(false);
  }

  async truncate(size: number): Promise<void> {
    this.#check(true);
    this.#bytes.truncate(size);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #check(writing: boolean): void {
    assert(this.#open, 'the file is closed');
    if (writing && !this.#writable)
      throw Object.assign(new Error('EBADF: the file is open for reading'), { code: 'EBADF' });
  }
}

/** Growing bytes as a list of chunks: appending never moves what is there. */
class ChunkedBytes {
  readonly #chunks: Buffer[] = [];
  /** Position of each chunk's first byte. */
  readonly #starts: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  append(data: Uint8Array): void {
    let from = 0;
    while (from < data.length) {
      const last = this.#chunks.length - 1;
      const used = last < 0 ? 0 : this.#size - this.#starts[last]!;
      const room = last < 0 ? 0 : this.#chunks[last]!.length - used;
      if (room === 0) {
        this.#chunks.push(Buffer.allocUnsafeSlow(Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, this.#size))));
        this.#starts.push(this.#size);
        continue;
      }
      const part = Math.min(room, data.length - from);
      this.#chunks[last]!.set(data.subarray(from, from + part), used);
      from += part;
      this.#size += part;
    }
  }

  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.#size, position + into.length);
    if (position >= end) return 0;
    let low = 0;
    for (let high = this.#starts.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    let at = position;
    for (let index = low; at < end; index++) {
      const within = at - this.#starts[index]!;
      const part = Math.min(end - at, this.#chunks[index]!.length - within);
      into.set(this.#chunks[index]!.subarray(within, within + part), at - position);
      at += part;
    }
    return end - position;
  }

  /** Shrinks, or grows with zeros. */
  truncate(size: number): void {
    if (size > this.#size) this.append(new Uint8Array(size - this.#size));
    while (this.#chunks.length > 0 && this.#starts.at(-1)! >= size) {
      this.#chunks.pop();
      this.#starts.pop();
    }
    this.#size = size;
  }
}

function normal(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file: ${path}`), { code: 'ENOENT' });
}
