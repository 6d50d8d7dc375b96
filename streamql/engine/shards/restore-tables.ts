import { StreamError } from '../../../src/lib/errors.ts';
import type { Spread } from '../../plan/partitioning.ts';
import type { StateTable } from '../operator.ts';
import { ViewStore } from '../operators/view-store.ts';
import { isPlacedFor, type LoadedCheckpoint, type ObjectEntry, type PieceRef } from '../runtime/checkpoint-store.ts';
import type { GraphNode } from '../runtime/graph.ts';
import type { QueryNode } from '../runtime/query-node.ts';
import { fillSides } from './fill-sides.ts';
import type { Peers } from './peers.ts';
import { shardsOf } from './place.ts';

/** An entry's tables as one shard saved them. */
export function ownPart(entry: ObjectEntry, shard: number): Pick<ObjectEntry, 'id' | 'tables'> {
  return { id: entry.id, tables: entry.tables.filter((table) => (table.shard ?? 0) === shard) };
}

/**
 * Loads an object's state into one of `peers.count` shards. Saved by as many that had the same rows, each takes its own. Else every shard looks at what all had and takes the
 * rows that are its own now; STORAGE_FAILED for state that cannot be spread anew, so that the object starts again from the log. `relieve` is called after each
 * piece: they may be more than memory.
 */
export function restoreTables(
  node: GraphNode,
  entry: ObjectEntry,
  checkpoint: LoadedCheckpoint,
  peers: Peers | null,
  ownerOf: (relation: string) => GraphNode,
  relieve: () => void,
): void {
  loadTables(node, entry, checkpoint, peers, relieve);
  if (node.kind !== 'source') fillSides(node, entry, checkpoint, peers ?? { index: 0, count: 1 }, ownerOf);
}

function loadTables(
  node: GraphNode,
  entry: ObjectEntry,
  checkpoint: LoadedCheckpoint,
  peers: Peers | null,
  relieve: () => void,
): void {
  const { index, count } = peers ?? { index: 0, count: 1 };
  const before = checkpoint.manifest.shards ?? 1;
  const refsOf = (id: string, shard: number): readonly PieceRef[] =>
    ownPart(entry, shard)
      .tables.filter((table) => table.id === id)
      .flatMap(({ pieces }) => pieces);
  const piecesOf = (id: string, shard: number): Buffer[] => refsOf(id, shard).map((ref) => checkpoint.piece(ref));
  const load = (table: StateTable, shard: number): void => {
    for (const ref of refsOf(table.id, shard)) {
      table.load(checkpoint.piece(ref));
      relieve();
    }
  };
  if (isPlacedFor(checkpoint.manifest, count)) {
    for (const table of node.tables)
      loadInto(
        table,
        (id) => refsOf(id, index).length > 0,
        (one) => load(one, index),
      );
    return;
  }
  const shards = Array.from({ length: before }, (_, shard) => shard);
  for (const letters of node.letters) {
    letters.takeOver(
      shards.map((shard) => piecesOf(letters.table.id, shard)),
      (partition) => (node.kind === 'source' && partition >= 0 ? node.owns(partition) : index === 0),
    );
  }
  // A table is kept by the first shard, whatever their number.
  if (node.kind === 'source') {
    if (node.store !== null && index === 0) load(node.store.table, 0);
    return;
  }
  spreadAnew(node, (table, shard) => piecesOf(table.id, shard), shards, { index, count });
}

/** Loads a table, or where there are pieces only of those that it stands in for, these. */
function loadInto(table: StateTable, has: (id: string) => boolean, load: (table: StateTable) => void): void {
  const { formerly } = table;
  const former = formerly === undefined || has(table.id) ? [] : formerly.tables();
  if (!former.some(({ id }) => has(id))) {
    load(table);
    return;
  }
  for (const one of former) load(one);
  formerly!.takeIn(former);
}

interface Place {
  readonly index: number;
  readonly count: number;
}

/** Loads what is this shard's of the state that all `shards` saved. */
export function spreadAnew(
  node: Pick<QueryNode, 'pipeline' | 'held' | 'store' | 'history'>,
  piecesOf: (table: Pick<StateTable, 'id'>, shard: number) => readonly Uint8Array[],
  shards: readonly number[],
  { index, count }: Place,
): void {
  /** New slots by old ones, by table and shard. */
  const moved = new Map<StateTable, Int32Array[]>();
  const take = (table: StateTable, columns: readonly number[], meets: 'never' | 'add'): void => {
    if (table.takeOver === undefined) throw cannotSpread(table);
    const mine = (keys: Parameters<typeof shardsOf>[0], length: number): Uint8Array => {
      const owners = new Int32Array(length);
      shardsOf(
        columns.map((column) => keys[column]),
        length,
        count,
        owners,
      );
      return Uint8Array.from(owners, (owner) => (owner === index ? 1 : 0));
    };
    moved.set(
      table,
      shards.map((shard) => table.takeOver!(piecesOf(table, shard), { mine, slots: null, meets })),
    );
  };
  const takeBy = (
    table: StateTable,
    spread: Spread,
    holds: readonly number[],
    meets: 'never' | 'add' = 'never',
  ): void => {
    if (spread.to === 'one') {
      if (index === 0) for (const piece of piecesOf(table, 0)) table.load(piece);
      return;
    }
    const columns =
      spread.to === 'keys' ? spread.columns.map((column) => holds.indexOf(column)) : holds.map((_, i) => i);
    if (columns.includes(-1)) throw cannotSpread(table);
    take(table, columns, meets);
  };
  const following: { table: StateTable; base: StateTable }[] = [];
  for (const { table, inputs } of node.pipeline.places.values()) {
    const alone = inputs.every((spread) => spread.to === 'one');
    if (alone) takeBy(table, { to: 'one' }, []);
    else if (table.holds === undefined) throw cannotSpread(table);
    else if ('greatest' in table.holds) {
      for (const shard of shards)
        table.takeOver?.(piecesOf(table, shard), { mine: null, slots: null, meets: 'greatest' });
    } else if ('slotsOf' in table.holds) following.push({ table, base: table.holds.slotsOf });
    else {
      const { port, columns, counted } = table.holds;
      takeBy(table, inputs[port], columns, counted === true ? 'add' : 'never');
    }
  }
  for (const { table, base } of following) {
    const slots = moved.get(base);
    if (slots === undefined || table.takeOver === undefined) throw cannotSpread(table);
    loadInto(
      table,
      (id) => shards.some((shard) => piecesOf({ id }, shard).length > 0),
      (one) => {
        for (const shard of shards)
          one.takeOver!(piecesOf(one, shard), { mine: null, slots: slots[shard], meets: 'never' });
      },
    );
  }
  // Changes that wait are spread by the exchanges when they are let go.
  if (index === 0) {
    for (const { changes } of node.held.values()) {
      for (const shard of shards) for (const piece of piecesOf(changes, shard)) changes.load(piece);
    }
  }
  if (node.store === null) return;
  const { key, columns, state } = node.store;
  const { result } = node.pipeline;
  // Rows that are arranged by keys are all in the shard of theirs.
  const meets = key === null && node.store instanceof ViewStore ? 'add' : 'never';
  takeBy(state, result, key ?? columns.map((_, column) => column), meets);
  const { history } = node;
  if (history === null) return;
  const by = result.to === 'keys' ? result.columns : columns.map((_, column) => column);
  history.spread(
    shards.map((shard) => piecesOf(history, shard)),
    ({ columns: values, length }) => {
      const owners = new Int32Array(length);
      if (result.to !== 'one')
        shardsOf(
          by.map((column) => values[column]),
          length,
          count,
          owners,
        );
      return Uint8Array.from(owners, (owner) => (owner === index ? 1 : 0));
    },
  );
}

const cannotSpread = (table: StateTable): StreamError =>
  new StreamError('STORAGE_FAILED', `the state ${table.id} cannot be spread over another number of workers`);
