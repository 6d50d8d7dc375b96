import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import type { ViewChange } from '../../../src/ports/engine.ts';
import { type Batch, type ColumnSchema, concatBatches } from '../../../src/values/batch.ts';
import { type Datum, sameType } from '../../../src/values/types.ts';
import type { StoredRows } from '../state/join-rows.ts';
import { consolidate } from './consolidate.ts';
import { without } from './record-decoder.ts';
import { SecondaryIndex } from './secondary-index.ts';

/** The rows that a relation holds; a source has none, its rows are in the log. */
export interface RelationRows {
  /** Weights expanded; at most `limit` rows. */
  scan(columns: readonly number[], limit: number): Batch;
  /** Rows whose key begins with these values; null when the relation has no key. */
  readonly lookup: ((key: readonly Datum[], limit: number) => Batch) | null;
  /** As joins read them by these columns; absent or null where they are not kept so. */
  readonly by?: (columns: readonly number[]) => StoredRows | null;
}

/** One input of a query that follows a relation. */
export interface Reader {
  /** Positions in the relation's columns. */
  readonly columns: readonly number[];
  /** It gets no late rows. */
  readonly dropsLate: boolean;
  push(batch: Batch): void;
}

/** Gives readers what is theirs of a batch that has the columns of `layout`. */
export function distribute(readers: Iterable<Reader>, batch: Batch, layout: readonly number[] | null): void {
  let punctual: Batch | undefined;
  for (const reader of readers) {
    let own = batch;
    if (batch.late !== undefined && reader.dropsLate) {
      punctual ??= without(batch, batch.late);
      own = punctual;
    }
    if (own.length > 0) reader.push(selectColumns(own, layout, reader.columns));
  }
}

export interface Subscriber {
  readonly onChange: (change: ViewChange) => void;
  /** Set until the first call: whether that is a snapshot. */
  starting: { readonly snapshot: boolean } | null;
  /** Where it is among the subscribers. */
  relation: Relation;
}

/** Something that can be read by name: a source, a table, a view, dead letters. Hands changes on to those who follow it. */
export class Relation {
  readonly id: string;
  /** Id of the object it belongs to. */
  readonly owner: string;
  readonly columns: readonly ColumnSchema[];
  readonly rows: RelationRows | null;
  readonly readers = new Set<Reader>();
  readonly subscribers = new Set<Subscriber>();
  #indexes: readonly SecondaryIndex[] = [];
  /** Of several shards: the first one has subscribers, and gets what the others have for them. */
  isWatched = false;
  /** One of them wants the rows at the end of the next epoch. */
  isStarting = false;
  /** Rows that other shards hold, for who starts. */
  #elsewhere: Batch[] = [];
  /** This epoch's changes, kept only for subscribers. */
  #changes: Batch[] = [];

  constructor(id: string, owner: string, columns: readonly ColumnSchema[], rows: RelationRows | null) {
    this.id = id;
    this.owner = owner;
    this.columns = columns;
    this.rows = rows;
  }

  get indexes(): readonly SecondaryIndex[] {
    return this.#indexes;
  }

  /** Between epochs: exactly these; those that were there stay. */
  setIndexes(wanted: readonly (readonly number[])[]): void {
    const same = (index: SecondaryIndex, columns: readonly number[]): boolean =>
      index.columns.join() === columns.join();
    for (const index of this.#indexes)
      if (!wanted.some((columns) => same(index, columns))) this.readers.delete(index.reader);
    this.#indexes = wanted.map((columns) => {
      const known = this.#indexes.find((index) => same(index, columns));
      if (known !== undefined) return known;
      const index = new SecondaryIndex(this.columns, columns, this.#scanAll());
      this.readers.add(index.reader);
      return index;
    });
  }

  /** NOT_FOUND when there is no such index. */
  lookupBy(columns: readonly number[], key: readonly Datum[], limit: number): Batch {
    const index = this.#indexes.find((one) => one.columns.join() === columns.join());
    if (index === undefined) throw new StreamError('NOT_FOUND', `${this.id} has no such index`);
    return index.lookup(key, limit);
  }

  /** `layout`: which of the relation's columns the batch has, in order; null for all. */
  publish(batch: Batch, layout: readonly number[] | null): void {
    distribute(this.readers, batch, layout);
    if (this.isFollowed) this.#changes.push(batch);
  }

  /** Somebody wants each epoch's changes, here or through another shard. */
  get isFollowed(): boolean {
    return this.subscribers.size > 0 || this.isWatched;
  }

  /** For the first shard: this epoch's changes, and behind them the rows, if somebody starts. */
  forward(): { batches: Batch[]; withRows: boolean } {
    const changes = this.#changes;
    this.#changes = [];
    const withRows = this.isStarting;
    this.isStarting = false;
    return { batches: withRows ? [...changes, this.#scanAll()] : changes, withRows };
  }

  /** In the first shard: what another one forwarded. */
  merge(batches: readonly Batch[], withRows: boolean): void {
    this.#changes.push(...(withRows ? batches.slice(0, -1) : batches));
    if (withRows) this.#elsewhere.push(batches[batches.length - 1]);
  }

  /** At the end of an epoch. A subscriber that is not `live` yet (the view still catches up) waits on. */
  notify(epoch: number, live: boolean): void {
    const changes = this.#changes;
    if (changes.length > 0) this.#changes = [];
    if (!live) return;
    this.isStarting = false;
    if (this.subscribers.size === 0) {
      this.#elsewhere = [];
      return;
    }
    let batch: Batch | null | undefined;
    for (const subscriber of [...this.subscribers]) {
      if (subscriber.starting !== null) {
        this.start(subscriber, epoch);
        continue;
      }
      if (changes.length === 0) continue;
      if (batch === undefined)
        batch = consolidate(
          this.columns.map((column) => column.type),
          changes,
        );
      if (batch !== null) this.#tell(subscriber, { epoch, snapshot: false, batch });
    }
    this.#elsewhere = [];
  }

  /** The first call, if a snapshot is wanted; later epochs' changes follow. Only between epochs. */
  start(subscriber: Subscriber, epoch: number): void {
    const snapshot = subscriber.starting?.snapshot ?? false;
    subscriber.starting = null;
    if (!snapshot || this.rows === null) return;
    const types = this.columns.map((column) => column.type);
    const batch =
      this.#elsewhere.length === 0 ? this.#scanAll() : concatBatches(types, [this.#scanAll(), ...this.#elsewhere]);
    this.#tell(subscriber, { epoch, snapshot: true, batch });
  }

  #scanAll(): Batch {
    const all = this.columns.map((_, i) => i);
    return this.rows?.scan(all, Number.POSITIVE_INFINITY) ?? { length: 0, columns: [], weights: null };
  }

  /**
   * All subscriptions go on with another relation, whose rows differ by what they are told now; `hasAll` false: other shards hold rows too, so they
   * begin anew with all rows.
   */
  handOver(to: Relation, epoch: number, hasAll: boolean): void {
    if (this.subscribers.size === 0) return;
    const same =
      this.columns.length === to.columns.length &&
      this.columns.every(({ name, type }, i) => name === to.columns[i].name && sameType(type, to.columns[i].type));
    if (!same) {
      this.end(epoch, new StreamError('CANCELLED', 'the view was replaced by one with other columns'));
      return;
    }
    const old = this.#scanAll();
    const gone = { ...old, weights: new Int32Array(old.length).fill(-1) };
    const types = this.columns.map((column) => column.type);
    const batch = hasAll ? consolidate(types, [gone, to.#scanAll()]) : null;
    for (const subscriber of [...this.subscribers]) {
      this.subscribers.delete(subscriber);
      to.subscribers.add(subscriber);
      subscriber.relation = to;
      if (!hasAll) subscriber.starting ??= { snapshot: true };
      else if (subscriber.starting !== null) to.start(subscriber, epoch);
      else if (batch !== null) to.#tell(subscriber, { epoch, snapshot: false, batch });
    }
  }

  /** Ends all subscriptions. */
  end(epoch: number, error: StreamError): void {
    const batch: Batch = { length: 0, columns: [], weights: null };
    for (const subscriber of [...this.subscribers]) {
      this.subscribers.delete(subscriber);
      const { code, detail } = error.toJSON();
      this.#tell(subscriber, { epoch, snapshot: false, batch, error: { code, detail } });
    }
  }

  /** A subscriber that throws loses its subscription; the view is not to blame. */
  #tell(subscriber: Subscriber, change: ViewChange): void {
    try {
      subscriber.onChange(change);
    } catch (thrown) {
      this.subscribers.delete(subscriber);
      if (change.error !== undefined) return;
      const { code, detail } = asStreamError(thrown).toJSON();
      const ended = { ...change, batch: { length: 0, columns: [], weights: null }, error: { code, detail } };
      this.#tell(subscriber, ended);
    }
  }
}

/** The columns `wanted` of a batch that has those of `layout`. */
export function selectColumns(batch: Batch, layout: readonly number[] | null, wanted: readonly number[]): Batch {
  const columns = wanted.map((column) => batch.columns[layout === null ? column : layout.indexOf(column)]);
  const { length, weights, origin } = batch;
  return origin === undefined ? { length, columns, weights } : { length, columns, weights, origin };
}
