import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import type { SinkSpec, ViewSpec } from '../../../src/ports/engine.ts';
import { type Batch, type ColumnSchema, gatherBatch } from '../../../src/values/batch.ts';
import { changelogOf } from '../../plan/changelog.ts';
import { resultPartitioning, type Spread } from '../../plan/partitioning.ts';
import { buildPipeline } from '../build.ts';
import type { Pipeline, PipelineError, StateTable } from '../operator.ts';
import { ArrangedStore } from '../operators/arranged-store.ts';
import type { JoinOperator } from '../operators/join.ts';
import { ViewStore } from '../operators/view-store.ts';
import type { Peers, Waiting } from '../shards/peers.ts';
import type { Stores } from '../shared-side.ts';
import { isShared } from '../sharing.ts';
import { ScratchFiles } from '../state/scratch-files.ts';
import { Allowance } from './allowance.ts';
import type { ObjectEntry } from './checkpoint-store.ts';
import { consolidate } from './consolidate.ts';
import { DEAD_LETTER_VALUE_BYTES, type DeadLetter, DeadLetters, isPowerOfTwo } from './dead-letters.ts';
import { HeldChanges } from './held-changes.ts';
import { type Reader, Relation } from './relation.ts';
import type { SinkWriter } from './sink-writer.ts';
import type { SourceCursor } from './source-cursor.ts';
import { deadLetterRelation, guardedReader, type SourceNode } from './source-node.ts';
import { ViewHistory } from './view-history.ts';

/** How a query runs: its plan's operators and what feeds them. */
export interface Wiring {
  readonly pipeline: Pipeline;
  readonly inputs: readonly QueryInput[];
}

/** One leaf of a query: which input of the pipeline follows which relation. */
export interface QueryInput {
  readonly relation: Relation;
  readonly reader: Reader;
  readonly isLookedUp: boolean;
}

/**
 * A view or a sink: a pipeline, what it feeds, and what it reads. Until it has read as far as the shared readers of its sources it reads
 * them itself (`catchingUp`); then it takes the present rows of the views and tables it reads, and from there on follows along with all.
 */
export class QueryNode {
  readonly kind: 'view' | 'sink';
  spec: ViewSpec | SinkSpec;
  pipeline: Pipeline;
  inputs: readonly QueryInput[];
  readonly errors = new DeadLetters('errors');
  readonly store: ViewStore | ArrangedStore | null;
  /** The past of its rows; null when it is not kept. */
  history: ViewHistory | null = null;
  readonly writer: SinkWriter | null;
  readonly relation: Relation | null;
  readonly relations: readonly Relation[];
  readonly #errorsRelation: Relation;
  /** Own readers by source; null once it follows along. */
  catchingUp: Map<SourceNode, SourceCursor> | null = new Map();
  /** Whether it has the rows that it looks others up in, and follows them: before it reads anything else. */
  followsLookups = false;
  /** How fast it may catch up. */
  readonly allowance: Allowance | null;
  /** Takes in nothing: its own readers stand where the shared ones were, changes of views and tables are held. */
  paused = false;
  /** Where state is that went beyond memory; null while all is in it. */
  spilled: ScratchFiles | null = null;
  /** Its sink has enough to write: until that has some of it written, the query reads nothing. */
  heldUp = false;
  /** Why the engine itself paused it. */
  halted: StreamError | null = null;
  /** Whether it has followed along before: then its rows are good, though old, while it catches up after a pause. */
  wasLive = false;
  /** While it is paused or catches up after that: what came of inputs that keep rows, by input. */
  readonly held = new Map<number, { readonly changes: HeldChanges; readonly reader: Reader }>();
  /** Has input that `endEpoch` has not seen; at first for what comes without any. */
  touched = true;
  error: StreamError | null = null;
  rowsOut = 0;
  /** Changes for windows that were closed, since the start. */
  lateRows = 0;
  /** Keeping results, or gathering them for the sink. */
  endMs = 0;
  /** Operators taking in batches: part of the time that whoever published them took. */
  pushMs = 0;
  readonly #isAlone: boolean;
  /** A sink to which several shards' changes come. */
  readonly #gathers: boolean;
  readonly #peers: Peers | null;
  readonly #readsStores: boolean;
  readonly #onFailure: (node: QueryNode, error: StreamError) => void;
  readonly #nowMs: () => number;
  readonly #onLetter: (node: QueryNode, letter: DeadLetter) => void;
  readonly #onRowRefused: (fields: Record<string, unknown>) => void;
  #out: Batch[] = [];

  constructor(
    spec: ViewSpec | SinkSpec,
    parts: {
      relation: (id: string) => Relation;
      writer: SinkWriter | null;
      nowMs: () => number;
      peers: Peers | null;
      /** Its joins read what others keep. Not where it holds back what those have taken in already. */
      readsStores: boolean;
      onFailure: (node: QueryNode, error: StreamError) => void;
      onLetter: (node: QueryNode, letter: DeadLetter) => void;
      /** For the log: some of the rows that went to the dead letters. */
      onRowRefused: (fields: Record<string, unknown>) => void;
    },
  ) {
    this.kind = spec.kind;
    this.spec = spec;
    this.writer = parts.writer;
    this.#nowMs = parts.nowMs;
    this.#onRowRefused = parts.onRowRefused;
    this.#onLetter = parts.onLetter;
    const rate = spec.kind === 'view' ? spec.backfillRate : undefined;
    this.allowance = rate === undefined ? null : new Allowance(rate / (parts.peers?.count ?? 1));
    this.#peers = parts.peers;
    this.#readsStores = parts.readsStores;
    this.#onFailure = parts.onFailure;
    this.#isAlone = parts.peers === null;
    this.#gathers = parts.peers !== null && spec.kind === 'sink' && !spec.appendOnly;
    const { pipeline, inputs } = this.wiringOf(spec, parts.relation);
    this.pipeline = pipeline;
    this.inputs = inputs;
    this.followsLookups = !this.inputs.some(({ isLookedUp }) => isLookedUp);
    this.#errorsRelation = deadLetterRelation(`${spec.id}$errors`, spec.id, this.errors);
    if (spec.kind === 'view') {
      const { arranged } = spec;
      const store =
        arranged === undefined
          ? new ViewStore('view', spec.columns, spec.key, changelogOf(spec.plan) === 'append')
          : new ArrangedStore('view', spec.columns, arranged, this.pipeline.changelog !== 'append');
      this.store = store;
      this.retainHistory(spec.retainHistoryMs ?? 0);
      this.relation = new Relation(spec.id, spec.id, spec.columns, {
        scan: (columns, limit) => store.scan(columns, limit),
        lookup: spec.key === null || store instanceof ArrangedStore ? null : (key, limit) => store.lookup(key, limit),
        by: (columns) => store.by(columns),
      });
      this.relations = [this.relation, this.#errorsRelation];
    } else {
      this.store = null;
      this.relation = null;
      this.relations = [this.#errorsRelation];
    }
  }

  /** What runs this definition, not fed yet. */
  wiringOf(spec: ViewSpec | SinkSpec, relation: (id: string) => Relation): Wiring {
    const pipeline = buildPipeline(
      spec.plan,
      {
        onOutput: (batch) => {
          this.#out.push(batch);
        },
        onError: (error) => {
          this.#onRowError(error);
        },
      },
      {
        peers: this.#peers,
        channel: spec.id,
        result: resultOf(spec),
        ...(this.#readsStores ? { stores: this.#storesOf(relation) } : {}),
      },
    );
    const inputs = pipeline.inputs.map(({ relation: id, isLookedUp, ...wants }, input) => ({
      isLookedUp,
      relation: relation(id),
      reader: guardedReader(
        wants,
        (batch) => {
          if (this.error !== null) return;
          this.touched = true;
          const beganMs = performance.now();
          pipeline.push(input, batch);
          this.pushMs += performance.now() - beganMs;
        },
        (error) => this.#onFailure(this, error),
      ),
    }));
    return { pipeline, inputs };
  }

  #storesOf(relation: (id: string) => Relation): Stores {
    return {
      // Of several shards the first alone has a table's rows, and a view's are where its own key says.
      by: (id, columns) => (this.#isAlone || isShared(id) ? (relation(id).rows?.by?.(columns) ?? null) : null),
      isFollowed: () => this.catchingUp === null,
    };
  }

  /** Between epochs, while it follows along: from now on it runs so. The operators have the state that their likes had. */
  rewire(spec: ViewSpec | SinkSpec, { pipeline, inputs }: Wiring): void {
    for (const operator of pipeline.operators) {
      const before = this.pipeline.operators.find(({ id }) => id === operator.id);
      if (before !== undefined) Object.assign(operator.stats, before.stats);
    }
    this.unfollow();
    this.spec = spec;
    this.pipeline = pipeline;
    this.inputs = inputs;
    this.follow();
  }

  get letters(): readonly DeadLetters[] {
    return [this.errors];
  }

  get ephemeral(): boolean {
    return this.spec.kind === 'view' && this.spec.ephemeral;
  }

  get tables(): readonly StateTable[] {
    const own = this.store === null ? [this.errors.table] : [this.errors.table, this.store.state];
    const past = this.history === null ? [] : [this.history];
    return [...this.pipeline.state, ...own, ...past, ...[...this.held.values()].map(({ changes }) => changes)];
  }

  /** The joins that read rows of others. */
  get sharingJoins(): readonly JoinOperator[] {
    return this.pipeline.joins.map(({ operator }) => operator).filter(({ shared }) => shared !== null);
  }

  load(entry: ObjectEntry, restore: () => void): void {
    this.wasLive = entry.held !== undefined;
    for (const input of entry.held ?? []) this.hold(input);
    restore();
    this.errors.loaded();
    if (entry.backfill === undefined) this.follow();
    else this.followsLookups ||= this.wasLive || Object.keys(entry.backfill).length > 0;
  }

  /** From now on, between epochs: how long changes are kept; 0: not at all. */
  retainHistory(retainMs: number): void {
    if (this.spec.kind !== 'view' || retainMs === 0) this.history = null;
    else if (this.history === null) this.history = new ViewHistory(this.spec.columns, retainMs);
    else this.history.retainMs = retainMs;
  }

  /** Some columns of a view's rows at the end of an epoch. NOT_FOUND when its history does not reach back to it. */
  scanAsOf(columns: readonly number[], epoch: number): Batch {
    const store = this.store as ViewStore;
    const undo = kept(this).undo(epoch, this.spec.name);
    return undo === null ? store.scan(columns) : store.with(columns, undo);
  }

  /**
   * Between epochs: puts the state into files, what came since the last time too, and leaves about `memoryBytes` in memory. Answers how much went into files
   * now. STORAGE_FAILED where there is no room; the state is as it was.
   */
  spill(memoryBytes: number, directory: string): number {
    this.spilled ??= new ScratchFiles(directory);
    const parts = [...this.tables, ...(this.relation?.indexes ?? [])];
    for (const part of parts) part.arrays?.(this.spilled.take);
    const left = parts.reduce((sum, { size }) => sum + size.used, 0);
    this.spilled.keepWithin(memoryBytes - left);
    return this.spilled.moved();
  }

  /** While state is loaded, which may be more than memory: as `spill` if it is beyond this. A disk without room is told of when the limit is looked at. */
  keepWithin(memoryBytes: number, directory: string): void {
    const inMemory = this.tables.reduce((sum, { size }) => sum + size.bytes - size.spilled, 0);
    if (inMemory <= memoryBytes && this.spilled === null) return;
    try {
      this.spill(memoryBytes, directory);
    } catch (thrown) {
      if (asStreamError(thrown).code !== 'STORAGE_FAILED') throw thrown;
    }
  }

  /** From now on changes of what it reads come to it. */
  follow(): void {
    this.catchingUp = null;
    this.followsLookups = true;
    this.wasLive = true;
    this.#release();
    for (const { relation, reader } of this.inputs) relation.readers.add(reader);
  }

  /**
   * Takes over the watermarks of what it reads, and the time. True when the epoch is to be ended for them alone. While the query catches up
   * those of its own readers count, where no partition is idle: the shared ones are ahead.
   */
  advance(watermarkOf: (relation: Relation) => number | null, nowMicros: number): boolean {
    this.inputs.forEach(({ relation }, input) => {
      const micros = this.catchingUp === null ? watermarkOf(relation) : this.#ownWatermark(relation);
      if (micros !== null && this.pipeline.advance(input, micros)) this.touched = true;
    });
    if (this.isDue(nowMicros)) this.touched = true;
    return this.touched;
  }

  #ownWatermark(relation: Relation): number | null {
    // With several shards each has readers of some partitions only.
    if (!this.#isAlone) return null;
    for (const [source, cursor] of this.catchingUp ?? []) {
      if (source.logged !== relation || source.spec.watermark === null) continue;
      const least = Math.min(...cursor.positions.map(({ maxTime }) => maxTime));
      return Number.isFinite(least) ? least - source.spec.watermark.delayMicros : null;
    }
    return null;
  }

  /** Whether the clock alone changes the rows by now. */
  isDue(nowMicros: number): boolean {
    if (this.catchingUp !== null || this.error !== null) return false;
    const at = this.pipeline.wakeAtMicros;
    return at !== null && at <= nowMicros;
  }

  /** From now on changes of that input are kept for later. */
  hold(input: number): void {
    const { relation, reader } = this.inputs[input];
    const columns = reader.columns.map((column) => relation.columns[column]);
    const changes = new HeldChanges(`held:${input}`, columns);
    const holder: Reader = { ...reader, push: (batch) => changes.hold(batch) };
    this.held.set(input, { changes, reader: holder });
    relation.readers.add(holder);
  }

  #release(): void {
    for (const [input, { reader }] of this.held) this.inputs[input].relation.readers.delete(reader);
    this.held.clear();
  }

  unfollow(): void {
    this.#release();
    for (const { relation, reader } of this.inputs) relation.readers.delete(reader);
    if (this.catchingUp !== null) for (const [source, cursor] of this.catchingUp) source.closeCursor(cursor);
  }

  /** Ends the epoch within: state is current, the view has its rows, its readers have the changes. Throws when in doubt. */
  *endEpoch(nowMicros: number, epoch: number): Waiting<void> {
    yield* this.pipeline.meetAndEndEpoch(nowMicros);
    this.touched = false;
    const beganMs = performance.now();
    let out = this.#out;
    if (out.length > 0) this.#out = [];
    if (this.#gathers && out.length > 1) out = takenBackFirst(this.spec.columns, out);
    for (const batch of out) {
      this.rowsOut += batch.length;
      this.store?.apply(batch);
      this.writer?.collect(batch);
    }
    this.store?.endEpoch();
    // Until it follows along nobody can read its rows.
    if (this.wasLive) this.history?.record(epoch, nowMicros / 1000, out);
    this.endMs += performance.now() - beganMs;
    for (const batch of out) this.relation?.publish(batch, null);
    const errors = this.errors.takeChanges();
    if (errors !== null) this.#errorsRelation.publish(errors, null);
  }

  /** A row that a shared part of it refused. */
  takeLetter(letter: DeadLetter): void {
    if (this.error === null && this.errors.add(letter)) this.touched = true;
  }

  #onRowError({ code, reason, row, operator, origin }: PipelineError): void {
    if (code === 'RECORD_LATE') this.lateRows++;
    const text = JSON.stringify(row, (_, datum) => (typeof datum === 'bigint' ? datum.toString() : datum));
    const value = text.slice(0, DEAD_LETTER_VALUE_BYTES);
    const place = origin ?? { topic: '', partition: -1, offset: -1, timestampMs: this.#nowMs() };
    const letter = { code, reason, ...place, value, operator };
    if (!this.errors.add(letter)) return;
    this.#onLetter(this, letter);
    const { total } = this.errors;
    if (isPowerOfTwo(total)) this.#onRowRefused({ operator, code, reason, row: value, ...place, total });
  }
}

function resultOf(spec: ViewSpec | SinkSpec): Spread {
  if (spec.kind === 'view' && spec.arranged !== undefined) return { to: 'keys', columns: spec.arranged.by };
  return resultPartitioning(spec.plan, spec.kind, spec.kind === 'view' ? spec.key : null);
}

/** SQL_UNSUPPORTED for what keeps none. */
export function kept({ history, spec }: QueryNode): ViewHistory {
  if (history !== null) return history;
  throw new StreamError('SQL_UNSUPPORTED', `${spec.name} keeps no history: only its present rows can be read`, {
    hint: `ALTER MATERIALIZED VIEW ${spec.name} SET (retain_history = '1 hour') keeps it from then on`,
  });
}

/** The sum of changes that came from several shards, what goes before what comes: a target that goes by keys may take them in that order. */
function takenBackFirst(columns: readonly ColumnSchema[], batches: readonly Batch[]): Batch[] {
  const types = columns.map((column) => column.type);
  const sum = consolidate(types, batches);
  if (sum === null) return [];
  const { weights, length } = sum;
  if (weights === null) return [sum];
  const rows = Int32Array.from({ length }, (_, row) => row);
  const [gone, come] = [rows.filter((row) => weights[row] < 0), rows.filter((row) => weights[row] > 0)];
  return [gone, come].filter(({ length: count }) => count > 0).map((some) => gatherBatch(sum, some, some.length));
}
