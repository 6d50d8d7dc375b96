import { StreamError } from '../lib/errors.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { encodeBatch } from '../protocol/records.ts';

/** Aim for the size of one batch: readers take whole batches, so very large ones make small reads impossible. */
const BATCH_BYTES = 512 << 10;
/** What a record takes beside key and value at most: lengths, deltas, attributes. */
const RECORD_OVERHEAD_BYTES = 32;

/** Records as one or more batches back to back, each within `mostBytes` where a single record allows. REQUEST_INVALID when empty. */
export function encodeRecordSet(records: readonly NewRecord[], nowMs: number, mostBytes: number): Buffer {
  if (records.length === 0) throw new StreamError('REQUEST_INVALID', 'an append needs at least one record');
  const limit = Math.min(BATCH_BYTES, mostBytes - 100);
  const batches: Buffer[] = [];
  for (let from = 0; from < records.length; ) {
    let to = from + 1;
    let bytes = sizeOf(records[from]!);
    while (to < records.length && bytes + sizeOf(records[to]!) <= limit) bytes += sizeOf(records[to++]!);
    const part = from === 0 && to === records.length ? records : records.slice(from, to);
    batches.push(encodeBatch(part, { defaultTimestampMs: nowMs }));
    from = to;
  }
  return batches.length === 1 ? batches[0]! : Buffer.concat(batches);
}

function sizeOf({ key, value, headers }: NewRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, content] of headers ?? []) bytes += name.length * 3 + (content?.length ?? 0) + 10;
  return bytes;
}

/** A log's Kafka error code as the error that everyone but Kafka clients sees. */
export function appendError(code: number, topic: string, partition: number): StreamError {
  const place = `topic ${topic}, partition ${partition}`;
  switch (code) {
    case ERROR_CODES.MESSAGE_TOO_LARGE:
      return new StreamError('TOO_LARGE', `a record is larger than max.message.bytes of ${place}`);
    case ERROR_CODES.INVALID_TIMESTAMP:
      return new StreamError('REQUEST_INVALID', `a timestamp lies too far in the future for ${place}`, {
        hint: 'raise message.timestamp.after.max.ms of the topic',
      });
    case ERROR_CODES.KAFKA_STORAGE_ERROR:
      return new StreamError('STORAGE_FAILED', `${place} takes no appends now`);
    default:
      return new StreamError('REQUEST_INVALID', `${place} refused the records (Kafka error ${code})`);
  }
}
