import type { Clock } from '../../src/lib/clock.ts';
import { StreamError } from '../../src/lib/errors.ts';
import type { Snapshot, StreamEngine, Unreadable } from '../../src/ports/engine.ts';
import { type Batch, type ColumnSchema, concatBatches, firstRows } from '../../src/values/batch.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import type { AsOf } from '../plan/as-of.ts';
import { recordsBehind, waitsForResume } from './runtime/catch-up.ts';
import { type Graph, type GraphNode, isLive } from './runtime/graph.ts';
import { readSource } from './runtime/read-source.ts';
import type { Relation, RelationRows } from './runtime/relation.ts';
import type { EngineSettings } from './runtime/settings.ts';
import type { SourceNode } from './runtime/source-node.ts';
import type { Waiters } from './runtime/waiters.ts';
import type { OtherShard, Shard } from './shards/shard.ts';

/** Timers take no more. */
const MOST_WAIT_MS = 2 ** 31 - 1;
/** Ends the relation of a table's versions. */
const HISTORY = '$history';

const typesOf = (columns: readonly ColumnSchema[]): SqlType[] => columns.map((column) => column.type);

interface EngineReadsParts {
  readonly graph: Graph;
  readonly shard: Shard;
  readonly others: readonly OtherShard[];
  readonly waiters: Waiters;
  readonly settings: EngineSettings;
  readonly clock: Clock;
}

/** Answers reads between epochs: rows of views and tables of all shards, of one epoch, and records of sources. */
export class EngineReads {
  readonly #graph: Graph;
  readonly #shard: Shard;
  readonly #others: readonly OtherShard[];
  readonly #waiters: Waiters;
  readonly #settings: EngineSettings;
  readonly #clock: Clock;

  constructor(parts: EngineReadsParts) {
    this.#graph = parts.graph;
    this.#shard = parts.shard;
    this.#others = parts.others;
    this.#waiters = parts.waiters;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
  }

  async lookup(
    id: string,
    key: readonly Datum[],
    limit: number,
    columns?: readonly number[],
    waitMs?: number,
  ): Promise<{ epoch: number; batch: Batch }> {
    const { relation, rows } = await this.#readable(id, waitMs);
    if (columns === undefined && (rows.lookup === null || key.length === 0)) {
      throw new StreamError('REQUEST_INVALID', `${relation.id} cannot be looked up by key`, {
        hint: rows.lookup === null ? 'it has no key; use a SELECT' : 'give a value for the first key column at least',
      });
    }
    const { epoch } = this.#graph;
    const batches = await Promise.all(
      [this.#shard, ...this.#others].map((shard) => shard.lookup(id, key, limit, columns)),
    );
    if (batches.length === 1) return { epoch, batch: batches[0] };
    return { epoch, batch: firstRows(concatBatches(typesOf(relation.columns), batches), limit) };
  }

  async snapshot(
    wants: Parameters<StreamEngine['snapshot']>[0],
    sources: readonly string[] = [],
    waitMs?: number,
  ): Promise<Snapshot> {
    for (const { id } of wants) await this.#readable(id, waitMs);
    const past = await this.#past(wants);
    // From here on without waiting, so all are of one epoch.
    for (const { id } of wants) this.relationRows(id);
    const { epoch } = this.#graph;
    const offsets = sources.map((id) => this.#offsets(this.#source(id)));
    const columnsOf = wants.map(({ id }) => this.#graph.relation(id).columns);
    const scans = wants.map(({ asOf: _, ...want }, i) => (past[i] === null ? want : { ...want, asOf: past[i] }));
    const [mine, ...theirs] = await Promise.all([this.#shard, ...this.#others].map((shard) => shard.scan(scans)));
    const latest = past.length === 0 ? epoch : Math.max(...past.map((one) => one ?? epoch));
    if (theirs.length === 0) return { epoch: latest, batches: mine, offsets };
    const batches = wants.map(({ columns, limit }, i) => {
      const types = columns.map((column) => columnsOf[i][column].type);
      const all = concatBatches(types, [mine[i], ...theirs.map((scans) => scans[i])]);
      return firstRows(all, limit ?? Number.POSITIVE_INFINITY);
    });
    return { epoch: latest, batches, offsets };
  }

  /** The epochs that these are of; null: the present one. What is of one moment is of one epoch, whatever comes meanwhile. */
  async #past(wants: Parameters<StreamEngine['snapshot']>[0]): Promise<(number | null)[]> {
    const idsOf = new Map<string, { moment: AsOf; ids: string[] }>();
    for (const { id, asOf } of wants) {
      if (asOf === undefined) continue;
      const key = JSON.stringify(asOf);
      const found = idsOf.get(key);
      if (found === undefined) idsOf.set(key, { moment: asOf, ids: [id] });
      else found.ids.push(id);
    }
    const nowMs = this.#clock.nowMs();
    const epochs = new Map<string, number>();
    for (const [key, { moment, ids }] of idsOf) {
      const shards = [this.#shard, ...this.#others];
      epochs.set(key, Math.max(...(await Promise.all(shards.map((shard) => shard.epochAt(ids, moment, nowMs))))));
    }
    return wants.map(({ asOf }) => (asOf === undefined ? null : epochs.get(JSON.stringify(asOf))!));
  }

  async readSource(
    id: string,
    columns: readonly number[],
    onBatch: (batch: Batch) => Promise<boolean>,
    upTo?: readonly number[],
  ): Promise<Unreadable | null> {
    const isHistory = id.endsWith(HISTORY);
    const node = this.#source(id);
    if (node.store !== null && !isHistory) {
      const rows = node.store.scan(columns);
      if (rows.length > 0) await onBatch(rows);
      return null;
    }
    const parts = { ...this.#shard.objects.cursorParts(node.spec), owns: () => true };
    return readSource(node.spec, columns, parts, onBatch, upTo);
  }

  /** Of all shards. */
  #offsets(source: SourceNode): number[] {
    const { cursor } = source;
    return Array.from({ length: cursor.partitions }, (_, partition) => this.#shard.epoch.position(source, partition));
  }

  #source(relation: string): SourceNode {
    const id = relation.endsWith(HISTORY) ? relation.slice(0, -HISTORY.length) : relation;
    const node = this.#graph.node(id);
    if (node?.kind !== 'source') throw new StreamError('NOT_FOUND', `the engine has no source ${id}`);
    return node;
  }

  relationRows(id: string): { relation: Relation; rows: RelationRows } {
    const relation = this.#graph.relation(id);
    const node = this.#graph.ownerOf(relation);
    // What went wrong stays readable when the object itself is not.
    if (node.error !== null && relation.id === node.spec.id) {
      throw new StreamError('PIPELINE_FAILED', `${node.spec.name} failed: ${node.error.message}`);
    }
    if (relation.rows === null) {
      throw new StreamError('REQUEST_INVALID', `${node.spec.name} is a source: its rows are in the log`);
    }
    return { relation, rows: relation.rows };
  }

  /** Waits until the view has caught up with the log as it was when it was created. */
  async #readable(id: string, waitMs = this.#settings.readWaitMs): Promise<{ relation: Relation; rows: RelationRows }> {
    const found = this.relationRows(id);
    const node = this.#graph.ownerOf(found.relation);
    if (isLive(node)) return found;
    if (node.kind !== 'source' && waitsForResume(this.#graph, node)) {
      throw new StreamError('SQL_UNSUPPORTED', `${node.spec.name} has no rows yet: it, or what it reads, is paused`, {
        hint: 'RESUME it',
      });
    }
    await this.#waiters.until(
      () => {
        this.relationRows(id);
        return isLive(node);
      },
      () => notReady(node, waitMs),
      Math.min(waitMs, MOST_WAIT_MS),
    );
    return this.relationRows(id);
  }
}

function notReady(node: GraphNode, waitMs: number): StreamError {
  const { name } = node.spec;
  const behind = node.kind === 'source' ? 0 : recordsBehind(node);
  const why = behind === 0 ? 'it waits for what it reads' : `${behind} records of the log are to be read first`;
  return new StreamError('TIMEOUT', `${name} had not caught up after ${waitMs} ms: ${why}`, {
    hint: 'SHOW PIPELINES says how far it is; raise timeoutMs (statement_timeout on the Postgres wire) to wait longer',
  });
}
