/**
 * What consumers put into JoinGroup's protocol metadata and SyncGroup's assignment: an INT16 version, then the message.
 * A broker passes these on verbatim; it reads them only to describe a group, and a client writes them.
 */
import { codecOf } from './codec.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  array,
  bytes,
  type Fields,
  type Input,
  int32,
  type MessageSchema,
  message,
  string,
  type Value,
} from './schema.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

export const consumerProtocolSubscription = message('ConsumerProtocolSubscription', '0-3', 'none', {
  topics: array(string()),
  userData: bytes('0+', { nullable: '0+', default: null }),
  ownedPartitions: array(
    {
      topic: string('1+'),
      partitions: array(int32(), '1+'),
    },
    '1+',
  ),
  generationId: int32('2+', { default: -1 }),
  rackId: string('3+', { nullable: '3+', default: null }),
});

export const consumerProtocolAssignment = message('ConsumerProtocolAssignment', '0-3', 'none', {
  assignedPartitions: array({
    topic: string(),
    partitions: array(int32()),
  }),
  userData: bytes('0+', { nullable: '0+', default: null }),
});

export type ConsumerSubscription = Value<typeof consumerProtocolSubscription.fields>;
export type ConsumerAssignment = Value<typeof consumerProtocolAssignment.fields>;

export const decodeConsumerSubscription = (bytes: Buffer): ConsumerSubscription =>
  decode(consumerProtocolSubscription, bytes);
export const decodeConsumerAssignment = (bytes: Buffer): ConsumerAssignment =>
  decode(consumerProtocolAssignment, bytes);
export const encodeConsumerSubscription = (topics: readonly string[]): Buffer =>
  encode(consumerProtocolSubscription, { topics });
export const encodeConsumerAssignment = (
  assignedPartitions: readonly { topic: string; partitions: readonly number[] }[],
): Buffer => encode(consumerProtocolAssignment, { assignedPartitions });

function encode<F extends Fields>(schema: MessageSchema<F>, value: Input<F>): Buffer {
  const writer = new WireWriter();
  writer.int16(0);
  codecOf(schema, 0).write(writer, value);
  return Buffer.concat(writer.finish());
}

/** A version newer than ours begins with the fields of ours (KIP-429), so it is read as the newest known. */
function decode<F extends Fields>(schema: MessageSchema<F>, bytes: Buffer): Value<F> {
  const reader = new WireReader(bytes);
  const version = reader.int16();
  if (version < 0) throw new ProtocolError(`${schema.name} of version ${version}`);
  return codecOf(schema, Math.min(version, schema.versions.to)).read(reader);
}
