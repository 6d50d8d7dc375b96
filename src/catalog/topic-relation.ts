import type { Scan } from '../../streamql/plan/plan.ts';
import { StreamError } from '../lib/errors.ts';
import { isInternalTopic } from '../ports/internal-topics.ts';
import type { Relation } from '../ports/relations.ts';
import type { TopicInfo, TopicLog } from '../ports/topic-log.ts';
import { RecordCursor } from '../protocol/records.ts';
import type { Batch, ColumnSchema } from '../values/batch.ts';
import { ColumnBuilder } from '../values/column.ts';
import { BIGINT, INTEGER, TIMESTAMP, VARCHAR } from '../values/types.ts';

export const usersTopics = (log: TopicLog): TopicInfo[] =>
  log.listTopics().filter(({ name }) => !isInternalTopic(name));

/** REQUEST_INVALID for a topic of our own: people may read it and nothing else. */
export function refuseInternal(topic: string): void {
  if (!isInternalTopic(topic)) return;
  throw new StreamError('REQUEST_INVALID', `topic "${topic}" is the server's own and can only be read`, {
    hint: 'take another name',
  });
}

/** Ids of topics named in a pull query without a source over them. */
export const TOPIC_RELATION_PREFIX = 'topic:';

export const KEY_COLUMN = 0;

const COLUMNS: readonly ColumnSchema[] = [
  { name: 'key', type: VARCHAR, nullable: true },
  { name: 'value', type: VARCHAR, nullable: true },
  { name: '_partition', type: INTEGER, nullable: false },
  { name: '_offset', type: BIGINT, nullable: false },
  { name: '_timestamp', type: TIMESTAMP, nullable: false },
];

/** Any topic as rows, for pull queries: key and value read as UTF-8. */
export function topicRelation(topic: TopicInfo): Relation {
  return {
    id: TOPIC_RELATION_PREFIX + topic.name,
    name: topic.name,
    kind: 'source',
    columns: COLUMNS,
    key: null,
    changelog: 'append',
  };
}

const CHUNK_BYTES = 1 << 20;

/** Calls `onBatch` with the records that were readable when it began, chunk by chunk; with a key only with those that have it. */
export async function readTopic(
  log: TopicLog,
  scan: Scan,
  key: string | undefined,
  onBatch: (batch: Batch) => Promise<boolean>,
): Promise<void> {
  // Bytes that are not UTF-8 are read as this character.
  const wanted = key === undefined || key.includes('\ufffd') ? undefined : Buffer.from(key);
  const topic = scan.relation.slice(TOPIC_RELATION_PREFIX.length);
  const partitions = log.describeTopic(topic)?.partitions ?? 0;
  for (let partition = 0; partition < partitions; partition++) {
    const { logStart, highWatermark, offline } = log.bounds(topic, partition);
    if (offline !== undefined) throw new StreamError('STORAGE_FAILED', offline);
    let offset = logStart;
    for (;;) {
      if (wanted) offset = await log.seekKey(topic, partition, offset, wanted);
      if (offset >= highWatermark) break;
      const cursor = new RecordCursor(await log.read(topic, partition, offset, CHUNK_BYTES));
      const builders = scan.columns.map((column) => new ColumnBuilder(COLUMNS[column].type, 1024));
      let rows = 0;
      while (cursor.next()) {
        if (cursor.offset < offset || cursor.offset >= highWatermark) continue;
        if (wanted && !hasKey(cursor, wanted)) continue;
        const text = (start: number, end: number) => (end < 0 ? null : cursor.buffer.toString('utf8', start, end));
        const row = [
          () => text(cursor.keyStart, cursor.keyEnd),
          () => text(cursor.valueStart, cursor.valueEnd),
          () => partition,
          () => cursor.offset,
          () => cursor.timestampMs * 1000,
        ];
        scan.columns.forEach((column, i) => {
          builders[i].push(row[column]());
        });
        rows++;
      }
      if (
        rows > 0 &&
        !(await onBatch({ length: rows, columns: builders.map((builder) => builder.finish()), weights: null }))
      )
        return;
      // Beyond the records: what is left of a chunk may be markers of transactions.
      if (cursor.endOffset <= offset) break;
      offset = cursor.endOffset;
    }
  }
}

const hasKey = ({ buffer, keyStart, keyEnd }: RecordCursor, key: Buffer): boolean =>
  keyEnd >= 0 && keyEnd - keyStart === key.length && buffer.compare(key, 0, key.length, keyStart, keyEnd) === 0;
