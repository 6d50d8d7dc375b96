import { asStreamError, type StreamError } from '../../../src/lib/errors.ts';
import type { SourceSpec } from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { DEAD_LETTER_COLUMNS, historyColumns } from '../../../src/values/hidden-columns.ts';
import type { StateTable } from '../operator.ts';
import type { ObjectEntry } from './checkpoint-store.ts';
import { type DeadLetter, DeadLetters, isPowerOfTwo } from './dead-letters.ts';
import type { TopicState } from './log-reader.ts';
import { AppendDecoder, type DecodedOutput, type RecordDecoder } from './record-decoder.ts';
import { type Reader, Relation, selectColumns } from './relation.ts';
import { type CursorParts, type CursorState, SourceCursor } from './source-cursor.ts';
import { TableDecoder, type WriteChanges } from './table-decoder.ts';
import { TableHistory } from './table-history.ts';
import { TableStore } from './table-store.ts';
import { Watermark } from './watermark.ts';

/** Rows without a value from which on a column is suspected to have another name. */
const MANY_NULLS = 10;

/** The relation over dead letters, with their rows. */
export function deadLetterRelation(id: string, owner: string, letters: DeadLetters): Relation {
  const scan = (columns: readonly number[], limit: number): Batch => selectColumns(letters.scan(limit), null, columns);
  return new Relation(id, owner, DEAD_LETTER_COLUMNS, { scan, lookup: null });
}

/**
 * A topic as a relation: one shared reader that all queries follow once they have caught up. A source's rows are in the log; a table's
 * (primary key) are kept here too.
 */
export class SourceNode {
  readonly kind = 'source';
  spec: SourceSpec;
  readonly cursor: SourceCursor;
  readonly relation: Relation;
  readonly errors = new DeadLetters('errors');
  readonly late = new DeadLetters('late');
  readonly store: TableStore | null;
  /** Of a table: each version of each row, as rows that only come. */
  readonly history: Relation | null;
  readonly relations: readonly Relation[];
  readonly watermark: Watermark;
  /** Readers of their own that queries have while they catch up. They want the same news of the topic. */
  readonly followers = new Set<SourceCursor>();
  error: StreamError | null = null;
  /** Reads nothing; queries that catch up do, as far as it came. */
  paused = false;
  rows = 0;
  lateRows = 0;
  /** Reading and decoding. */
  busyMs = 0;
  readonly #parts: CursorParts;
  readonly #errorsRelation: Relation;
  readonly #lateRelation: Relation;
  /** Columns decoded now; null for a table, which has all. */
  #layout: readonly number[] | null;
  #topic: TopicState | undefined;
  isTopicGone = false;
  /** Columns that had a value since the start, and how many rows were read of those that had none. */
  readonly #filled = new Set<number>();
  readonly #nulls = new Map<number, number>();

  constructor(spec: SourceSpec, parts: CursorParts, entry: ObjectEntry | null) {
    this.spec = spec;
    this.#parts = parts;
    this.store = spec.primaryKey === null ? null : new TableStore(spec.columns, spec.primaryKey);
    this.#layout = this.store === null ? [] : null;
    this.relation = new Relation(spec.id, spec.id, spec.columns, this.store);
    this.#errorsRelation = deadLetterRelation(`${spec.id}$errors`, spec.id, this.errors);
    this.#lateRelation = deadLetterRelation(`${spec.id}$late`, spec.id, this.late);
    const columns = historyColumns(spec.columns, spec.primaryKey ?? []);
    this.history = this.store === null ? null : new Relation(`${spec.id}$history`, spec.id, columns, null);
    this.relations = [
      this.relation,
      ...(this.history === null ? [] : [this.history]),
      this.#errorsRelation,
      ...(spec.late === 'dead_letter' ? [this.#lateRelation] : []),
    ];
    this.cursor = new SourceCursor(spec, this.#decoder(), this.#output, parts, entry?.cursor ?? null);
    this.watermark = new Watermark(
      spec.watermark?.delayMicros ?? 0,
      spec.watermark === null ? 0 : spec.idleTimeoutMs,
      entry?.counts?.watermark ?? null,
    );
    // Counts of all shards are one sum, which the first one goes on with.
    if (parts.isFirst) {
      this.rows = entry?.counts?.rows ?? 0;
      this.lateRows = entry?.counts?.late ?? 0;
    }
  }

  get letters(): readonly DeadLetters[] {
    return [this.errors, this.late];
  }

  owns(partition: number): boolean {
    return this.#parts.owns(partition);
  }

  /** What queries read from the log's start: the source's rows, or the table's history. */
  get logged(): Relation {
    return this.history ?? this.relation;
  }

  get isReading(): boolean {
    return this.error === null && !this.paused;
  }

  get isTable(): boolean {
    return this.store !== null;
  }

  get tables(): readonly StateTable[] {
    return [this.errors.table, this.late.table, ...(this.store === null ? [] : [this.store.table])];
  }

  load(_entry: ObjectEntry, restore: () => void): void {
    restore();
    this.errors.loaded();
    this.late.loaded();
  }

  /** Takes over news of the topic, for everyone who reads it. */
  update(state: TopicState | undefined): void {
    if (state === undefined && this.#topic !== undefined)
      this.#parts.logger.warn('source.topic_gone', { source: this.spec.name, topic: this.spec.topic });
    this.isTopicGone = state === undefined;
    this.#topic = state;
    this.cursor.update(state);
    for (const follower of this.followers) follower.update(state);
  }

  /** A reader of its own over the same topic, from `from` or the log's start. Its dead letters are told once, here. */
  openCursor(wanted: readonly number[], onBatch: (batch: Batch) => void, from: CursorState | null): SourceCursor {
    const output: DecodedOutput = {
      onBatch: (batch) => {
        if (this.store === null) this.#lookAt(batch, wanted);
        onBatch(batch);
      },
      onMalformed: this.#output.onMalformed,
      // The shared reader was there before and has told them.
      onLate: () => undefined,
    };
    const decoder = logDecoder(this.spec, wanted, this.#parts.settings.batchRecords, output);
    const cursor = new SourceCursor(this.spec, decoder, output, this.#parts, from);
    this.followers.add(cursor);
    cursor.update(this.#topic);
    return cursor;
  }

  closeCursor(cursor: SourceCursor): void {
    this.followers.delete(cursor);
    cursor.close();
  }

  /** Between epochs: the shared reader decodes what its readers now want. */
  readersChanged(): void {
    if (this.#layout === null) return;
    const wanted = new Set<number>();
    for (const reader of this.relation.readers) for (const column of reader.columns) wanted.add(column);
    const layout = [...wanted].sort((a, b) => a - b);
    if (layout.length === this.#layout.length && layout.every((column, i) => column === this.#layout?.[i])) return;
    this.#layout = layout;
    this.cursor.decoder = this.#decoder();
  }

  publishLetters(): void {
    const errors = this.errors.takeChanges();
    if (errors !== null) this.#errorsRelation.publish(errors, null);
    const late = this.late.takeChanges();
    if (late !== null) this.#lateRelation.publish(late, null);
  }

  close(): void {
    this.cursor.close();
    for (const follower of this.followers) follower.close();
  }

  #decoder(): RecordDecoder {
    const { batchRecords } = this.#parts.settings;
    if (this.store !== null) return new TableDecoder(this.spec, batchRecords, this.#writer(this.store), this.#output);
    return new AppendDecoder(this.spec, this.#layout ?? [], batchRecords, this.#output);
  }

  /** Columns that are decoded now, of a source. */
  get layout(): readonly number[] {
    return this.#layout ?? [];
  }

  publish(batch: Batch): void {
    if (this.#layout !== null) this.#lookAt(batch, this.#layout);
    if (batch.weights === null) this.rows += batch.length;
    this.relation.publish(batch, this.#layout);
  }

  /** Declared columns that were NULL in all of so many rows: most likely they are called otherwise in the records. */
  get emptyColumns(): string[] {
    return [...this.#nulls].flatMap(([column, rows]) => (rows >= MANY_NULLS ? [this.spec.columns[column].name] : []));
  }

  #lookAt(batch: Batch, layout: readonly number[]): void {
    layout.forEach((column, i) => {
      if (this.#filled.has(column) || this.spec.columns[column].hidden) return;
      const { nulls } = batch.columns[i];
      const first = nulls === null ? 0 : nulls.indexOf(0);
      if (first >= 0 && first < batch.length) {
        this.#filled.add(column);
        this.#nulls.delete(column);
      } else this.#nulls.set(column, (this.#nulls.get(column) ?? 0) + batch.length);
    });
  }

  countLate(count: number, letters: readonly DeadLetter[]): void {
    this.lateRows += count;
    for (const letter of letters) this.late.add(letter);
  }

  #writer(store: TableStore): WriteChanges {
    const history = new TableHistory(this.spec);
    return (columns, length, deletes, maxTime) => {
      if (this.history !== null && this.history.readers.size > 0)
        this.history.publish(history.versions(columns, length, deletes, maxTime), null);
      const { old, fresh } = store.write(columns, length, deletes);
      if (old !== null) this.#output.onBatch(old);
      if (fresh !== null) this.#output.onBatch(fresh);
    };
  }

  readonly #output: DecodedOutput = {
    onBatch: (batch) => this.publish(batch),
    onMalformed: (letter) => {
      if (this.errors.add(letter) && isPowerOfTwo(this.errors.total)) {
        const { code, reason, partition, offset } = letter;
        const { name } = this.spec;
        this.#parts.logger.warn('record.refused', {
          source: name,
          code,
          reason,
          partition,
          offset,
          total: this.errors.total,
        });
      }
    },
    onLate: (count, letters) => this.countLate(count, letters),
  };
}

/** Decodes the columns `wanted` of `SourceNode.logged`. */
export function logDecoder(
  spec: SourceSpec,
  wanted: readonly number[],
  batchRecords: number,
  output: DecodedOutput,
): RecordDecoder {
  if (spec.primaryKey === null) return new AppendDecoder(spec, wanted, batchRecords, output);
  const history = new TableHistory(spec);
  const write: WriteChanges = (columns, length, deletes, maxTime) =>
    output.onBatch(selectColumns(history.versions(columns, length, deletes, maxTime), null, wanted));
  return new TableDecoder(spec, batchRecords, write, output);
}

/** A reader whose push may fail without harm to whoever publishes. */
export function guardedReader(
  { columns, dropsLate }: Pick<Reader, 'columns' | 'dropsLate'>,
  push: (batch: Batch) => void,
  onFailure: (error: StreamError) => void,
): Reader {
  return {
    columns,
    dropsLate,
    push(batch) {
      try {
        push(batch);
      } catch (thrown) {
        onFailure(asStreamError(thrown));
      }
    },
  };
}
