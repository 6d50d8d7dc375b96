import { StreamError } from '../lib/errors.ts';
import type { CodecName } from '../protocol/compression.ts';
import { writesZstd } from '../protocol/zstd-encoder.ts';

/** The settings of a topic as its logs use them. */
export interface TopicSettings {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** −1: no limit. */
  readonly retentionMs: number;
  /** Per partition; −1: no limit. */
  readonly retentionBytes: number;
  readonly maxMessageBytes: number;
  readonly logAppendTime: boolean;
  readonly timestampAfterMaxMs: number;
  /** Infinite: no limit. */
  readonly timestampBeforeMaxMs: number;
  readonly fsync: FsyncPolicy;
  readonly flushMs: number;
  /** What batches are stored in; undefined: as the producer sent them. */
  readonly codec: CodecName | undefined;
  /** Records are encrypted at rest. */
  readonly encrypted: boolean;
  /** cleanup.policy names `compact`, `delete`, or both. */
  readonly compacts: boolean;
  readonly deletes: boolean;
  readonly minCleanableDirtyRatio: number;
  readonly minCompactionLagMs: number;
  readonly maxCompactionLagMs: number;
  /** How long tombstones stay in what was compacted. */
  readonly deleteRetentionMs: number;
  /** Between the moment a segment is no longer part of the log and the one its file goes. */
  readonly fileDeleteDelayMs: number;
}

/**
 * When appended data is forced to the disk. `always`: before it is acknowledged (acks=all) or readable. `interval`: every `flush.ms`.
 * `os`: when the operating system likes; like `interval` it may lose acknowledged records when power fails, not when the process dies.
 */
export type FsyncPolicy = 'always' | 'interval' | 'os';

export interface TopicConfigRow {
  readonly name: string;
  readonly type: 'int' | 'long' | 'double' | 'string' | 'list' | 'boolean';
  readonly default: string;
  readonly doc: string;
  /** What the value may be, as an error message goes on after "must be". */
  readonly allowed: string;
  readonly valid: (value: string) => boolean;
  /** Kafka's name of the broker's setting that is the default of this one. */
  readonly server?: string;
}

const LARGEST_LONG = 9223372036854775807n;

function whole(least: bigint, most: bigint): Pick<TopicConfigRow, 'allowed' | 'valid'> {
  return {
    allowed: `a whole number from ${least} to ${most}`,
    valid: (value) => /^-?\d{1,19}$/.test(value) && BigInt(value) >= least && BigInt(value) <= most,
  };
}

function oneOf(...values: string[]): Pick<TopicConfigRow, 'allowed' | 'valid'> {
  return {
    allowed: values.length === 1 ? values[0]! : `one of ${values.join(', ')}`,
    valid: (value) => values.includes(value),
  };
}

/** A setting of Kafka whose subject does not exist here, or cannot be chosen: shown with what holds, and no other value is taken. */
function fixed(
  name: string,
  type: TopicConfigRow['type'],
  value: string,
  doc: string,
  server?: string,
): TopicConfigRow {
  const rule = value === '' ? { ...oneOf(''), allowed: 'left empty' } : oneOf(value);
  return { name, type, default: value, doc, ...rule, ...(server === undefined ? {} : { server }) };
}

/** Every topic setting there is; names, types and defaults are Kafka's (4.3) unless they begin with `streamline.`. */
export const TOPIC_CONFIG: readonly TopicConfigRow[] = [
  {
    name: 'cleanup.policy',
    server: 'log.cleanup.policy',
    type: 'list',
    default: 'delete',
    doc: 'What happens to old records: delete = they go by retention.ms and retention.bytes; compact = of each key the newest stays; or both.',
    ...oneOf('delete', 'compact', 'compact,delete', 'delete,compact'),
  },
  fixed(
    'compression.gzip.level',
    'int',
    '-1',
    'Level of compression.type=gzip; the default of zlib.',
    'compression.gzip.level',
  ),
  fixed('compression.lz4.level', 'int', '1', 'Level of compression.type=lz4.', 'compression.lz4.level'),
  {
    name: 'compression.type',
    server: 'compression.type',
    type: 'string',
    default: 'producer',
    doc: 'What batches are stored in: producer = as the producer chose; another one recompresses those that came otherwise.',
    allowed: 'one of producer, uncompressed, gzip, snappy, lz4, and zstd where its package is installed',
    valid: (value) => value === 'producer' || (CODEC_OF[value] !== undefined && (value !== 'zstd' || writesZstd())),
  },
  fixed('compression.zstd.level', 'int', '3', 'Level of compression.type=zstd.', 'compression.zstd.level'),
  {
    name: 'delete.retention.ms',
    server: 'log.cleaner.delete.retention.ms',
    type: 'long',
    default: '86400000',
    doc: 'How long a tombstone stays after compaction first met it, in milliseconds.',
    ...whole(0n, LARGEST_LONG),
  },
  {
    name: 'file.delete.delay.ms',
    server: 'log.segment.delete.delay.ms',
    type: 'long',
    default: '0',
    doc: 'How long the file of a segment that retention or DeleteRecords took out of the log stays on the disk, in milliseconds; a restart removes it at once.',
    ...whole(0n, 86_400_000n),
  },
  fixed(
    'flush.messages',
    'long',
    '9223372036854775807',
    'Syncing goes by streamline.fsync, not by a number of records.',
    'log.flush.interval.messages',
  ),
  {
    name: 'flush.ms',
    server: 'log.flush.interval.ms',
    type: 'long',
    default: '1000',
    doc: 'Longest time before appended data is synced under streamline.fsync=interval, in milliseconds.',
    ...whole(1n, 86_400_000n),
  },
  fixed('follower.replication.throttled.replicas', 'list', '', 'There are no followers to throttle.'),
  fixed(
    'index.interval.bytes',
    'int',
    '4096',
    'Bytes of a segment between two entries of its index.',
    'log.index.interval.bytes',
  ),
  fixed('leader.replication.throttled.replicas', 'list', '', 'There are no followers to throttle.'),
  fixed(
    'local.retention.bytes',
    'long',
    '-2',
    'There is no tiered storage: -2, as retention.bytes.',
    'log.local.retention.bytes',
  ),
  fixed(
    'local.retention.ms',
    'long',
    '-2',
    'There is no tiered storage: -2, as retention.ms.',
    'log.local.retention.ms',
  ),
  {
    name: 'max.compaction.lag.ms',
    server: 'log.cleaner.max.compaction.lag.ms',
    type: 'long',
    default: '9223372036854775807',
    doc: 'Records of a compacted topic older than this are compacted however little is dirty, in milliseconds.',
    ...whole(1n, LARGEST_LONG),
  },
  {
    name: 'max.message.bytes',
    server: 'message.max.bytes',
    type: 'int',
    default: '1048588',
    doc: 'Largest record batch accepted, in bytes, as it is stored (compressed).',
    ...whole(0n, 2147483647n),
  },
  {
    name: 'message.timestamp.after.max.ms',
    server: 'log.message.timestamp.after.max.ms',
    type: 'long',
    default: '3600000',
    doc: 'How far in the future a record timestamp may lie under message.timestamp.type=CreateTime, in milliseconds.',
    ...whole(0n, LARGEST_LONG),
  },
  {
    name: 'message.timestamp.before.max.ms',
    server: 'log.message.timestamp.before.max.ms',
    type: 'long',
    default: '9223372036854775807',
    doc: 'How far in the past a record timestamp may lie under message.timestamp.type=CreateTime, in milliseconds. Any but the default costs a look at every record.',
    ...whole(0n, LARGEST_LONG),
  },
  {
    name: 'message.timestamp.type',
    server: 'log.message.timestamp.type',
    type: 'string',
    default: 'CreateTime',
    doc: "Whether records keep the producer's timestamp or get the time they are appended at.",
    ...oneOf('CreateTime', 'LogAppendTime'),
  },
  {
    name: 'min.cleanable.dirty.ratio',
    server: 'log.cleaner.min.cleanable.ratio',
    type: 'double',
    default: '0.5',
    doc: 'Share of a compacted partition that has to be dirty before it is compacted.',
    allowed: 'a number from 0 to 1',
    valid: (value) => /^[\d.]+$/.test(value) && Number(value) >= 0 && Number(value) <= 1,
  },
  {
    name: 'min.compaction.lag.ms',
    server: 'log.cleaner.min.compaction.lag.ms',
    type: 'long',
    default: '0',
    doc: 'Records of a compacted topic younger than this are not compacted, in milliseconds.',
    ...whole(0n, LARGEST_LONG),
  },
  {
    name: 'min.insync.replicas',
    server: 'min.insync.replicas',
    type: 'int',
    default: '1',
    doc: 'Replicas that must have a record before acks=all is answered; there is one.',
    ...oneOf('1'),
  },
  fixed('preallocate', 'boolean', 'false', 'Segment files grow as they are written.', 'log.preallocate'),
  fixed('remote.log.copy.disable', 'boolean', 'false', 'There is no tiered storage.'),
  fixed('remote.log.delete.on.disable', 'boolean', 'false', 'There is no tiered storage.'),
  fixed('remote.storage.enable', 'boolean', 'false', 'There is no tiered storage.'),
  {
    name: 'retention.bytes',
    server: 'log.retention.bytes',
    type: 'long',
    default: '-1',
    doc: 'Largest size of a partition in bytes before its oldest segments are deleted; -1 for no limit.',
    ...whole(-1n, LARGEST_LONG),
  },
  {
    name: 'retention.ms',
    server: 'log.retention.ms',
    type: 'long',
    default: '604800000',
    doc: 'How long segments are kept after their newest record timestamp, in milliseconds; -1 for no limit.',
    ...whole(-1n, LARGEST_LONG),
  },
  {
    name: 'segment.bytes',
    server: 'log.segment.bytes',
    type: 'int',
    default: '1073741824',
    doc: 'Size at which a segment file is closed and a new one begun, in bytes; retention deletes whole segments.',
    ...whole(1024n, 2147483647n),
  },
  fixed(
    'segment.index.bytes',
    'int',
    '10485760',
    'Indexes are part of the sidecar that a segment gets when it is closed.',
    'log.index.size.max.bytes',
  ),
  fixed('segment.jitter.ms', 'long', '0', 'Segments are closed at segment.ms to the moment.', 'log.roll.jitter.ms'),
  {
    name: 'segment.ms',
    server: 'log.roll.ms',
    type: 'long',
    default: '604800000',
    doc: 'Age at which a segment file is closed and a new one begun, in milliseconds.',
    ...whole(1n, LARGEST_LONG),
  },
  {
    name: 'streamline.encryption',
    type: 'string',
    default: 'none',
    doc: 'How records are stored: none = as they came; aes-256-gcm = encrypted with the newest key of storage.encryption_key_file. Holds for what is appended from now on.',
    ...oneOf('none', 'aes-256-gcm'),
  },
  {
    name: 'streamline.fsync',
    type: 'string',
    default: 'always',
    doc: 'When appended data is synced: always = before acks=all is answered and before it is readable; interval = every flush.ms; os = when the operating system decides.',
    ...oneOf('always', 'interval', 'os'),
  },
  fixed(
    'unclean.leader.election.enable',
    'boolean',
    'false',
    'There is one replica, which leads.',
    'unclean.leader.election.enable',
  ),
];

const CODEC_OF: Readonly<Record<string, CodecName>> = {
  uncompressed: 'none',
  gzip: 'gzip',
  snappy: 'snappy',
  lz4: 'lz4',
  zstd: 'zstd',
};

const ROWS = new Map(TOPIC_CONFIG.map((row) => [row.name, row]));

/** OPTION_INVALID for an unknown setting, a value it cannot have, or one that would have no effect. */
export function checkTopicConfig(
  config: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, string>> = {},
): void {
  for (const [name, value] of Object.entries(config)) {
    const row = ROWS.get(name);
    if (!row) {
      throw new StreamError('OPTION_INVALID', `there is no topic setting ${name}`, {
        hint: `settings: ${TOPIC_CONFIG.map((known) => known.name).join(', ')}`,
      });
    }
    if (typeof value !== 'string' || !row.valid(value)) {
      throw new StreamError('OPTION_INVALID', `topic setting ${name} must be ${row.allowed}, not ${value}`);
    }
  }
  const { fsync, logAppendTime } = topicSettings(config, defaults);
  // The default is taken where it has no effect: some clients write back every setting that they were shown.
  const isSet = (name: string): boolean => config[name] !== undefined && config[name] !== ROWS.get(name)!.default;
  if (isSet('flush.ms') && fsync !== 'interval') {
    throw new StreamError('OPTION_INVALID', `topic setting flush.ms has no effect under streamline.fsync=${fsync}`);
  }
  for (const name of ['message.timestamp.after.max.ms', 'message.timestamp.before.max.ms']) {
    if (isSet(name) && logAppendTime)
      throw new StreamError('OPTION_INVALID', `${name} has no effect under LogAppendTime`);
  }
}

/** The settings that a topic's own config, then the server's defaults, then the table's defaults give. */
export function topicSettings(
  config: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, string>> = {},
): TopicSettings {
  const text = (name: string) => config[name] ?? defaults[name] ?? ROWS.get(name)!.default;
  const number = (name: string) => Number(text(name));
  return {
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    maxMessageBytes: number('max.message.bytes'),
    logAppendTime: text('message.timestamp.type') === 'LogAppendTime',
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    timestampBeforeMaxMs:
      text('message.timestamp.before.max.ms') === String(LARGEST_LONG)
        ? Number.POSITIVE_INFINITY
        : number('message.timestamp.before.max.ms'),
    fsync: text('streamline.fsync') as FsyncPolicy,
    flushMs: number('flush.ms'),
    codec: CODEC_OF[text('compression.type')],
    encrypted: text('streamline.encryption') !== 'none',
    compacts: text('cleanup.policy').includes('compact'),
    deletes: text('cleanup.policy').includes('delete'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs: number('max.compaction.lag.ms'),
    deleteRetentionMs: number('delete.retention.ms'),
    fileDeleteDelayMs: number('file.delete.delay.ms'),
  };
}
