import { StreamError } from '../lib/errors.ts';
import { crc32c } from '../protocol/crc32c.ts';

/**
 * Small control files: one line `streamline-<kind> <version> <CRC-32C of the rest, hex>`, then the body. People can read
 * them; a torn, edited or foreign one is noticed.
 */
export function encodeChecked(kind: string, version: number, body: string): Buffer {
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from(`streamline-${kind} ${version} ${hex(crc32c(bytes))}\n`), bytes]);
}

/** The body; STORAGE_FAILED naming `path` when the file is not what encodeChecked wrote with this kind and version. */
export function decodeChecked(kind: string, version: number, content: Buffer, path: string): string {
  const end = content.indexOf(0x0a);
  const [name, stated, checksum] = end < 0 ? [] : content.toString('latin1', 0, end).split(' ');
  if (name !== `streamline-${kind}`) throw new StreamError('STORAGE_FAILED', `${path} is not a ${kind} file`);
  if (stated !== String(version)) {
    throw new StreamError(
      'STORAGE_FAILED',
      `${path} has format version ${stated}; this build reads version ${version}`,
    );
  }
  const body = content.subarray(end + 1);
  if (checksum !== hex(crc32c(body)))
    throw new StreamError('STORAGE_FAILED', `${path} is damaged: its checksum is wrong`);
  return body.toString();
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
