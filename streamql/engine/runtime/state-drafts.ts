import type { StreamError } from '../../../src/lib/errors.ts';
import type { StateTable } from '../operator.ts';
import { isShared } from '../sharing.ts';
import type { Parts } from '../state/piece.ts';
import { type DraftEntry, mostPieces, type ObjectEntry, type PieceRef } from './checkpoint-store.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { QueryNode } from './query-node.ts';

/** Below this, change pieces are never worth merging by size. */
const SMALL_PIECE_BYTES = 64 << 10;
/** A part, beside as many bytes as changed. */
const RENEWED_BYTES = 8 << 20;

/** A table that is being saved again: the slot to go on from, and how many of its pieces are from before and can go in the end. */
interface Renewal {
  readonly next: number;
  readonly stale: number;
}

/**
 * What a shard has to store at an epoch boundary: for each object its changed state. Changes are saved on top of what is saved until they are as large as it, or too many
 * pieces. Then all is saved again, a part with each checkpoint, for the engine stands still while it copies: so that takes in proportion to what changed, whatever the
 * size of the state.
 */
export class StateDrafts {
  readonly #graph: Graph;
  readonly #fingerprint: (node: GraphNode) => string;
  /** Without a store nothing is saved. */
  readonly #isStored: boolean;
  readonly #renewedBytes: number;
  /** Durable pieces by object and table; a table without is saved whole. */
  readonly #chains = new Map<string, Map<string, readonly PieceRef[]>>();
  /** Tables that were saved or loaded: a new one of the same name, after a pause or a hand-over, has nothing to do with the pieces of the one before. */
  readonly #based = new WeakSet<StateTable>();
  readonly #renewals = new WeakMap<StateTable, Renewal>();
  /** What the last draft was of. */
  #drafted: readonly GraphNode[] = [];
  #crowded: ReadonlySet<string> = new Set();

  constructor(graph: Graph, isStored: boolean, fingerprint: (node: GraphNode) => string, renewedBytes = RENEWED_BYTES) {
    this.#graph = graph;
    this.#isStored = isStored;
    this.#fingerprint = fingerprint;
    this.#renewedBytes = renewedBytes;
  }

  /** The node's state was loaded from this entry: its pieces can be built upon. */
  loaded(node: GraphNode, entry: Pick<ObjectEntry, 'id' | 'tables'>): void {
    for (const table of node.tables) this.#based.add(table);
    this.#adopt(entry);
  }

  #adopt({ id, tables }: Pick<ObjectEntry, 'id' | 'tables'>): void {
    this.#chains.set(id, new Map(tables.map((table) => [table.id, table.pieces])));
  }

  forget(id: string): void {
    this.#chains.delete(id);
  }

  /** Everything that is stored, in the order of adding. */
  draft(): DraftEntry[] {
    this.#drafted = [...this.#graph.nodes].filter(isStored);
    return this.#drafted.map((node) => this.#draft(node));
  }

  /** The last draft is durable as these entries; `crowded` are files to move out of. */
  stored(entries: readonly Pick<ObjectEntry, 'id' | 'tables'>[], crowded: ReadonlySet<string>): void {
    entries.forEach((entry, i) => {
      // Dropped meanwhile, and perhaps there again: the pieces are not of what is there now.
      if (this.#graph.node(entry.id) === this.#drafted[i]) this.#adopt(entry);
    });
    this.#crowded = crowded;
    this.#drafted = [];
  }

  /** The last draft was lost, and changes do not come twice: everything is saved whole next time. */
  lost(): void {
    this.#chains.clear();
    this.#drafted = [];
  }

  #draft(node: GraphNode): DraftEntry {
    const common = { id: node.spec.id, fingerprint: this.#fingerprint(node) };
    if (node.error !== null) return { ...common, failed: failure(node.error), tables: [] };
    const tables = this.#saveAll(node.spec.id, node.tables);
    if (node.kind === 'source') {
      const counts = { rows: node.rows, late: node.lateRows, watermark: node.watermark.micros };
      return { ...common, cursor: node.cursor.state(), counts, tables };
    }
    const parts = [...new Set(node.inputs.map(({ relation }) => relation.owner))].filter(isShared);
    const shared = parts.length === 0 ? {} : { shared: parts };
    if (node.catchingUp === null) return { ...common, ...shared, tables };
    const held = node.wasLive ? { held: [...node.held.keys()] } : {};
    return { ...common, ...shared, backfill: cursorStates(node), ...held, tables };
  }

  #saveAll(objectId: string, tables: readonly StateTable[]): DraftEntry['tables'] {
    const chains = this.#chains.get(objectId);
    if (!this.#isStored) return [];
    return tables.map((table) => ({ id: table.id, pieces: this.#save(table, chains?.get(table.id) ?? []) }));
  }

  #save(table: StateTable, chain: readonly PieceRef[]): readonly (PieceRef | Parts)[] {
    if (!this.#based.has(table) || chain.length === 0) return this.#saveWhole(table);
    let renewal = this.#renewals.get(table);
    if (renewal === undefined && this.#isDue(table, chain)) renewal = { next: 0, stale: chain.length };
    if (renewal === undefined) {
      const piece = table.save(false);
      return piece === null ? chain : [...chain, piece];
    }
    if (table.renew === undefined) return this.#saveWhole(table);
    const { piece, next } = table.renew(renewal.next, this.#renewedBytes);
    const pieces = piece === null ? chain : [...chain, piece];
    if (next !== null) {
      this.#renewals.set(table, { ...renewal, next });
      return pieces;
    }
    this.#renewals.delete(table);
    // Of an empty table there may be none.
    return pieces.length > renewal.stale ? pieces.slice(renewal.stale) : this.#saveWhole(table);
  }

  #isDue(table: StateTable, chain: readonly PieceRef[]): boolean {
    return (
      chain.length > mostPieces(table.fullBytes) ||
      table.changeBytes > Math.max(table.fullBytes, SMALL_PIECE_BYTES) ||
      chain.some((ref) => this.#crowded.has(ref.file))
    );
  }

  #saveWhole(table: StateTable): readonly Parts[] {
    this.#based.add(table);
    this.#renewals.delete(table);
    const piece = table.save(true);
    return piece === null ? [] : [piece];
  }
}

/** A source or view that failed starts again from the beginning after a restart. A sink must not: it would write its rows twice. */
function isStored(node: GraphNode): boolean {
  if (node.kind === 'sink') return true;
  return node.error === null && (node.kind === 'source' || !node.ephemeral);
}

export function failure(error: StreamError): { code: string; detail: string } {
  const { code, detail } = error.toJSON();
  return { code, detail };
}

function cursorStates(node: QueryNode): NonNullable<ObjectEntry['backfill']> {
  // Nothing was read before what it looks up in was there.
  if (!node.followsLookups) return {};
  return Object.fromEntries([...node.catchingUp!].map(([source, cursor]) => [source.spec.id, cursor.state()]));
}
