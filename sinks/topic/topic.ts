import { assert } from '../../src/lib/assert.ts';
import { StreamError } from '../../src/lib/errors.ts';
import type { Sink, SinkContext, SinkKind, SinkQuery, SinkToken } from '../../src/ports/sink.ts';
import { SINK_TRANSACTIONS, type SinkLog, type TransactionGrant } from '../../src/ports/sink-log.ts';
import type { NewRecord } from '../../src/ports/topic-log.ts';
import { partitionOfKey } from '../../src/protocol/partitioner.ts';
import { encodeBatch } from '../../src/protocol/records.ts';
import type { Batch } from '../../src/values/batch.ts';
import { confluentPrefix, type EncodeRow, rowEncoder } from './encoder.ts';
import { SUBSCRIPTION_OPTIONS, TABLE_OPTIONS, TOPIC_OPTIONS } from './options.ts';
import { appendRecords, changeRecords, upsertRecords } from './records.ts';

/**
 * INTO TOPIC and INTO TABLE: records of a topic of our own log, exactly once. `prepare` writes them durably in a transaction that stays open;
 * `commit` ends it. Which transaction belongs to a checkpoint stands in the checkpoint, so what was prepared for one that is durable is
 * committed however often the process ends in between, and what was prepared for one that was lost is aborted.
 */
export const topic: SinkKind = {
  name: 'topic',
  options: TOPIC_OPTIONS,
  target: 'topic',
  settle: settleTopic,
  create: (context) => new TopicSink(context),
};

/** The catalogue gives the topic and the key of the table. */
export const table: SinkKind = {
  name: 'table',
  options: TABLE_OPTIONS,
  target: 'table',
  create: (context) => new TopicSink(context),
};

/** CREATE SUBSCRIPTION: the changes themselves. The catalogue gives the topic. */
export const subscription: SinkKind = {
  name: 'subscription',
  options: SUBSCRIPTION_OPTIONS,
  target: 'subscription',
  create: (context) => new TopicSink(context),
};

/** Fills in mode and key, as the query has it, and refuses what could not be written. */
function settleTopic(given: Readonly<Record<string, string>>, query: SinkQuery): Record<string, string> {
  const { columns } = query;
  const options = { ...given };
  const mode = options['mode'] ?? (query.appendOnly ? 'append' : 'upsert');
  options['mode'] = mode;
  if (mode === 'append' && !query.appendOnly) {
    throw new StreamError('SINK_REJECTED', 'the query can take rows back, which mode append cannot say', {
      hint: "use mode = 'upsert'",
    });
  }
  const proven = query.key?.map((position) => columns[position].name) ?? null;
  if (options['key'] === undefined && mode === 'upsert') {
    if (proven === null || proven.length === 0) {
      throw new StreamError('OPTION_INVALID', 'mode upsert needs a key, and none is known for the rows of the query', {
        hint: 'name columns in key = …; rows that are taken back need a query with a key, such as GROUP BY gives',
      });
    }
    options['key'] = proven.join(',');
  }
  const key = keyNames(options['key']);
  for (const name of key) {
    if (!columns.some((column) => column.name === name)) {
      throw new StreamError('OPTION_INVALID', `key = '${options['key']}': the sink has no column "${name}"`, {
        hint: `its columns are: ${columns.map((column) => column.name).join(', ')}`,
      });
    }
  }
  if (mode === 'upsert' && !query.appendOnly && !(proven?.every((name) => key.includes(name)) ?? false)) {
    throw new StreamError('OPTION_INVALID', `rows that can be taken back may share the key ${key.join(', ')}`, {
      hint:
        proven === null ? 'write the rows of a query with GROUP BY' : `the key of the rows is: ${proven.join(', ')}`,
    });
  }
  const keyFormat = options['key_format'] ?? 'json';
  if (keyFormat === 'text' && key.length !== 1)
    throw new StreamError('OPTION_INVALID', 'key_format text is for a key of one column');
  if (options['header'] === 'confluent' && options['format'] !== 'avro' && keyFormat !== 'avro')
    throw new StreamError('OPTION_INVALID', "header = 'confluent' is for avro");
  encodersOf(columns, options);
  return options;
}

const keyNames = (key: string | undefined): string[] =>
  key === undefined ? [] : key.split(',').map((name) => name.trim());

function encodersOf(
  columns: SinkContext['columns'],
  options: Readonly<Record<string, string>>,
): { key: EncodeRow | null; value: EncodeRow } {
  const header = options['header'] ?? 'none';
  const format = options['format'] ?? 'json';
  const keyFormat = options['key_format'] ?? 'json';
  const positions = keyNames(options['key']).map((name) => columns.findIndex((column) => column.name === name));
  const all = columns.map((_, i) => i);
  const prefix = confluentPrefix(format === 'avro' ? header : 'none', options['schema_id'], 'schema_id');
  const keyPrefix = confluentPrefix(keyFormat === 'avro' ? header : 'none', options['key_schema_id'], 'key_schema_id');
  return {
    key: positions.length === 0 ? null : rowEncoder(keyFormat, columns, positions, keyPrefix),
    value: rowEncoder(format, columns, all, prefix),
  };
}

/** Only closed segments can go, so they are closed often enough for what is kept to be near what was asked for. */
function retentionConfig(retentionMs: string | undefined): Record<string, string> {
  if (retentionMs === undefined) return {};
  const segmentMs = Math.max(1000, Math.floor(Number(retentionMs) / 8));
  return { 'retention.ms': retentionMs, 'segment.ms': String(segmentMs) };
}

/** Aim for the size of one record batch. */
const BATCH_BYTES = 512 << 10;

class TopicSink implements Sink {
  readonly #context: SinkContext;
  readonly #log: SinkLog;
  readonly #topic: string;
  readonly #id: string;
  readonly #upsert: boolean;
  readonly #key: EncodeRow | null;
  readonly #value: EncodeRow;
  #partitions = 1;
  #batchBytes = BATCH_BYTES;
  /** Where the next record without a key goes: partitions take turns by checkpoint. */
  #turn = 0;

  constructor(context: SinkContext) {
    const { options, sinkId, name, log } = context;
    if (log === undefined) throw new StreamError('SQL_UNSUPPORTED', 'this server has no log that sinks can write to');
    this.#context = context;
    this.#log = log;
    this.#topic = options['topic'] ?? name;
    this.#id = `${SINK_TRANSACTIONS}${sinkId}`;
    this.#upsert = options['mode'] === 'upsert';
    const { key, value } = encodersOf(context.columns, options);
    this.#key = key;
    this.#value = value;
  }

  async open(): Promise<void> {
    const { options } = this.#context;
    const config = this.#upsert ? { 'cleanup.policy': 'compact' } : retentionConfig(options['retention_ms']);
    const found = await this.#log.ensureTopic(this.#topic, { partitions: Number(options['partitions'] ?? 1), config });
    if (found.compacted && this.#key === null) {
      throw new StreamError('SINK_REJECTED', `topic ${this.#topic} is compacted: its records need a key`, {
        hint: 'name columns in key = …',
      });
    }
    this.#partitions = found.partitions;
    this.#batchBytes = Math.min(BATCH_BYTES, found.maxMessageBytes - 1024);
  }

  async prepare(epoch: number, batches: readonly Batch[]): Promise<SinkToken | null> {
    const records = this.#recordsOf(epoch, batches);
    if (records.length === 0) return null;
    // What an earlier prepare left, whose checkpoint failed, is aborted by this.
    const { nowMs, ...grant } = await this.#log.begin(this.#id);
    for (const [partition, list] of this.#spread(records)) {
      let sequence = 0;
      for (const part of this.#parts(list)) {
        const batch = encodeBatch(part, {
          ...grant,
          baseSequence: sequence,
          isTransactional: true,
          defaultTimestampMs: nowMs,
        });
        sequence += part.length;
        await this.#log.append(this.#id, grant, this.#topic, partition, batch);
      }
    }
    return grant;
  }

  #recordsOf(epoch: number, batches: readonly Batch[]): NewRecord[] {
    const { appendOnly, options } = this.#context;
    const key = this.#key;
    if (options['mode'] === 'changes') return changeRecords(batches, this.#value, epoch);
    if (this.#upsert && key !== null) return upsertRecords(batches, key, this.#value, appendOnly);
    return appendRecords(batches, key, this.#value);
  }

  async commit(_epoch: number, token: SinkToken): Promise<void> {
    const { producerId, producerEpoch } = token as unknown as TransactionGrant;
    assert(typeof producerId === 'number' && typeof producerEpoch === 'number', 'a token of a topic sink is a grant');
    await this.#log.commit(this.#id, { producerId, producerEpoch });
  }

  /** Pending commits came before, so what is open now was prepared for a checkpoint that was lost. */
  async recover(): Promise<void> {
    await this.#log.abort(this.#id);
  }

  async close(): Promise<void> {}

  #spread(records: readonly NewRecord[]): Map<number, NewRecord[]> {
    const spread = new Map<number, NewRecord[]>();
    const free = this.#turn++ % this.#partitions;
    for (const record of records) {
      const partition = record.key === null ? free : partitionOfKey(record.key, this.#partitions);
      const list = spread.get(partition);
      if (list === undefined) spread.set(partition, [record]);
      else list.push(record);
    }
    return spread;
  }

  *#parts(records: readonly NewRecord[]): Iterable<readonly NewRecord[]> {
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < records.length; i++) {
      const size = 32 + (records[i].key?.length ?? 0) + (records[i].value?.length ?? 0);
      if (i > from && bytes + size > this.#batchBytes) {
        yield records.slice(from, i);
        from = i;
        bytes = 0;
      }
      bytes += size;
    }
    yield records.slice(from);
  }
}
