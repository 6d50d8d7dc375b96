/**
 * Record batches v2, the one form a record has on the wire and at rest: `record-batch.ts` is the header and its checks,
 * `record-cursor.ts` reads records, `batch-builder.ts` makes batches. Users import from here.
 */
export { type BatchOptions, encodeBatch } from './batch-builder.ts';
export {
  ATTRIBUTE_CODEC,
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_LOG_APPEND_TIME,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchCrcMatches,
  batchSizeAt,
  emptyBatch,
  patchBatch,
  readBatchHeader,
  stampLogAppendTime,
  validateBatch,
} from './record-batch.ts';
export { type CursorOptions, RecordCursor } from './record-cursor.ts';
