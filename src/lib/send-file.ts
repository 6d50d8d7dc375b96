import { createRequire } from 'node:module';

/**
 * `sendfile(2)` by way of koffi, which comes with prebuilt binaries. Loaded when it is first needed; where it is missing nothing is
 * ever sent, and callers write the bytes themselves.
 */

/** A file is looked at in steps of the kernel's readahead. */
const STEP_BYTES = 128 << 10;
/** Of preadv2: fail rather than wait for the disk. */
const RWF_NOWAIT = 8;

/** What is used of koffi: it is optional, and so are its types. */
interface Koffi {
  load(path: null): { func(prototype: string): (...args: unknown[]) => unknown };
  alloc(type: string, count: number): unknown;
  address(pointer: unknown): bigint;
  encode(pointer: unknown, offset: number, type: string, value: number | bigint): void;
}

interface Kernel {
  sendfile(out: number, from: number, offset: [number], bytes: number): number;
  /** Whether the byte is in the page cache. */
  isCached(fd: number, position: number): boolean;
}

let kernel: Kernel | null | undefined;

/** Whether files can go to sockets here. */
export const sendsFiles = (): boolean => process.platform === 'linux' && process.arch !== 'ia32' && kernel !== null;

/**
 * Sends what the socket takes at once of a range of a file and returns how many bytes that was: none when the range is not in
 * the page cache, for the disk would hold up the event loop. Nothing written to the socket before may be waiting in this process.
 */
export function sendFile(socketFd: number, fileFd: number, position: number, length: number): number {
  kernel ??= sendsFiles() ? load() : null;
  if (kernel === null) return 0;
  const last = position + length - 1;
  for (let at = position; at < last; at += STEP_BYTES) if (!kernel.isCached(fileFd, at)) return 0;
  if (!kernel.isCached(fileFd, last)) return 0;
  let sent = 0;
  while (sent < length) {
    const bytes = Number(kernel.sendfile(socketFd, fileFd, [position + sent], length - sent));
    // A full socket, or a broken one: whoever writes the rest is told which.
    if (bytes <= 0) break;
    sent += bytes;
  }
  return sent;
}

function load(): Kernel | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const libc = koffi.load(null);
    const sendfile = libc.func('int64 sendfile(int out, int from, _Inout_ int64 *offset, size_t bytes)');
    const preadv2 = libc.func('int64 preadv2(int fd, void *parts, int count, int64 offset, int flags)');
    // struct iovec of one part of one byte.
    const byte = koffi.alloc('uint8', 1);
    const part = koffi.alloc('size_t', 2);
    koffi.encode(part, 0, 'size_t', koffi.address(byte));
    koffi.encode(part, 8, 'size_t', 1);
    return {
      sendfile: (out, from, offset, bytes) => sendfile(out, from, offset, bytes) as number,
      isCached: (fd, position) => Number(preadv2(fd, part, 1, position, RWF_NOWAIT)) === 1,
    };
  } catch {
    return null;
  }
}
