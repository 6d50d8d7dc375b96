import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import { StreamError } from '../../../../src/lib/errors.ts';
import { type Log, silentLog } from '../../../../src/lib/log.ts';
import type { Disk } from '../../../../src/ports/disk.ts';
import type { SinkSpec, SourceSpec, StreamEngine, ViewSpec } from '../../../../src/ports/engine.ts';
import type { Sink, SinkContext, SinkKind, SinkToken } from '../../../../src/ports/sink.ts';
import type { NewRecord, TopicInfo, TopicLog } from '../../../../src/ports/topic-log.ts';
import { encodeBatch } from '../../../../src/protocol/records.ts';
import { type Batch, type ColumnSchema, rowAt, weightAt } from '../../../../src/values/batch.ts';
import { HIDDEN_COLUMNS } from '../../../../src/values/hidden-columns.ts';
import { BIGINT, type Datum, type SqlType, TIMESTAMP, VARCHAR } from '../../../../src/values/types.ts';
import { createEngine } from '../../../../streamql/engine/engine.ts';
import { localLogReader } from '../../../../streamql/engine/runtime/log-reader.ts';
import type { EngineSettings } from '../../../../streamql/engine/runtime/settings.ts';
import type { Plan } from '../../../../streamql/plan/plan.ts';

interface StoredBatch {
  readonly first: number;
  readonly end: number;
  readonly bytes: Buffer;
}

/** A log in memory, with the contract of src/ports/topic-log.ts. */
export class FakeLog implements TopicLog {
  readonly topics = new Map<string, { id: string; partitions: StoredBatch[][]; starts: number[] }>();
  readonly #listeners = new Set<(topic: string) => void>();
  reads = 0;

  describeTopic(topic: string): TopicInfo | undefined {
    const found = this.topics.get(topic);
    return found && { name: topic, id: found.id, partitions: found.partitions.length, config: {} };
  }

  listTopics(): TopicInfo[] {
    return [...this.topics.keys()].map((topic) => this.describeTopic(topic)!);
  }

  async createTopic(topic: string, { partitions }: { partitions: number }): Promise<TopicInfo> {
    const lists = Array.from({ length: partitions }, () => []);
    this.topics.set(topic, { id: `${topic}-${this.topics.size}`, partitions: lists, starts: lists.map(() => 0) });
    this.#tell(topic);
    return this.describeTopic(topic)!;
  }

  async deleteTopic(topic: string): Promise<void> {
    this.topics.delete(topic);
    this.#tell(topic);
  }

  addPartition(topic: string): void {
    this.topics.get(topic)!.partitions.push([]);
    this.topics.get(topic)!.starts.push(0);
    this.#tell(topic);
  }

  bounds(topic: string, partition: number): { logStart: number; highWatermark: number } {
    const found = this.topics.get(topic)!;
    return { logStart: found.starts[partition], highWatermark: found.partitions[partition].at(-1)?.end ?? 0 };
  }

  async read(topic: string, partition: number, offset: number, maxBytes: number): Promise<Uint8Array> {
    this.reads++;
    const batches = this.topics.get(topic)?.partitions[partition];
    if (batches === undefined) throw new StreamError('NOT_FOUND', `no topic ${topic}`);
    const from = batches.findIndex((batch) => batch.end > offset);
    const out: Buffer[] = [];
    let bytes = 0;
    for (let i = from < 0 ? batches.length : from; i < batches.length; i++) {
      if (out.length > 0 && bytes + batches[i].bytes.length > maxBytes) break;
      out.push(batches[i].bytes);
      bytes += batches[i].bytes.length;
    }
    return Buffer.concat(out);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const batches = this.topics.get(topic)!.partitions[partition];
    const first = batches.at(-1)?.end ?? 0;
    const bytes = encodeBatch(records, { baseOffset: first, defaultTimestampMs: 1_700_000_000_000 });
    batches.push({ first, end: first + records.length, bytes });
    this.#tell(topic);
    return first;
  }

  /** Values as JSON; a string stands for itself. */
  async produce(
    topic: string,
    partition: number,
    values: readonly unknown[],
    keys?: readonly (string | null)[],
  ): Promise<void> {
    await this.append(
      topic,
      partition,
      values.map((value, i) => ({
        key: keys?.[i] == null ? null : Buffer.from(keys[i]!),
        value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
      })),
    );
  }

  async seekKey(_topic: string, _partition: number, offset: number): Promise<number> {
    return offset;
  }

  onChange(listener: (topic: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(topic: string): void {
    for (const listener of this.#listeners) listener(topic);
  }
}

export const column = (name: string, type: SqlType): ColumnSchema => ({ name, type, nullable: true });

/** Columns id, grp, n, at; at is a time in microseconds for watermarks. */
export const ORDERS: readonly ColumnSchema[] = [
  column('id', BIGINT),
  column('grp', VARCHAR),
  column('n', BIGINT),
  column('at', TIMESTAMP),
];

export function source(id: string, more: Partial<SourceSpec> = {}): SourceSpec {
  const columns = [...ORDERS, ...HIDDEN_COLUMNS];
  const base = { kind: 'source', id, name: id, topic: id, format: 'json', columns, primaryKey: null } as const;
  return { ...base, watermark: null, late: 'update', idleTimeoutMs: 0, ...more };
}

export function scan(
  relation: string,
  columns: readonly number[],
  of: readonly ColumnSchema[],
  changelog = 'append',
): Plan {
  const schema = columns.map((position) => of[position]);
  return { op: 'scan', relation, name: relation, columns, changelog: changelog as 'append', schema };
}

/** SELECT <group>, count(*), sum(<sum>) GROUP BY <group>. */
export function countAndSum(input: Plan, group: number, sum: number): Plan {
  return {
    op: 'aggregate',
    input,
    groupBy: [group],
    aggregates: [
      { fn: 'count', arg: null, distinct: false, filter: null, type: BIGINT },
      { fn: 'sum', arg: sum, distinct: false, filter: null, type: BIGINT },
    ],
    schema: [input.schema[group], column('count', BIGINT), column('sum', BIGINT)],
  };
}

export function view(id: string, plan: Plan, key: readonly number[] | null = null): ViewSpec {
  return { kind: 'view', id, name: id, columns: plan.schema, key, plan, ephemeral: false };
}

export function sink(id: string, plan: Plan, appendOnly = true): SinkSpec {
  return { kind: 'sink', id, name: id, columns: plan.schema, plan, sinkKind: 'recording', appendOnly, options: {} };
}

export function rowsOf(batch: Batch): Datum[][] {
  const rows: Datum[][] = [];
  for (let i = 0; i < batch.length; i++) {
    for (let copy = weightAt(batch, i); copy > 0; copy--) rows.push(rowAt(batch, i));
  }
  const text = (row: Datum[]) => JSON.stringify(row, (_, datum) => (typeof datum === 'bigint' ? `${datum}n` : datum));
  return rows.sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

export async function rowsIn(engine: StreamEngine, id: string, width: number): Promise<Datum[][]> {
  const { batches } = await engine.snapshot([{ id, columns: Array.from({ length: width }, (_, i) => i) }]);
  return rowsOf(batches[0]);
}

/** STREAMLINE_TEST_SHARDS=2 runs every engine of these tests in so many shards. */
const SHARDS = Number(process.env['STREAMLINE_TEST_SHARDS'] ?? 1);

export async function openEngine(
  log: TopicLog,
  more: {
    clock?: Clock;
    disk?: Disk | null;
    sinks?: readonly SinkKind[];
    settings?: Partial<EngineSettings>;
    logger?: Log;
    shards?: number;
    dataDir?: string;
    readsWait?: () => boolean;
  } = {},
): Promise<StreamEngine> {
  return createEngine({
    log: localLogReader(log),
    disk: more.disk ?? null,
    clock: more.clock ?? systemClock,
    logger: more.logger ?? silentLog,
    sinks: more.sinks ?? [],
    dataDir: more.dataDir ?? '/nowhere',
    shards: more.shards ?? SHARDS,
    ...(more.readsWait === undefined ? {} : { readsWait: more.readsWait }),
    settings: { epochIntervalMs: 1, checkpointIntervalMs: 20, ...more.settings },
  });
}

/** What survives a crash of the process: what was staged, what was published. */
export class RecordingTarget {
  staged = new Map<number, Datum[][]>();
  rows: Datum[][] = [];
  lastEpoch = 0;
  /** Called before and after each step; throws to fail it. */
  at: (step: 'prepare' | 'prepared' | 'commit' | 'committed') => void = () => undefined;
  opens = 0;
}

export function recordingSink(target: RecordingTarget): SinkKind {
  return {
    name: 'recording',
    options: [],
    create: (_context: SinkContext): Sink => ({
      async open() {
        target.opens++;
      },
      async prepare(epoch: number, batches: readonly Batch[]): Promise<SinkToken> {
        target.at('prepare');
        target.staged.set(epoch, batches.flatMap(rowsOf));
        target.at('prepared');
        return { epoch };
      },
      async commit(epoch: number) {
        target.at('commit');
        if (epoch <= target.lastEpoch) return;
        const staged = target.staged.get(epoch);
        if (staged === undefined) throw new StreamError('SINK_REJECTED', `epoch ${epoch} was never staged`);
        target.rows.push(...staged);
        target.lastEpoch = epoch;
        target.at('committed');
      },
      async recover(lastEpoch: number) {
        for (const epoch of [...target.staged.keys()]) if (epoch > lastEpoch) target.staged.delete(epoch);
      },
      async close() {},
    }),
  };
}
