/**
 * The records of `__consumer_offsets` that classic groups use, byte for byte as Kafka writes them: key and value each
 * begin with an INT16, in a key the record's type, in a value the version of its schema.
 */
import { codecOf } from './codec.ts';
import { CONSUMER_GROUP_RECORDS, type ConsumerRecordKind } from './consumer-group-records.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  array,
  bytes,
  type Fields,
  type Input,
  inRange,
  int32,
  int64,
  type MessageSchema,
  message,
  string,
  uuid,
  type Value,
} from './schema.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

export const offsetCommitKey = message('OffsetCommitKey', '0', 'none', {
  group: string('0'),
  topic: string('0'),
  partition: int32('0'),
});

export const offsetCommitValue = message('OffsetCommitValue', '0-4', '4+', {
  offset: int64(),
  leaderEpoch: int32('3+', { default: -1 }),
  metadata: string(),
  commitTimestamp: int64(),
  expireTimestamp: int64('1', { default: -1 }),
  topicId: uuid('4+', { tag: 0, tagged: '4+' }),
});

export const groupMetadataKey = message('GroupMetadataKey', '0', 'none', {
  group: string('0'),
});

export const groupMetadataValue = message('GroupMetadataValue', '0-4', '4+', {
  protocolType: string(),
  generation: int32(),
  protocol: string('0+', { nullable: '0+' }),
  leader: string('0+', { nullable: '0+' }),
  currentStateTimestamp: int64('2+', { default: -1 }),
  members: array({
    memberId: string(),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
    clientId: string(),
    clientHost: string(),
    rebalanceTimeout: int32('1+', { default: -1 }),
    sessionTimeout: int32(),
    subscription: bytes(),
    assignment: bytes(),
  }),
});

export type OffsetCommitKey = Value<typeof offsetCommitKey.fields>;
export type OffsetCommitValue = Value<typeof offsetCommitValue.fields>;
export type GroupMetadataKey = Value<typeof groupMetadataKey.fields>;
export type GroupMetadataValue = Value<typeof groupMetadataValue.fields>;

/** Kafka wrote offset keys as type 0 before 2.1 and as type 1 since; the bytes after it are alike. */
const OFFSET_COMMIT_TYPES = [0, 1];
const GROUP_METADATA_TYPE = 2;
/** What Kafka 4.3 writes when no group.version says otherwise: the last versions an older Kafka can read. */
const VALUE_VERSION = 3;

export type CoordinatorKey =
  | ({ readonly kind: 'offset' } & OffsetCommitKey)
  | ({ readonly kind: 'group' } & GroupMetadataKey)
  | {
      readonly kind: ConsumerRecordKind;
      readonly groupId: string;
      readonly memberId?: string;
      readonly regularExpression?: string;
    }
  /** A record of another type; to be left alone. */
  | { readonly kind: 'other'; readonly type: number };

/** ProtocolError when malformed. */
export function decodeCoordinatorKey(bytes: Buffer): CoordinatorKey {
  const reader = new WireReader(bytes);
  const type = reader.int16();
  if (OFFSET_COMMIT_TYPES.includes(type)) return { kind: 'offset', ...codecOf(offsetCommitKey, 0).read(reader) };
  if (type === GROUP_METADATA_TYPE) return { kind: 'group', ...codecOf(groupMetadataKey, 0).read(reader) };
  for (const kind of CONSUMER_RECORD_KINDS) {
    const { type: ofKind, key } = CONSUMER_GROUP_RECORDS[kind];
    if (ofKind === type) return { kind, ...codecOf(key as MessageSchema<GroupIdFields>, 0).read(reader) };
  }
  return { kind: 'other', type };
}

type GroupIdFields = (typeof CONSUMER_GROUP_RECORDS)['consumerGroup']['key']['fields'];
const CONSUMER_RECORD_KINDS = Object.keys(CONSUMER_GROUP_RECORDS) as ConsumerRecordKind[];
const CONSUMER_VALUE_VERSION = 0;

export function encodeConsumerKey(kind: ConsumerRecordKind, key: object): Buffer {
  const { type, key: schema } = CONSUMER_GROUP_RECORDS[kind];
  return prefixed(type, schema as MessageSchema<Fields>, 0, key as Input<Fields>);
}

export function encodeConsumerValue(kind: ConsumerRecordKind, value: object): Buffer {
  const schema = CONSUMER_GROUP_RECORDS[kind].value as MessageSchema<Fields>;
  return prefixed(CONSUMER_VALUE_VERSION, schema, CONSUMER_VALUE_VERSION, value as Input<Fields>);
}

export const decodeConsumerValue = <K extends ConsumerRecordKind>(kind: K, bytes: Buffer) =>
  versioned(CONSUMER_GROUP_RECORDS[kind].value as MessageSchema<Fields>, bytes) as Value<
    (typeof CONSUMER_GROUP_RECORDS)[K]['value']['fields']
  >;

export const encodeOffsetCommitKey = (key: OffsetCommitKey): Buffer => prefixed(1, offsetCommitKey, 0, key);
export const encodeGroupMetadataKey = (key: GroupMetadataKey): Buffer =>
  prefixed(GROUP_METADATA_TYPE, groupMetadataKey, 0, key);
export const encodeOffsetCommitValue = (value: Input<typeof offsetCommitValue.fields>): Buffer =>
  prefixed(VALUE_VERSION, offsetCommitValue, VALUE_VERSION, value);
export const encodeGroupMetadataValue = (value: Input<typeof groupMetadataValue.fields>): Buffer =>
  prefixed(VALUE_VERSION, groupMetadataValue, VALUE_VERSION, value);

export const decodeOffsetCommitValue = (bytes: Buffer): OffsetCommitValue => versioned(offsetCommitValue, bytes);
export const decodeGroupMetadataValue = (bytes: Buffer): GroupMetadataValue => versioned(groupMetadataValue, bytes);

function prefixed<F extends Fields>(
  prefix: number,
  schema: MessageSchema<F>,
  version: number,
  value: Input<F>,
): Buffer {
  const writer = new WireWriter();
  writer.int16(prefix);
  codecOf(schema, version).write(writer, value);
  return Buffer.concat(writer.finish());
}

function versioned<F extends Fields>(schema: MessageSchema<F>, bytes: Buffer): Value<F> {
  const reader = new WireReader(bytes);
  const version = reader.int16();
  if (!inRange(schema.versions, version)) throw new ProtocolError(`${schema.name} of unknown version ${version}`);
  return codecOf(schema, version).read(reader);
}
