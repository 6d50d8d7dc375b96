import { refuseInternal, usersTopics } from '../../catalog/topic-relation.ts';
import { StreamError } from '../../lib/errors.ts';
import type { NewRecord, TopicInfo, TopicLog } from '../../ports/topic-log.ts';
import { partitionOfKey } from '../../protocol/partitioner.ts';
import { RecordCursor } from '../../protocol/records.ts';
import { object, type Route, text, whole } from '../route.ts';

const topicParam = object({ topic: text('Name of the topic.') }, ['topic']);
const jsonOrText = { description: 'A string is taken as it is, anything else as its JSON text; null is a tombstone.' };

export const topicRoutes: readonly Route[] = [
  {
    method: 'GET',
    url: '/api/v1/topics',
    summary: 'All topics.',
    query: object({ internal: { type: 'boolean', description: "Also the server's own; default false." } }),
    handle: async ({ executor: { context } }, request) => {
      const { internal = false } = request.query as { internal?: boolean };
      const topics = internal ? context.log.listTopics() : usersTopics(context.log);
      return { topics: topics.map((topic) => topicJson(context.log, topic)) };
    },
  },
  {
    method: 'POST',
    url: '/api/v1/topics',
    summary: 'Creates a topic.',
    body: object(
      {
        name: text('Name: letters, digits, dot, dash, underscore.'),
        partitions: whole('Number of partitions; default 1.', 1, 10_000),
        config: {
          type: 'object',
          description: 'Topic settings, as Kafka names them.',
          additionalProperties: { type: 'string' },
        },
      },
      ['name'],
    ),
    handle: async ({ executor: { context } }, request, reply) => {
      const body = request.body as { name: string; partitions?: number; config?: Record<string, string> };
      refuseInternal(body.name);
      const topic = await context.log.createTopic(body.name, {
        partitions: body.partitions ?? 1,
        ...(body.config ? { config: body.config } : {}),
      });
      reply.code(201);
      return topicJson(context.log, topic);
    },
  },
  {
    method: 'GET',
    url: '/api/v1/topics/:topic',
    summary: 'One topic: partitions with their offsets, settings.',
    params: topicParam,
    handle: async ({ executor: { context } }, request) =>
      topicJson(context.log, findTopic(context.log, request.params)),
  },
  {
    method: 'DELETE',
    url: '/api/v1/topics/:topic',
    summary: 'Deletes a topic and its records. Refused while a source or table reads it.',
    params: topicParam,
    handle: async ({ executor: { context } }, request, reply) => {
      const topic = findTopic(context.log, request.params);
      refuseInternal(topic.name);
      const readers = context.catalog.list().filter((one) => one.topic === topic.name);
      if (readers.length > 0) {
        throw new StreamError(
          'IN_USE',
          `topic "${topic.name}" is read by ${readers.map((one) => `"${one.name}"`).join(', ')}`,
          {
            hint: 'drop these first',
          },
        );
      }
      await context.log.deleteTopic(topic.name);
      return reply.code(204).send();
    },
  },
  {
    method: 'POST',
    url: '/api/v1/topics/:topic/records',
    summary: 'Appends records; answers after they are durable, with the offset of each.',
    params: topicParam,
    body: object(
      {
        records: {
          type: 'array',
          minItems: 1,
          maxItems: 100_000,
          items: object({
            key: jsonOrText,
            value: jsonOrText,
            headers: { type: 'object', description: 'Names and texts.', additionalProperties: { type: 'string' } },
            partition: whole('Default: by the hash of the key as Kafka clients do, 0 without a key.', 0, 10_000),
            timestamp: whole('Milliseconds since 1970; default now.', 0, Number.MAX_SAFE_INTEGER),
          }),
        },
      },
      ['records'],
    ),
    handle: async ({ executor: { context } }, request) => {
      const topic = findTopic(context.log, request.params);
      const { records } = request.body as { records: readonly PostedRecord[] };
      return { offsets: await appendPosted(context.log, topic, records) };
    },
  },
  {
    method: 'GET',
    url: '/api/v1/topics/:topic/partitions/:partition/records',
    summary: 'Records of a partition from an offset on, keys and values as text (base64 where they are not UTF-8).',
    params: object({ topic: text('Name of the topic.'), partition: whole('Partition.', 0, 10_000) }, [
      'topic',
      'partition',
    ]),
    query: object({
      offset: { type: 'integer', description: 'First offset; negative counts from the end; default: the log start.' },
      limit: whole('At most this many; default 100.', 1, 10_000),
    }),
    handle: async ({ executor: { context } }, request) => {
      const topic = findTopic(context.log, request.params);
      const { partition } = request.params as { partition: number };
      const { offset, limit = 100 } = request.query as { offset?: number; limit?: number };
      if (partition >= topic.partitions) {
        throw new StreamError('NOT_FOUND', `topic "${topic.name}" has ${topic.partitions} partitions, counted from 0`);
      }
      return readRecords(context.log, topic.name, partition, offset, limit);
    },
  },
];

interface PostedRecord {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly partition?: number;
  readonly timestamp?: number;
}

export function findTopic(log: TopicLog, params: unknown): TopicInfo {
  const name = (params as { topic: string }).topic;
  const topic = log.describeTopic(name);
  if (topic === undefined)
    throw new StreamError('NOT_FOUND', `there is no topic "${name}"`, { hint: 'GET /api/v1/topics lists them' });
  return topic;
}

export function topicJson(log: TopicLog, topic: TopicInfo) {
  const partitions = Array.from({ length: topic.partitions }, (_, partition) => ({
    partition,
    ...log.bounds(topic.name, partition),
  }));
  return {
    name: topic.name,
    id: topic.id,
    records: partitions.reduce((sum, { logStart, highWatermark }) => sum + highWatermark - logStart, 0),
    partitions,
    config: topic.config,
  };
}

const posted = (value: unknown): Buffer | null =>
  value === undefined || value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

export async function appendPosted(log: TopicLog, topic: TopicInfo, records: readonly PostedRecord[]) {
  refuseInternal(topic.name);
  const byPartition = new Map<number, { at: number; record: NewRecord }[]>();
  records.forEach((one, at) => {
    const key = posted(one.key);
    const partition = one.partition ?? (key === null ? 0 : partitionOfKey(key, topic.partitions));
    if (partition >= topic.partitions) {
      throw new StreamError(
        'REQUEST_INVALID',
        `record ${at}: topic "${topic.name}" has no partition ${partition}; nothing was written`,
      );
    }
    const record: NewRecord = {
      key,
      value: posted(one.value),
      headers: Object.entries(one.headers ?? {}).map(([name, value]) => [name, Buffer.from(value)] as const),
      ...(one.timestamp === undefined ? {} : { timestampMs: one.timestamp }),
    };
    const list = byPartition.get(partition);
    if (list === undefined) byPartition.set(partition, [{ at, record }]);
    else list.push({ at, record });
  });
  const offsets = new Array<{ partition: number; offset: number }>(records.length);
  await Promise.all(
    [...byPartition].map(async ([partition, list]) => {
      const base = await log.append(
        topic.name,
        partition,
        list.map(({ record }) => record),
      );
      list.forEach(({ at }, i) => {
        offsets[at] = { partition, offset: base + i };
      });
    }),
  );
  return offsets;
}

const READ_BYTES = 1 << 20;

async function readRecords(log: TopicLog, topic: string, partition: number, from: number | undefined, limit: number) {
  const { logStart, highWatermark, offline } = log.bounds(topic, partition);
  if (offline !== undefined) throw new StreamError('STORAGE_FAILED', offline);
  const first = Math.max(logStart, from === undefined ? logStart : from < 0 ? highWatermark + from : from);
  const records: unknown[] = [];
  let offset = first;
  while (records.length < limit && offset < highWatermark) {
    const cursor = new RecordCursor(await log.read(topic, partition, offset, READ_BYTES));
    const before = offset;
    while (records.length < limit && cursor.next()) {
      if (cursor.offset < offset) continue;
      offset = cursor.offset + 1;
      const key = bytesJson(cursor.buffer, cursor.keyStart, cursor.keyEnd);
      const value = bytesJson(cursor.buffer, cursor.valueStart, cursor.valueEnd);
      records.push({ offset: cursor.offset, timestamp: new Date(cursor.timestampMs).toISOString(), key, value });
    }
    if (records.length < limit && cursor.endOffset > offset) offset = cursor.endOffset;
    if (offset === before) break;
  }
  return { topic, partition, logStart, highWatermark, nextOffset: offset, records };
}

/** Text, or `{"base64": …}` when the bytes are not UTF-8. */
function bytesJson(buffer: Buffer, start: number, end: number): unknown {
  if (end < 0) return null;
  const bytes = buffer.subarray(start, end);
  const textual = bytes.toString('utf8');
  return Buffer.from(textual, 'utf8').equals(bytes) ? textual : { base64: bytes.toString('base64') };
}
