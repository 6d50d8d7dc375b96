import { decompress } from './compression.ts';
import { ProtocolError } from './protocol-error.ts';
import { ATTRIBUTE_LOG_APPEND_TIME, BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, readBatchHeader } from './record-batch.ts';

export interface CursorOptions {
  /** Bytes that the compressed batches of one chunk may inflate to, together. */
  readonly mostInflatedBytes?: number;
}

const MOST_INFLATED_BYTES = 256 * 1024 * 1024;

/** A batch's records as a range of `buffer`, or why they cannot be read. */
interface Section {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly baseTimestamp: number;
  /** −1: records have timestamps of their own. */
  readonly appendTimestamp: number;
  readonly recordCount: number;
  start: number;
  end: number;
  readonly inflated: Buffer | null;
  readonly error: string | null;
}

/**
 * Walks the records of whole batches that stand back to back. `next()` moves to the next record and fills the fields, without
 * allocating; all positions refer to one `buffer`: the chunk itself, or, when some batch is compressed, one that
 * holds the records of all. Control batches are skipped; a partial batch at the end is left out, as a broker may cut
 * there. A malformed batch throws a ProtocolError that names it; `next()` may be called again and goes on after it.
 */
export class RecordCursor {
  readonly buffer: Buffer;
  offset = -1;
  timestampMs = -1;
  keyStart = 0;
  /** −1: the key is null. */
  keyEnd = -1;
  valueStart = 0;
  /** −1: the value is null. */
  valueEnd = -1;
  /** Where the first header begins; see `headers()`. */
  headersStart = 0;
  headerCount = 0;
  /** After the last `next()`: the first offset after all whole batches of the chunk, control batches included. */
  readonly endOffset: number;
  /** Bytes of the chunk that whole batches fill. */
  readonly wholeBytes: number;
  /** First offset of the batch that the last ProtocolError was about; its records are not read. */
  failedBaseOffset = -1;
  failedLastOffset = -1;

  readonly #sections: Section[];
  #section = -1;
  #position = 0;
  #sectionEnd = 0;
  #left = 0;
  #baseOffset = 0;
  /** Offsets grow within a batch: the next record's may be from here to the batch's last. */
  #leastOffset = 0;
  #lastOffset = 0;
  #baseTimestamp = 0;
  #appendTimestamp = -1;
  /** Where the last varint ended. */
  #at = 0;

  constructor(chunk: Uint8Array, options: CursorOptions = {}) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let budget = options.mostInflatedBytes ?? MOST_INFLATED_BYTES;
    const sections: Section[] = [];
    let inflatedAny = false;
    let endOffset = -1;
    let position = 0;
    while (bytes.length - position >= BATCH_PREFIX_BYTES) {
      const sizeBytes = bytes.readInt32BE(position + 8) + BATCH_PREFIX_BYTES;
      if (sizeBytes < BATCH_HEADER_BYTES) {
        sections.push(failed(bytes, position, `a record batch of ${sizeBytes} bytes`));
        position = bytes.length;
        break;
      }
      if (sizeBytes > bytes.length - position) break;
      const section = openSection(bytes, position, sizeBytes, budget);
      position += sizeBytes;
      endOffset = section.lastOffset + 1;
      if (section.recordCount === 0 && section.error === null) continue;
      if (section.inflated !== null) {
        inflatedAny = true;
        budget -= section.inflated.length;
      }
      sections.push(section);
    }
    this.endOffset = endOffset;
    this.wholeBytes = position;
    this.#sections = sections;
    this.buffer = inflatedAny ? gather(bytes, sections) : bytes;
  }

  /** False at the end. Throws ProtocolError for a malformed batch, once. */
  next(): boolean {
    while (this.#left === 0) {
      if (this.#section >= 0 && this.#position !== this.#sectionEnd) this.#fail('bytes after its last record');
      if (!this.#openNext()) return false;
    }
    this.#left--;
    const size = this.#varint(this.#position);
    const start = this.#at;
    const end = start + size;
    if (size < 0 || end > this.#sectionEnd) this.#fail('a record passes the end of its batch');
    this.#at = start + 1;
    const timestampDelta = this.#varlong(start + 1);
    const offset = this.#baseOffset + this.#varint(this.#at);
    if (offset < this.#leastOffset || offset > this.#lastOffset) this.#fail(`a record at offset ${offset}`);
    this.#leastOffset = offset + 1;
    this.offset = offset;
    const timestampMs = this.#appendTimestamp >= 0 ? this.#appendTimestamp : this.#baseTimestamp + timestampDelta;
    if (!Number.isSafeInteger(timestampMs)) this.#fail('a timestamp beyond 2^53');
    this.timestampMs = timestampMs;
    const keyLength = this.#varint(this.#at);
    this.keyStart = this.#at;
    if (keyLength >= 0) {
      this.#at += keyLength;
      this.keyEnd = this.#at;
    } else this.keyEnd = -1;
    const valueLength = this.#varint(this.#at);
    this.valueStart = this.#at;
    if (valueLength >= 0) {
      this.#at += valueLength;
      this.valueEnd = this.#at;
    } else this.valueEnd = -1;
    this.headerCount = this.#varint(this.#at);
    this.headersStart = this.#at;
    if (this.headerCount !== 0) this.#skipHeaders(end);
    // Each part moved forward only, so one comparison shows that none passed the end.
    if (this.#at !== end || keyLength < -1 || valueLength < -1) this.#fail('a record does not fill its size');
    this.#position = end;
    return true;
  }

  /** The record's headers; names as UTF-8, values as views. */
  headers(): [name: string, value: Buffer | null][] {
    const out: [string, Buffer | null][] = [];
    this.#at = this.headersStart;
    for (let i = 0; i < this.headerCount; i++) {
      const nameLength = this.#varint(this.#at);
      const nameStart = this.#at;
      this.#at += nameLength;
      const name = this.buffer.utf8Slice(nameStart, this.#at);
      const length = this.#varint(this.#at);
      const valueStart = this.#at;
      if (length >= 0) this.#at += length;
      out.push([name, length < 0 ? null : this.buffer.subarray(valueStart, this.#at)]);
    }
    return out;
  }

  key(): Buffer | null {
    return this.keyEnd < 0 ? null : this.buffer.subarray(this.keyStart, this.keyEnd);
  }

  value(): Buffer | null {
    return this.valueEnd < 0 ? null : this.buffer.subarray(this.valueStart, this.valueEnd);
  }

  #skipHeaders(end: number): void {
    if (this.headerCount < 0 || this.headerCount > (end - this.#at) / 2) this.#fail('a wrong count of headers');
    for (let i = 0; i < this.headerCount; i++) {
      const nameLength = this.#varint(this.#at);
      if (nameLength < 0 || nameLength > end - this.#at) this.#fail('a header passes the end of its record');
      this.#at += nameLength;
      const length = this.#varint(this.#at);
      if (length < -1 || length > end - this.#at) this.#fail('a header passes the end of its record');
      if (length > 0) this.#at += length;
    }
  }

  #openNext(): boolean {
    const index = ++this.#section;
    if (index >= this.#sections.length) {
      this.#section = this.#sections.length;
      this.#position = this.#sectionEnd;
      return false;
    }
    const section = this.#sections[index];
    this.#left = section.recordCount;
    this.#position = section.start;
    this.#sectionEnd = section.end;
    this.#baseOffset = section.baseOffset;
    this.#leastOffset = section.baseOffset;
    this.#lastOffset = section.lastOffset;
    this.#baseTimestamp = section.baseTimestamp;
    this.#appendTimestamp = section.appendTimestamp;
    if (section.error !== null) this.#fail(section.error);
    return true;
  }

  #fail(reason: string): never {
    const section = this.#sections[this.#section];
    this.#left = 0;
    this.#position = this.#sectionEnd;
    this.failedBaseOffset = section.baseOffset;
    this.failedLastOffset = section.lastOffset;
    throw new ProtocolError(`record batch at offset ${section.baseOffset}: ${reason}`);
  }

  /** Zig-zag, at most 32 bits. Reading past the buffer gives undefined bytes, which end the number as zeros. */
  #varint(at: number): number {
    const first = this.buffer[at];
    if (first < 128) {
      this.#at = at + 1;
      return (first >>> 1) ^ -(first & 1);
    }
    const second = this.buffer[at + 1];
    if (second < 128 && at + 1 < this.#sectionEnd) {
      this.#at = at + 2;
      const value = (first & 127) | (second << 7);
      return (value >>> 1) ^ -(value & 1);
    }
    return this.#longVarint(at);
  }

  #longVarint(at: number): number {
    const { buffer } = this;
    let value = 0;
    let i = at;
    for (let shift = 0; shift < 35; shift += 7) {
      if (i >= this.#sectionEnd) this.#fail('a varint passes the end of its batch');
      const byte = buffer[i++];
      if (shift === 28 && byte > 15) break;
      value |= (byte & 127) << shift;
      if (byte < 128) {
        this.#at = i;
        return (value >>> 1) ^ -(value & 1);
      }
    }
    this.#fail('a varint longer than 32 bits');
  }

  /** Zig-zag, at most 64 bits; beyond 2^53 is malformed. */
  #varlong(at: number): number {
    const { buffer } = this;
    let i = at;
    const first = buffer[i];
    if (first < 128) {
      this.#at = i + 1;
      return (first >>> 1) ^ -(first & 1);
    }
    let value = 0;
    for (let scale = 1, count = 0; count < 10; count++, scale *= 128) {
      if (i >= this.#sectionEnd) this.#fail('a varint passes the end of its batch');
      const byte = buffer[i++];
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) this.#fail('a timestamp beyond 2^53');
        this.#at = i;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
    }
    this.#fail('a varint longer than 64 bits');
  }
}

function openSection(bytes: Buffer, position: number, sizeBytes: number, budget: number): Section {
  const end = position + sizeBytes;
  try {
    const header = readBatchHeader(bytes.subarray(position, end), 0);
    if (header.magic !== 2) return failed(bytes, position, `magic ${header.magic}`);
    const recordsStart = position + BATCH_HEADER_BYTES;
    const common = {
      baseOffset: header.baseOffset,
      lastOffset: header.lastOffset,
      baseTimestamp: header.baseTimestamp,
      appendTimestamp: (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0 ? header.maxTimestamp : -1,
      start: recordsStart,
      end,
      inflated: null,
      error: null,
    };
    if (header.isControl) return { ...common, recordCount: 0 };
    const inflated = header.codec === 0 ? null : decompress(header.codec, bytes.subarray(recordsStart, end), budget);
    const recordBytes = inflated === null ? end - recordsStart : inflated.length;
    if (header.recordCount < 0 || header.recordCount * 7 > recordBytes) {
      return failed(bytes, position, `${header.recordCount} records in ${recordBytes} bytes`);
    }
    return { ...common, inflated, recordCount: header.recordCount };
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown;
    return failed(bytes, position, thrown.message);
  }
}

/** A section that only says why it cannot be read. Its offsets are as good as the header allows. */
function failed(bytes: Buffer, position: number, error: string): Section {
  const baseOffset = bytes.readInt32BE(position) * 4294967296 + bytes.readUInt32BE(position + 4);
  const lastOffsetDelta = bytes.length - position >= 27 ? Math.max(0, bytes.readInt32BE(position + 23)) : 0;
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    baseTimestamp: 0,
    appendTimestamp: -1,
    recordCount: 0,
    start: position,
    end: position,
    inflated: null,
    error,
  };
}

/** Puts the records of all sections into one buffer and moves the sections there. */
function gather(bytes: Buffer, sections: Section[]): Buffer {
  if (sections.length === 1 && sections[0].inflated !== null) {
    sections[0].start = 0;
    sections[0].end = sections[0].inflated.length;
    return sections[0].inflated;
  }
  let total = 0;
  for (const { inflated, start, end } of sections) total += inflated === null ? end - start : inflated.length;
  const arena = Buffer.allocUnsafe(total);
  let at = 0;
  for (const section of sections) {
    const from = section.inflated ?? bytes.subarray(section.start, section.end);
    arena.set(from, at);
    section.start = at;
    at += from.length;
    section.end = at;
  }
  return arena;
}
