/**
 * The records of `__transaction_state`, byte for byte as Kafka writes them: key and value each begin with an INT16, in a key the record's
 * type (0), in a value the version of its schema.
 */
import { codecOf } from './codec.ts';
import { ProtocolError } from './protocol-error.ts';
import { array, type Input, inRange, int8, int16, int32, int64, message, string, type Value } from './schema.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

export const transactionLogKey = message('TransactionLogKey', '0', 'none', {
  transactionalId: string('0'),
});

export const transactionLogValue = message('TransactionLogValue', '0-1', '1+', {
  producerId: int64(),
  previousProducerId: int64('1+', { default: -1, tag: 0, tagged: '1+' }),
  nextProducerId: int64('1+', { default: -1, tag: 1, tagged: '1+' }),
  producerEpoch: int16(),
  nextProducerEpoch: int16('1+', { default: -1, tag: 3, tagged: '1+' }),
  transactionTimeoutMs: int32(),
  transactionStatus: int8(),
  // Null in the states that have none.
  transactionPartitions: array(
    {
      topic: string(),
      partitionIds: array(int32()),
    },
    '0+',
    { nullable: '0+' },
  ),
  transactionLastUpdateTimestampMs: int64(),
  transactionStartTimestampMs: int64(),
  clientTransactionVersion: int16('1+', { tag: 2, tagged: '1+' }),
});

export type TransactionLogValue = Value<typeof transactionLogValue.fields>;

const KEY_TYPE = 0;
/** What Kafka writes when the feature transaction.version is 1 or more. */
const VALUE_VERSION = 1;

export function encodeTransactionLogKey(transactionalId: string): Buffer {
  const writer = new WireWriter();
  writer.int16(KEY_TYPE);
  codecOf(transactionLogKey, 0).write(writer, { transactionalId });
  return Buffer.concat(writer.finish());
}

export function encodeTransactionLogValue(value: Input<typeof transactionLogValue.fields>): Buffer {
  const writer = new WireWriter();
  writer.int16(VALUE_VERSION);
  codecOf(transactionLogValue, VALUE_VERSION).write(writer, value);
  return Buffer.concat(writer.finish());
}

/** Undefined for a record of another type. ProtocolError when malformed. */
export function decodeTransactionLogKey(bytes: Buffer): string | undefined {
  const reader = new WireReader(bytes);
  if (reader.int16() !== KEY_TYPE) return undefined;
  return codecOf(transactionLogKey, 0).read(reader).transactionalId;
}

/** ProtocolError when malformed. */
export function decodeTransactionLogValue(bytes: Buffer): TransactionLogValue {
  const reader = new WireReader(bytes);
  const version = reader.int16();
  if (!inRange(transactionLogValue.versions, version)) {
    throw new ProtocolError(`TransactionLogValue of unknown version ${version}`);
  }
  return codecOf(transactionLogValue, version).read(reader);
}
