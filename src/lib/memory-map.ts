import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * Files as memory, by mmap(2) through koffi, which comes with prebuilt binaries. Linux only; loaded when it is first asked for. A buffer over a mapping does
 * not keep it: whoever maps must unmap after the last buffer is gone, not before, for an access to what is not mapped ends the process.
 */

export interface MappedRange {
  /** Addresses have 48 bits, so a number holds them. */
  readonly address: number;
  /** A multiple of UNIT_BYTES. */
  readonly bytes: number;
}

/** Whole pages, of whatever size the kernel has them. */
export const UNIT_BYTES = 64 << 10;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MADV_DONTNEED = 4;
/** Pages of /proc/self/pagemap that one read looks at, and how many reads there are at most. */
const SAMPLED_PAGES = 512;
const MOST_SAMPLES = 256;
const PAGEMAP_ENTRY = 8;

/** What is used of koffi: it is optional, and so are its types. */
interface Koffi {
  load(path: null): { func(prototype: string): (...args: unknown[]) => unknown };
  address(pointer: unknown): bigint;
  view(address: unknown, bytes: number): ArrayBuffer;
  errno(): number;
  os: { errno: Record<string, number> };
}

interface Calls {
  readonly koffi: Koffi;
  mmap(address: number, bytes: number, protection: number, flags: number, fd: number, offset: number): unknown;
  munmap(address: number, bytes: number): number;
  madvise(address: number, bytes: number, advice: number): number;
  posixFallocate(fd: number, offset: number, bytes: number): number;
  readonly pageBytes: number;
}

let calls: Calls | null | undefined;

/** Whether files can be mapped here. */
export function mapsFiles(): boolean {
  if (calls === undefined) {
    const isKnown = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');
    calls = isKnown ? load() : null;
  }
  return calls !== null;
}

/** The first `bytes` of the file, whose blocks `reserve` has set aside. */
export function mapFile(fd: number, bytes: number): { readonly range: MappedRange; readonly buffer: ArrayBuffer } {
  const { koffi, mmap } = loaded();
  const pointer = mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  const address = Number(koffi.address(pointer));
  // MAP_FAILED is −1, which is no address.
  if (address >= 2 ** 48) throw failure('mmap', koffi.errno());
  return { range: { address, bytes }, buffer: koffi.view(pointer, bytes) };
}

/** Makes the file longer and sets blocks of the disk aside: what is written through a mapping must find room, for without it the kernel ends the process. */
export function reserve(fd: number, from: number, bytes: number): void {
  const error = loaded().posixFallocate(fd, from, bytes);
  if (error !== 0) throw failure('fallocate', error);
}

/** Takes the pages out of the process's memory; the file has them, and who touches one gets it back. */
export function pageOut({ address }: MappedRange, from: number, bytes: number): void {
  loaded().madvise(address + from, bytes, MADV_DONTNEED);
}

/** Lets go of the file. The range may still be read, and is empty. */
export function blank({ address, bytes }: MappedRange): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  loaded().mmap(address, bytes, PROT_READ_WRITE, flags, -1, 0);
}

export function unmap({ address, bytes }: MappedRange): void {
  loaded().munmap(address, bytes);
}

/** About how many bytes of the ranges are in the process's memory; all, where the kernel does not tell. */
export function residentBytes(ranges: readonly MappedRange[]): number {
  const { pageBytes } = loaded();
  const total = ranges.reduce((sum, { bytes }) => sum + bytes, 0);
  const windows = Math.ceil(total / pageBytes / SAMPLED_PAGES);
  const every = Math.max(1, Math.ceil(windows / MOST_SAMPLES));
  const entries = Buffer.allocUnsafe(SAMPLED_PAGES * PAGEMAP_ENTRY);
  let looked = 0;
  let present = 0;
  // Another part of each range with every call.
  phase = (phase + 1) % 1024;
  let turn = phase;
  let file: number;
  try {
    file = openSync('/proc/self/pagemap', 'r');
  } catch {
    return total;
  }
  try {
    for (const { address, bytes } of ranges) {
      const pages = bytes / pageBytes;
      for (let from = 0; from < pages; from += SAMPLED_PAGES) {
        if (turn++ % every !== 0) continue;
        const count = Math.min(SAMPLED_PAGES, pages - from);
        const position = (address / pageBytes + from) * PAGEMAP_ENTRY;
        const read = readSync(file, entries, 0, count * PAGEMAP_ENTRY, position) / PAGEMAP_ENTRY;
        looked += read;
        // The highest bit of an entry says that the page is present.
        for (let i = 0; i < read; i++) present += entries[i * PAGEMAP_ENTRY + PAGEMAP_ENTRY - 1] >>> 7;
      }
    }
  } catch {
    return total;
  } finally {
    closeSync(file);
  }
  return looked === 0 ? 0 : (present / looked) * total;
}

let phase = 0;

function loaded(): Calls {
  if (!mapsFiles()) throw failure('mmap', 0);
  return calls as Calls;
}

function failure(call: string, errno: number): Error {
  const names = calls?.koffi.os.errno ?? {};
  const code = Object.keys(names).find((name) => names[name] === errno) ?? `error ${errno}`;
  return Object.assign(new Error(`${code}: ${call}`), { code, syscall: call });
}

function load(): Calls | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const libc = koffi.load(null);
    const func = (prototype: string) => libc.func(prototype) as never;
    return {
      koffi,
      mmap: func('void *mmap(uintptr_t address, size_t bytes, int protection, int flags, int fd, int64 offset)'),
      munmap: func('int munmap(uintptr_t address, size_t bytes)'),
      madvise: func('int madvise(uintptr_t address, size_t bytes, int advice)'),
      posixFallocate: func('int posix_fallocate(int fd, int64 offset, int64 bytes)'),
      pageBytes: (libc.func('int getpagesize()') as () => number)(),
    };
  } catch {
    return null;
  }
}
