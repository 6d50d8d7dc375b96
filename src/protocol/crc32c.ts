import { createRequire } from 'node:module';

/**
 * CRC-32C (Castagnoli), the checksum of record batches. The native module does 5.9 GB/s but costs a call; below
 * NATIVE_LEAST bytes, and where it does not load, tables (slicing by 8, about 0.9 GB/s) do it.
 */
export const crc32c = (bytes: Uint8Array, start = 0, end = bytes.length): number => {
  if (native !== null && end - start >= NATIVE_LEAST) {
    return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)) >>> 0;
  }
  return crc32cByTable(bytes, start, end);
};

const NATIVE_LEAST = 200;

const native: ((bytes: Uint8Array, before?: number) => number) | null = loadNative();

/** Of the bytes of all of them, one after the other. */
export function crc32cOfParts(parts: readonly Uint8Array[]): number {
  let crc = 0;
  for (const part of parts) crc = native === null ? crc32cByTable(part, 0, part.length, crc) : native(part, crc) >>> 0;
  return crc;
}

/** For the startup line: which one is at work. */
export const crc32cImplementation: 'native' | 'table' = native === null ? 'table' : 'native';

function loadNative(): ((bytes: Uint8Array, before?: number) => number) | null {
  try {
    const { crc32c } = createRequire(import.meta.url)('@node-rs/crc32') as {
      crc32c(bytes: Uint8Array, before?: number): number;
    };
    // "123456789" has a known check value; a module that disagrees is not used.
    return crc32c(Buffer.from('123456789')) === 0xe3069283 ? (bytes, before) => crc32c(bytes, before) : null;
  } catch {
    return null;
  }
}

const POLYNOMIAL = 0x82f63b78;
/** Eight tables of 256: T[k][b] at k × 256 + b. */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256];
    tables[i] = (before >>> 8) ^ tables[before & 255];
  }
  return tables;
}

/** `before` is the checksum of the bytes that come before these. */
export function crc32cByTable(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  const t = TABLES;
  let crc = ~before;
  let i = start;
  for (const last = end - 7; i < last; i += 8) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc =
      t[1792 + (crc & 255)] ^
      t[1536 + ((crc >>> 8) & 255)] ^
      t[1280 + ((crc >>> 16) & 255)] ^
      t[1024 + (crc >>> 24)] ^
      t[768 + bytes[i + 4]] ^
      t[512 + bytes[i + 5]] ^
      t[256 + bytes[i + 6]] ^
      t[bytes[i + 7]];
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ t[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}
