import { Decompress } from 'fzstd';
import { ProtocolError } from './protocol-error.ts';

/** Decoding of Zstandard frames (RFC 8878). */

const MAGIC = 0xfd2fb528;
/** Skippable frames have this magic with any last nibble. */
const SKIPPABLE = 0x184d2a5;
/** What every decoder should support (RFC 8878, 3.1.1.1.2). */
const COMMON_WINDOW_BYTES = 8 * 1024 * 1024;
/** The largest window that level 22 uses; the decoder allocates a frame's window before it reads a block. */
const MOST_WINDOW_BYTES = 128 * 1024 * 1024;

/** In blocks as they come (each at most 128 KiB), so that a bomb is noticed before its content is in memory. */
export function zstdDecode(bytes: Uint8Array, mostBytes: number): Buffer {
  checkFrames(bytes, Math.min(MOST_WINDOW_BYTES, Math.max(COMMON_WINDOW_BYTES, mostBytes)));
  const parts: Uint8Array[] = [];
  let length = 0;
  const stream = new Decompress((part) => {
    length += part.length;
    if (length > mostBytes) throw new ProtocolError(`a compressed batch holds more than ${mostBytes} bytes`);
    parts.push(part);
  });
  try {
    stream.push(bytes, true);
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    throw new ProtocolError(`malformed zstd data: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  return Buffer.concat(parts, length);
}

/** Walks headers only: every frame is whole, nothing follows the last, and no window is beyond the limit. */
function checkFrames(bytes: Uint8Array, mostWindowBytes: number): void {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let at = 0;
  const need = (count: number): void => {
    if (count > length - at) throw new ProtocolError('a zstd frame ends early');
  };
  do {
    need(5);
    const magic = view.getUint32(at, true);
    if (magic >>> 4 === SKIPPABLE) {
      need(8);
      const size = view.getUint32(at + 4, true);
      at += 8;
      need(size);
      at += size;
      continue;
    }
    if (magic !== MAGIC) throw new ProtocolError('not a zstd frame');
    const descriptor = bytes[at + 4];
    const single = (descriptor >> 5) & 1;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? single : 1 << sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
    at += 5;
    need(1 - single + dictionaryBytes + sizeBytes);
    let window = 0;
    if (single === 0) {
      window = 2 ** (10 + (bytes[at] >> 3));
      window += (window / 8) * (bytes[at] & 7);
      at++;
    }
    at += dictionaryBytes;
    if (single === 1) {
      if (sizeBytes === 8) window = view.getUint32(at + 4, true) * 4294967296 + view.getUint32(at, true);
      else if (sizeBytes === 4) window = view.getUint32(at, true);
      else window = sizeBytes === 2 ? view.getUint16(at, true) + 256 : bytes[at];
    }
    if (window > mostWindowBytes) throw new ProtocolError(`a zstd frame wants a window of ${window} bytes`);
    at += sizeBytes;
    for (let last = false; !last; ) {
      need(3);
      const header = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
      last = (header & 1) === 1;
      const type = (header >> 1) & 3;
      at += 3;
      const size = type === 1 ? 1 : header >> 3;
      need(size);
      at += size;
    }
    if ((descriptor & 4) !== 0) {
      need(4);
      at += 4;
    }
  } while (at < length);
}
