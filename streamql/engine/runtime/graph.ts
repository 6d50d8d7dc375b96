import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { Operator } from '../operator.ts';
import type { QueryNode } from './query-node.ts';
import type { Relation } from './relation.ts';
import type { SourceNode } from './source-node.ts';

export type GraphNode = SourceNode | QueryNode;

/**
 * Everything the engine runs. An object is added after what it reads, so the order of adding is a topological order, and walking it
 * carries an epoch's changes from the sources to the last sink in one pass.
 */
export class Graph {
  readonly #logger: Log;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #relations = new Map<string, Relation>();
  sources: readonly SourceNode[] = [];
  relations: readonly Relation[] = [];
  queries: readonly QueryNode[] = [];
  /** The present epoch, for those who are told of an end. */
  epoch = 0;

  constructor(logger: Log) {
    this.#logger = logger;
  }

  get nodes(): Iterable<GraphNode> {
    return this.#nodes.values();
  }

  node(id: string): GraphNode | undefined {
    return this.#nodes.get(id);
  }

  /** The object that a relation (`id`, `id$errors`, `id$late`, `id$history`) belongs to. */
  ownerOf(relation: Relation): GraphNode {
    const node = this.#nodes.get(relation.owner);
    assert(node !== undefined, `relation ${relation.id} has no owner`);
    return node;
  }

  /** How far event time has come in what is read under this name; null for what has none. */
  watermarkOf(relation: Relation): number | null {
    const owner = this.ownerOf(relation);
    if (owner.kind === 'source') {
      const isTimed = relation === owner.logged && owner.spec.watermark !== null;
      return isTimed ? owner.watermark.micros : null;
    }
    if (relation !== owner.relation) return null;
    return owner.pipeline.watermark;
  }

  relation(id: string): Relation {
    const relation = this.#relations.get(id);
    if (relation === undefined) throw new StreamError('NOT_FOUND', `the engine has no relation ${id}`);
    return relation;
  }

  /** At the end, or before another. */
  add(node: GraphNode, before?: GraphNode): void {
    const after = before === undefined ? [] : [...this.#nodes].slice([...this.#nodes.values()].indexOf(before));
    for (const [id] of after) this.#nodes.delete(id);
    this.#nodes.set(node.spec.id, node);
    for (const [id, one] of after) this.#nodes.set(id, one);
    for (const relation of node.relations) this.#relations.set(relation.id, relation);
    this.#sort();
  }

  /** IN_USE when another object reads it. */
  remove(id: string): GraphNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new StreamError('NOT_FOUND', `the engine has no object ${id}`);
    const readers = this.readersOf(node);
    if (readers.length > 0) {
      const names = readers.map((reader) => reader.spec.name).join(', ');
      throw new StreamError('IN_USE', `${node.spec.name} is read by ${names}`);
    }
    const gone = new StreamError('NOT_FOUND', `${node.spec.name} was dropped`);
    for (const relation of node.relations) {
      relation.end(this.epoch, gone);
      this.#relations.delete(relation.id);
    }
    this.#nodes.delete(id);
    this.#sort();
    this.#detach(node);
    return node;
  }

  readersOf(node: GraphNode): QueryNode[] {
    return this.queries.filter((query) => query.inputs.some(({ relation }) => relation.owner === node.spec.id));
  }

  /** Stops an object and all that read it; the rest goes on. */
  fail(node: GraphNode, error: StreamError): void {
    if (node.error !== null) return;
    const operator = node.kind === 'source' ? null : node.pipeline.interrupted;
    node.error = operator === null ? error : inOperator(operator, error);
    const { code, message: reason, stack } = error;
    const positions = node.kind === 'source' ? [node] : node.inputs.flatMap(({ relation }) => this.#sourceOf(relation));
    const offsets = positions.map(({ spec, cursor }) => [spec.name, cursor.positions.map(({ next }) => next)]);
    const where = { operator: operator?.id ?? null, offsets: Object.fromEntries(offsets) };
    this.#logger.error('object.failed', { id: node.spec.id, name: node.spec.name, code, reason, ...where, stack });
    this.#detach(node);
    for (const relation of node.relations) relation.end(this.epoch, node.error);
    for (const reader of this.readersOf(node)) {
      this.fail(
        reader,
        new StreamError('PIPELINE_FAILED', `${node.spec.name}, which it reads, failed: ${node.error.message}`),
      );
    }
  }

  #sourceOf(relation: Relation): SourceNode[] {
    const owner = this.#nodes.get(relation.owner);
    return owner?.kind === 'source' ? [owner] : [];
  }

  #detach(node: GraphNode): void {
    if (node.kind === 'source') {
      node.close();
      return;
    }
    node.unfollow();
    for (const { relation } of node.inputs) {
      const owner = this.#nodes.get(relation.owner);
      if (owner?.kind === 'source') owner.readersChanged();
    }
  }

  #sort(): void {
    const nodes = [...this.#nodes.values()];
    this.relations = nodes.flatMap((node) => node.relations);
    this.sources = nodes.filter((node) => node.kind === 'source');
    this.queries = nodes.filter((node) => node.kind !== 'source');
  }
}

function inOperator({ name, detail }: Operator, error: StreamError): StreamError {
  return new StreamError(error.code, `in ${detail === '' ? name : `${name} ${detail}`}: ${error.message}`, {
    cause: error,
  });
}

/** Dead letters of a source are always current; a query is once it follows along and its first epoch has ended, or it failed. */
export function isLive(node: GraphNode): boolean {
  if (node.kind === 'source' || node.error !== null) return true;
  return node.wasLive && (node.catchingUp !== null || !node.touched);
}
