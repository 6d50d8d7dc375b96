import { dirname } from 'node:path/posix';
import type { DiskFile, DurableDisk, DurableFile } from '../../src/ports/disk.ts';

/** What happened to a file's content since it was last synced, in order. */
type Change =
  | { readonly kind: 'write'; readonly at: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly size: number };

type Operation = 'append' | 'sync' | 'truncate' | 'read' | 'other';

/** One file's content: what a power loss leaves for sure, and what came after. */
class Inode {
  durable: Buffer;
  live: Buffer;
  changes: Change[] = [];
  /** Changes ever made, and how many of those are durable: syncs may overlap and end in any order. */
  made = 0;
  synced = 0;
  /** Ranges that are readable but not on the disk, and that no sync puts there. */
  dropped: { readonly from: number; readonly to: number }[] = [];

  constructor(content: Buffer) {
    this.durable = content;
    this.live = content;
  }

  change(change: Change): void {
    this.changes.push(change);
    this.made++;
    if (this.dropped.length > 0) this.dropped = this.dropped.flatMap((range) => outside(range, change));
  }

  /** As a kernel does whose write-back failed: what was to be synced stays readable, counts as clean, and is never written. */
  drop(made: number): void {
    if (made <= this.synced) return;
    for (const change of this.changes.splice(0, made - this.synced)) {
      if (change.kind === 'write') this.dropped.push({ from: change.at, to: change.at + change.data.length });
      else this.durable = resized(this.durable, change.size);
    }
    this.synced = made;
  }

  becomesDurable(content: Buffer, made: number): void {
    if (made <= this.synced) return;
    const before = this.durable;
    this.durable = this.dropped.length === 0 ? content : Buffer.from(content);
    for (const { from, to } of this.dropped) {
      for (let at = from; at < Math.min(to, content.length); at++) this.durable[at] = before[at] ?? 0;
    }
    this.changes.splice(0, made - this.synced);
    this.synced = made;
  }
}

/** What a disk writes at once: a page of the cache. Pieces of one append arrive or get lost by these. */
const SECTOR_BYTES = 4096;

/**
 * A simulated disk for tests. Every choice comes from the seed. Until `sync`, appended bytes may be lost, torn at any
 * byte or sector or reordered (a hole of zeros before data that did arrive) at a `crash`;
 * until `syncDirectory`, so may a creation, removal or rename.
 */
export class FaultDisk implements DurableDisk {
  /** Bytes that all files together may hold; an append beyond writes what fits and fails with ENOSPC. */
  spaceBytes = Number.POSITIVE_INFINITY;
  /** Fails the operation with this error code while it answers one. */
  fault: (operation: Exclude<Operation, 'other'>, path: string) => 'EIO' | 'ENOSPC' | undefined = () => undefined;
  /** Whether holes that a crash leaves may hold what lay there before, instead of zeros. */
  garbage = false;
  /** Whether a failed sync drops what it was to write, as Linux does, instead of trying again with the next. */
  dropsAtFailedSync = false;
  /** How long an operation takes, when a simulator keeps the time; else a few turns of the event loop. */
  pace: ((operation: Operation) => Promise<void>) | undefined;
  readonly #random: () => number;
  readonly #entries: Map<string, Inode>;
  #durableEntries: Map<string, Inode>;
  #crashed = false;

  constructor(
    seed: number | (() => number),
    entries: Map<string, Inode> = new Map(),
    durableEntries: Map<string, Inode> = entries,
  ) {
    this.#random = typeof seed === 'number' ? seededRandom(seed) : seed;
    this.#entries = new Map(entries);
    this.#durableEntries = new Map(durableEntries);
  }

  /** The process ends now, the machine goes on: the result holds all that was written, but what was not synced is no safer than before. */
  kill(): FaultDisk {
    this.#crashed = true;
    return new FaultDisk(this.#random, this.#entries, this.#durableEntries);
  }

  /** Power is lost now: every later operation on this object fails; the result is what the machine finds when it starts again. */
  crash(): FaultDisk {
    this.#crashed = true;
    const survivors = new Map<string, Inode>();
    const names = new Set([...this.#entries.keys(), ...this.#durableEntries.keys()]);
    const outcomes = new Map<Inode, Inode>();
    for (const name of [...names].sort()) {
      const now = this.#entries.get(name);
      const safe = this.#durableEntries.get(name);
      const kept = now === safe || this.#random() < 0.5 ? now : safe;
      if (!kept) continue;
      let outcome = outcomes.get(kept);
      if (!outcome) {
        outcome = new Inode(this.#afterCrash(kept));
        outcomes.set(kept, outcome);
      }
      survivors.set(name, outcome);
    }
    return new FaultDisk(this.#random, survivors);
  }

  /** Changes stored bytes in place, as decay would. */
  corrupt(path: string, position: number, change: (byte: number) => number): void {
    const inode = this.#entries.get(normal(path))!;
    const copy = Buffer.from(inode.live);
    copy[position] = change(copy[position]!);
    inode.live = copy;
    inode.becomesDurable(copy, inode.made);
    inode.durable = copy;
  }

  get usedBytes(): number {
    let total = 0;
    for (const inode of new Set(this.#entries.values())) total += inode.live.length;
    return total;
  }

  async open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile> {
    await this.#turn();
    let inode = this.#entries.get(normal(path));
    if (mode === 'create' || (mode === 'append' && !inode)) {
      inode = new Inode(Buffer.alloc(0));
      this.#entries.set(normal(path), inode);
    }
    if (!inode) throw failure('ENOENT', path);
    return new FaultFile(this, path, inode);
  }

  async openDurable(path: string): Promise<DurableFile> {
    await this.#turn();
    let inode = this.#entries.get(normal(path));
    if (!inode) {
      inode = new Inode(Buffer.alloc(0));
      this.#entries.set(normal(path), inode);
    }
    const found = inode;
    return {
      overwrite: (buffers, position) => this.#overwrite(path, found, position, buffers),
      close: async () => {},
    };
  }

  async readFile(path: string): Promise<Buffer> {
    await this.#turn();
    const inode = this.#entries.get(normal(path));
    if (!inode) throw failure('ENOENT', path);
    return Buffer.from(inode.live);
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    await this.#turn('append');
    this.#fail('append', path);
    if (this.usedBytes + content.length > this.spaceBytes) throw failure('ENOSPC', path);
    await this.#turn('sync');
    this.#fail('sync', path);
    this.#entries.set(normal(path), new Inode(Buffer.from(content)));
    await this.#turn();
    this.#syncEntries(dirname(normal(path)));
  }

  async exists(path: string): Promise<boolean> {
    return this.#entries.has(normal(path)) || (await this.list(path)).length > 0;
  }

  async list(path: string): Promise<string[]> {
    await this.#turn();
    const prefix = normal(path) === '' ? '' : `${normal(path)}/`;
    const names = new Set<string>();
    for (const name of this.#entries.keys()) {
      if (name.startsWith(prefix)) names.add(name.slice(prefix.length).split('/', 1)[0]!);
    }
    return [...names].sort();
  }

  /** Directories exist as soon as a file is in them. */
  async makeDirectory(): Promise<void> {
    await this.#turn();
  }

  async remove(path: string): Promise<void> {
    await this.#turn();
    const name = normal(path);
    for (const entry of [...this.#entries.keys()]) {
      if (entry === name || entry.startsWith(`${name}/`)) this.#entries.delete(entry);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#turn();
    const [source, target] = [normal(from), normal(to)];
    const moved = [...this.#entries].filter(([name]) => name === source || name.startsWith(`${source}/`));
    if (moved.length === 0) throw failure('ENOENT', from);
    for (const [name, inode] of moved) {
      this.#entries.delete(name);
      this.#entries.set(`${target}${name.slice(source.length)}`, inode);
    }
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#turn('sync');
    this.#fail('sync', path);
    this.#syncEntries(normal(path));
  }

  /** @internal for the files of this disk */
  async append(path: string, inode: Inode, at: number, buffers: readonly Uint8Array[]): Promise<void> {
    await this.#turn('append');
    this.#fail('append', path);
    const data = Buffer.concat(buffers);
    const room = this.spaceBytes === Number.POSITIVE_INFINITY ? data.length : this.spaceBytes - this.usedBytes;
    const fitting = data.subarray(0, Math.max(0, Math.min(data.length, room)));
    if (fitting.length > 0) {
      inode.live = Buffer.concat([inode.live.subarray(0, at), fitting]);
      this.#changedInPieces(inode, at, fitting);
    }
    if (fitting.length < data.length) throw failure('ENOSPC', path);
  }

  async #overwrite(path: string, inode: Inode, at: number, buffers: readonly Uint8Array[]): Promise<void> {
    await this.#turn('append');
    this.#fail('append', path);
    const data = Buffer.concat(buffers);
    const growth = Math.max(0, at + data.length - inode.live.length);
    const room = Math.max(0, this.spaceBytes - this.usedBytes);
    const fitting = growth > room ? data.subarray(0, data.length - (growth - room)) : data;
    const grown = Buffer.from(resized(inode.live, Math.max(inode.live.length, at + fitting.length)));
    fitting.copy(grown, at);
    inode.live = grown;
    this.#changedInPieces(inode, at, fitting);
    if (fitting.length < data.length) throw failure('ENOSPC', path);
    await this.sync(path, inode);
  }

  /** The kernel may write a long piece out as several, each of which can be lost alone. */
  #changedInPieces(inode: Inode, at: number, data: Buffer): void {
    for (let from = 0; from < data.length; ) {
      const style = this.#random();
      const toSector = SECTOR_BYTES - ((at + from) % SECTOR_BYTES);
      const part = Math.min(
        data.length - from,
        style < 0.5 ? data.length : style < 0.75 ? toSector : 1 + Math.floor(this.#random() * data.length),
      );
      inode.change({ kind: 'write', at: at + from, data: data.subarray(from, from + part) });
      from += part;
    }
  }

  /** @internal */
  async read(path: string, inode: Inode, into: Uint8Array, position: number): Promise<number> {
    await this.#turn('read');
    this.#fail('read', path);
    return position >= inode.live.length ? 0 : inode.live.copy(into, 0, position, position + into.length);
  }

  /** @internal */
  async sync(path: string, inode: Inode): Promise<void> {
    const [content, made] = [inode.live, inode.made];
    await this.#turn('sync');
    if (this.dropsAtFailedSync && this.fault('sync', path) !== undefined) {
      inode.drop(made);
      throw failure('EIO', path);
    }
    if (!this.dropsAtFailedSync) this.#fail('sync', path);
    inode.becomesDurable(content, made);
  }

  /** @internal */
  async truncate(path: string, inode: Inode, size: number): Promise<void> {
    await this.#turn('truncate');
    this.#fail('truncate', path);
    inode.live = resized(inode.live, size);
    inode.change({ kind: 'truncate', size });
  }

  #afterCrash(inode: Inode): Buffer {
    const style = this.#random();
    let content = inode.durable;
    // All, none, a torn prefix, or an arbitrary subset with a torn end.
    const keep =
      style < 0.2 ? inode.changes.length : style < 0.4 ? -1 : Math.floor(this.#random() * (inode.changes.length + 1));
    for (const [index, change] of inode.changes.entries()) {
      const torn = index === keep;
      const late = index > keep && style > 0.7 && this.#random() < 0.5;
      if (index > keep && !late) continue;
      if (change.kind === 'truncate') {
        if (!torn) content = resized(content, change.size);
        continue;
      }
      const data = torn ? change.data.subarray(0, Math.floor(this.#random() * (change.data.length + 1))) : change.data;
      const hole = content.length;
      content = Buffer.from(resized(content, Math.max(content.length, change.at + data.length)));
      if (this.garbage && change.at > hole && this.#random() < 0.5) {
        for (let at = hole; at < change.at; at++) content[at] = Math.floor(this.#random() * 256);
      }
      data.copy(content, change.at);
    }
    return content;
  }

  #syncEntries(directory: string): void {
    const prefix = directory === '' || directory === '.' ? '' : `${directory}/`;
    const inDirectory = (name: string) => name.startsWith(prefix);
    for (const name of [...this.#durableEntries.keys()]) {
      if (inDirectory(name) && !this.#entries.has(name)) this.#durableEntries.delete(name);
    }
    for (const [name, inode] of this.#entries) if (inDirectory(name)) this.#durableEntries.set(name, inode);
  }

  #fail(operation: Exclude<Operation, 'other'>, path: string): void {
    const code = this.fault(operation, path);
    if (code) throw failure(code, path);
  }

  /** Lets other work run in between, a different number of turns each time, so that seeds explore orders. */
  async #turn(operation: Operation = 'other'): Promise<void> {
    if (this.pace) {
      await this.pace(operation);
      if (this.#crashed) throw failure('EIO', 'the simulated machine has lost power');
      return;
    }
    for (let turns = Math.floor(this.#random() * 3); turns >= 0; turns--) await Promise.resolve();
    if (this.#random() < 0.2) await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#crashed) throw failure('EIO', 'the simulated machine has lost power');
  }
}

class FaultFile implements DiskFile {
  readonly #disk: FaultDisk;
  readonly #path: string;
  readonly #inode: Inode;
  #size: number;

  constructor(disk: FaultDisk, path: string, inode: Inode) {
    this.#disk = disk;
    this.#path = path;
    this.#inode = inode;
    this.#size = inode.live.length;
  }

  get size(): number {
    return this.#size;
  }

  async append(buffers: readonly Uint8Array[]): Promise<void> {
    await this.#disk.append(this.#path, this.#inode, this.#size, buffers);
    for (const buffer of buffers) this.#size += buffer.length;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#disk.read(this.#path, this.#inode, into, position);
  }

  sync(): Promise<void> {
    return this.#disk.sync(this.#path, this.#inode);
  }

  async truncate(size: number): Promise<void> {
    await this.#disk.truncate(this.#path, this.#inode, size);
    this.#size = size;
  }

  async close(): Promise<void> {}
}

/** Mulberry32: small, fast, good enough to explore schedules. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** What is left of a range that a write goes over or a truncation cuts. */
function outside({ from, to }: { from: number; to: number }, change: Change): { from: number; to: number }[] {
  const [start, end] = change.kind === 'write' ? [change.at, change.at + change.data.length] : [change.size, to];
  const left = { from, to: Math.min(to, start) };
  const right = { from: Math.max(from, end), to };
  return [left, right].filter((range) => range.from < range.to);
}

function resized(content: Buffer, size: number): Buffer {
  return size <= content.length
    ? content.subarray(0, size)
    : Buffer.concat([content, Buffer.alloc(size - content.length)]);
}

function normal(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
