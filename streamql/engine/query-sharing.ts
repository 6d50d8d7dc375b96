import type { SinkSpec, ViewSpec } from '../../src/ports/engine.ts';
import type { Graph } from './runtime/graph.ts';
import {
  type Choose,
  covers,
  idOf,
  isShared,
  type Part,
  type Relations,
  type Shareable,
  type Shared,
  shareableIn,
  withShared,
} from './sharing.ts';

/** Which queries have what in common, and so what each of them reads instead of having it. */
export class QuerySharing {
  readonly #graph: Graph;
  readonly #relations: Relations;
  /** As they were given, with what they may share. */
  readonly #queries = new Map<string, { readonly object: ViewSpec | SinkSpec; readonly may: readonly Shareable[] }>();

  constructor(graph: Graph, relations: Relations) {
    this.#graph = graph;
    this.#relations = relations;
  }

  added(object: ViewSpec | SinkSpec): void {
    this.#queries.set(object.id, { object, may: shareableIn(object, this.#relations) });
  }

  removed(id: string): void {
    this.#queries.delete(id);
  }

  /**
   * One that goes on from a checkpoint reads what it read then (`saved`); a new one shares what it can. Of a passing one nothing is made to be
   * shared.
   */
  share(object: ViewSpec | SinkSpec, saved: readonly string[] | undefined): Shared<ViewSpec | SinkSpec> {
    if (saved !== undefined) return this.#reading(object, saved);
    const isPassing = object.kind === 'view' && object.ephemeral;
    const others = [...this.#queries.values()].flatMap(({ may }) => may);
    return withShared(object, this.#relations, (part) => {
      const there = this.#graph.queries.find(({ spec: { id }, error }) => error === null && covers(id, part));
      if (there !== undefined) return there.spec.id;
      const same = others.filter(({ name }) => name === part.name);
      if (isPassing || same.length === 0) return null;
      if (part.needs === null) return idOf(part, null);
      const columns = new Set([...part.needs, ...same.flatMap(({ needs }) => needs!)]);
      return idOf(
        part,
        [...columns].sort((a, b) => a - b),
      );
    });
  }

  /** A query that gives the part up, as it will be then; null when none can. */
  giverOf(part: Part, can: (giver: ViewSpec | SinkSpec) => boolean): ViewSpec | SinkSpec | null {
    for (const [id, { object, may }] of this.#queries) {
      const node = this.#graph.node(id);
      if (node === undefined || node.kind === 'source' || !may.some(({ name }) => name === part.name)) continue;
      // Its state is of this moment, and nobody else's.
      if (node.error !== null || node.paused || node.catchingUp !== null || node.touched) continue;
      if (node.ephemeral || node.spilled !== null) continue;
      const reads = node.inputs.map(({ relation }) => relation.owner).filter(isShared);
      const whole = { ...node.spec, plan: object.plan };
      const { object: giver, parts } = this.#reading(whole, [...reads, part.spec.id]);
      if (parts.some(({ spec }) => spec.id === part.spec.id) && can(giver)) return giver;
    }
    return null;
  }

  #reading(object: ViewSpec | SinkSpec, ids: readonly string[]): Shared<ViewSpec | SinkSpec> {
    const choose: Choose = (part) => ids.find((id) => covers(id, part)) ?? null;
    return withShared(object, { ...this.#relations, isKept: () => false }, choose);
  }
}
