import type { GroupJournal, GroupRecord, Producer } from '../consumer/journal.ts';
import type { Log } from '../lib/log.ts';
import { OFFSETS_TOPIC } from '../ports/internal-topics.ts';
import {
  decodeConsumerValue,
  decodeCoordinatorKey,
  decodeGroupMetadataValue,
  decodeOffsetCommitValue,
  encodeConsumerKey,
  encodeConsumerValue,
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

/** What a producer's open transaction has committed. */
interface Pending {
  readonly producer: Producer;
  readonly entries: Entry[];
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
  /** By producer id. */
  readonly #pending = new Map<number, Pending>();
  /** Records in the log. */
  #count = 0;
  #rewriting = false;

  static async open(storage: Storage, logger: Log): Promise<OffsetsTopic> {
    const topic = new OffsetsTopic(new InternalLog(storage, OFFSETS_TOPIC), logger);
    const visit = (key: Buffer, value: Buffer | null, producer: Producer | undefined): void => {
      topic.#count++;
      const entry = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) };
      if (producer === undefined) topic.#keep(entry.key, entry.value);
      else if (entry.value !== null) topic.#hold(producer, [{ key: entry.key, value: entry.value }]);
    };
    await topic.#log.scan(visit, (producerId, committed) => topic.#end(producerId, committed));
    return topic;
  }

  private constructor(log: InternalLog, logger: Log) {
    this.#log = log;
    this.#logger = logger;
  }

  /** What counts now. Records that cannot be read are logged and left out. */
  *records(): IterableIterator<GroupRecord> {
    for (const entry of this.#live.values()) {
      const record = this.#read(entry);
      if (record !== undefined) yield record;
    }
    for (const { producer, entries } of this.#pending.values()) {
      for (const entry of entries) {
        const record = this.#read(entry);
        if (record?.kind === 'offset') yield { ...record, producerId: producer.producerId };
      }
    }
  }

  #read({ key, value }: Entry): GroupRecord | undefined {
    try {
      return decode(key, value);
    } catch (thrown) {
      this.#logger.error('offsets.record_unreadable', { reason: String(thrown) });
      return undefined;
    }
  }

  write(records: readonly GroupRecord[], done: (ok: boolean) => void, producer?: Producer): void {
    const entries = records.map(encode);
    if (producer === undefined) for (const { key, value } of entries) this.#keep(key, value);
    else this.#hold(producer, entries.filter(hasValue));
    this.#count += entries.length;
    this.#await(this.#log.append(entries, producer), done);
    this.#rewriteIfLong();
  }

  endTransaction(producer: Producer, committed: boolean, done: (ok: boolean) => void): void {
    this.#end(producer.producerId, committed);
    this.#count++;
    this.#await(this.#log.endTransaction(producer, committed), done);
  }

  #await(written: Promise<void>, done: (ok: boolean) => void): void {
    written.then(
      () => done(true),
      (thrown: unknown) => {
        this.#logger.error('offsets.write_failed', { reason: String(thrown) });
        done(false);
      },
    );
  }

  #rewriteIfLong(): void {
    if (this.#count >= REWRITE_RECORDS && this.#count >= REWRITE_RATIO * this.#live.size) void this.#rewrite();
  }

  #keep(key: Buffer, value: Buffer | null): void {
    const name = key.toString('latin1');
    if (value === null) this.#live.delete(name);
    else this.#live.set(name, { key, value });
  }

  #hold(producer: Producer, entries: readonly Entry[]): void {
    const held = this.#pending.get(producer.producerId);
    if (held === undefined) this.#pending.set(producer.producerId, { producer, entries: [...entries] });
    else held.entries.push(...entries);
  }

  #end(producerId: number, committed: boolean): void {
    const held = this.#pending.get(producerId);
    this.#pending.delete(producerId);
    if (committed) for (const { key, value } of held?.entries ?? []) this.#keep(key, value);
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
      for (const { producer, entries } of this.#pending.values()) {
        if (entries.length > 0) writes.push(this.#log.append(entries, producer));
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

const hasValue = (entry: { key: Buffer; value: Buffer | null }): entry is Entry => entry.value !== null;

function encode(record: GroupRecord): { key: Buffer; value: Buffer | null } {
  const { group } = record;
  if (record.kind === 'group') {
    return { key: encodeGroupMetadataKey({ group }), value: record.value && encodeGroupMetadataValue(record.value) };
  }
  if (record.kind !== 'offset') {
    const { kind, value } = record;
    const key = encodeConsumerKey(kind, {
      groupId: group,
      ...('member' in record ? { memberId: record.member } : {}),
      ...('regex' in record ? { regularExpression: record.regex } : {}),
    });
    return { key, value: value && encodeConsumerValue(kind, value) };
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
  if (key.kind === 'other') return undefined;
  if (key.kind !== 'offset') {
    const { kind, groupId, memberId, regularExpression } = key;
    const value = decodeConsumerValue(kind, valueBytes);
    return {
      kind,
      group: groupId,
      ...(memberId === undefined ? {} : { member: memberId }),
      ...(regularExpression === undefined ? {} : { regex: regularExpression }),
      value,
    } as GroupRecord;
  }
  const { offset, leaderEpoch, metadata, commitTimestamp } = decodeOffsetCommitValue(valueBytes);
  const value = { offset, leaderEpoch, metadata, commitTimestampMs: commitTimestamp };
  return { kind: 'offset', group: key.group, topic: key.topic, partition: key.partition, value };
}
