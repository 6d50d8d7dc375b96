import type { GroupJournal, GroupRecord } from '../consumer/journal.ts';
import type { Log } from '../lib/log.ts';
import { OFFSETS_TOPIC } from '../ports/internal-topics.ts';
import {
  decodeCoordinatorKey,
  decodeGroupMetadataValue,
  decodeOffsetCommitValue,
  encodeGroupMetadataKey,
  encodeGroupMetadataValue,
  encodeOffsetCommitKey,
  encodeOffsetCommitValue,
} from '../protocol/coordinator-records.ts';
import type { Storage } from '../storage/storage.ts';
import { InternalLog } from './internal-log.ts';

interface Entry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** The log is rewritten when it holds at least so many records and so many times those that still count. */
const REWRITE_RECORDS = 20_000;
const REWRITE_RATIO = 4;
/** Records per batch of a rewrite. */
const BATCH_RECORDS = 500;

/**
 * `__consumer_offsets`: groups and their offsets as records of Kafka's own schemas, the last one of a key counts. The live records
 * are kept in memory as bytes too; when the log has grown well beyond them they are appended once more and all before is cut off.
 */
export class OffsetsTopic implements GroupJournal {
  readonly #log: InternalLog;
  readonly #logger: Log;
  readonly #live = new Map<string, Entry>();
  /** Records in the log. */
  #count = 0;
  #rewriting = false;

  static async open(storage: Storage, logger: Log): Promise<OffsetsTopic> {
    const topic = new OffsetsTopic(new InternalLog(storage, OFFSETS_TOPIC), logger);
    await topic.#log.scan((key, value) => {
      topic.#count++;
      topic.#keep(Buffer.from(key), value === null ? null : Buffer.from(value));
    });
    return topic;
  }

  private constructor(log: InternalLog, logger: Log) {
    this.#log = log;
    this.#logger = logger;
  }

  /** What counts now. Records that cannot be read are logged and left out. */
  *records(): IterableIterator<GroupRecord> {
    for (const { key, value } of this.#live.values()) {
      let record: GroupRecord | undefined;
      try {
        record = decode(key, value);
      } catch (thrown) {
        this.#logger.error('offsets.record_unreadable', { reason: String(thrown) });
      }
      if (record !== undefined) yield record;
    }
  }

  write(records: readonly GroupRecord[], done: (ok: boolean) => void): void {
    const entries = records.map(encode);
    for (const { key, value } of entries) this.#keep(key, value);
    this.#count += entries.length;
    this.#log.append(entries).then(
      () => done(true),
      (thrown: unknown) => {
        this.#logger.error('offsets.write_failed', { reason: String(thrown) });
        done(false);
      },
    );
    if (this.#count >= REWRITE_RECORDS && this.#count >= REWRITE_RATIO * this.#live.size) void this.#rewrite();
  }

  #keep(key: Buffer, value: Buffer | null): void {
    const name = key.toString('latin1');
    if (value === null) this.#live.delete(name);
    else this.#live.set(name, { key, value });
  }

  async #rewrite(): Promise<void> {
    if (this.#rewriting) return;
    this.#rewriting = true;
    try {
      // Appended in one turn, so that what is written meanwhile comes after it and counts.
      const from = this.#log.end;
      const live = [...this.#live.values()];
      const writes: Promise<void>[] = [];
      for (let at = 0; at < live.length; at += BATCH_RECORDS) {
        writes.push(this.#log.append(live.slice(at, at + BATCH_RECORDS)));
      }
      this.#count = live.length;
      await Promise.all(writes);
      await this.#log.dropBefore(from);
    } catch (thrown) {
      this.#logger.warn('offsets.rewrite_failed', { reason: String(thrown) });
    } finally {
      this.#rewriting = false;
    }
  }
}

function encode(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  const { group } = record;
  if (record.kind === 'group') {
    return { key: encodeGroupMetadataKey({ group }), value: record.value && encodeGroupMetadataValue(record.value) };
  }
  const { topic, partition, value } = record;
  const key = encodeOffsetCommitKey({ group, topic, partition });
  if (value === null) return { key, value };
  const { offset, leaderEpoch, metadata, commitTimestampMs } = value;
  return { key, value: encodeOffsetCommitValue({ offset, leaderEpoch, metadata, commitTimestamp: commitTimestampMs }) };
}

function decode(keyBytes: Buffer, valueBytes: Buffer): GroupRecord | undefined {
  const key = decodeCoordinatorKey(keyBytes);
  if (key.kind === 'group') return { kind: 'group', group: key.group, value: decodeGroupMetadataValue(valueBytes) };
  if (key.kind !== 'offset') return undefined;
  const { offset, leaderEpoch, metadata, commitTimestamp } = decodeOffsetCommitValue(valueBytes);
  const value = { offset, leaderEpoch, metadata, commitTimestampMs: commitTimestamp };
  return { kind: 'offset', group: key.group, topic: key.topic, partition: key.partition, value };
}
