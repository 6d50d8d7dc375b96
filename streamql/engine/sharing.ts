import type { EngineObject, ObjectStats, SinkSpec, ViewSpec } from '../../src/ports/engine.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { changelogOf } from '../plan/changelog.ts';
import { relationTimeOf } from '../plan/event-time.ts';
import { keysOf, neverFails, plainSide, sharableSides, sideOf } from '../plan/join-side.ts';
import type { Join, Plan, Scan } from '../plan/plan.ts';
import { planKey } from '../plan/plan-key.ts';
import { inputsOf, withInputs } from '../plan/walk.ts';
import { type ArrangedSide, arrangedSide, hashOf } from './arranged-sides.ts';

/**
 * Equal parts of several queries are worked out once, and equal sides of joins are kept once: when a second query has one that another has too, it
 * becomes a view of its own that nobody sees (`shared-…`), which that query and all later ones read. It takes over what the first has of it
 * (hand-over.ts), where that can be. A shared part goes when nobody reads it any more.
 */
const PREFIX = 'shared-';

export const isShared = (id: string): boolean => id.startsWith(PREFIX);

/** Operators whose result is no larger than their state. A view of what only passes rows on, or of a join, may be far larger than what it saves. */
const WORTH: ReadonlySet<Plan['op']> = new Set(['aggregate', 'setOp', 'distinct', 'topn', 'over', 'session']);

/** Something that may be shared. Its id, once it is, is `name`, or for a side of a join `name` and the columns that are kept. */
export interface Shareable {
  readonly name: string;
  /** Of a side of a join: the columns that are needed. */
  readonly needs: readonly number[] | null;
}

/** A part that a query reads, to be there before it. */
export interface Part extends Shareable {
  readonly spec: ViewSpec;
  /** Of a side of a join: those that are kept. */
  readonly columns: readonly number[] | null;
}

export interface Shared<T extends EngineObject> {
  readonly object: T;
  readonly parts: readonly Part[];
}

/** Under which id a query is to read something; null: it has it by itself. */
export type Choose = (part: Shareable) => string | null;

export interface Relations {
  columnsOf(relation: string): readonly ColumnSchema[];
  /** Whether joins by these columns find the rows in the relation's own store. */
  isKept(relation: string, columns: readonly number[]): boolean;
}

export const idOf = ({ name }: Shareable, columns: readonly number[] | null): string =>
  columns === null ? name : `${name}-${columns.join('.')}`;

/** Whether what has this id is the part, with at least the columns that are needed. */
export function covers(id: string, { name, needs }: Shareable): boolean {
  if (needs === null) return id === name;
  if (!id.startsWith(`${name}-`)) return false;
  const columns = columnsIn(id);
  return needs.every((column) => columns.includes(column));
}

const columnsIn = (id: string): number[] =>
  id
    .slice(id.lastIndexOf('-') + 1)
    .split('.')
    .map(Number);

/** What a query may share with others. */
export function shareableIn(object: EngineObject, relations: Relations): Shareable[] {
  const found: Shareable[] = [];
  if (object.kind === 'source') return found;
  withShared(object, relations, (part) => {
    found.push(part);
    return null;
  });
  return found;
}

/** The query with its largest parts that `choose` names replaced by scans of them. */
export function withShared(
  object: ViewSpec | SinkSpec,
  relations: Relations,
  choose: Choose,
): Shared<ViewSpec | SinkSpec> {
  const parts = new Map<string, Part>();
  const rewrite = (plan: Plan): Plan => {
    if (WORTH.has(plan.op) && !readsByTheClock(plan)) {
      const part = { name: `${PREFIX}${hashOf(planKey(plan))}`, needs: null };
      const id = choose(part);
      if (id !== null) {
        parts.set(id, { ...part, columns: null, spec: partOf(id, plan) });
        return scanOf(id, plan);
      }
    }
    const inputs = inputsOf(plan);
    const side = plan.op === 'join' ? shareSide(plan) : null;
    return withInputs(
      plan,
      // What rows are looked up in is of the moment when they come.
      inputs.map((input, port) =>
        plan.op === 'lookup' && port === 1 ? input : side?.port === port ? side.scan : rewrite(input),
      ),
    );
  };
  /** One side at most: the other has to be as it was before the epoch. */
  const shareSide = (plan: Join): { port: number; scan: Scan } | null => {
    for (const { port, side } of arrangeableSides(plan, relations)) {
      const part = { name: `${PREFIX}${side.key}`, needs: side.needs };
      const id = choose(part);
      if (id === null) continue;
      const columns = columnsIn(id);
      const { plan: kept, arranged } = side.plan(columns);
      parts.set(id, { ...part, columns, spec: { ...partOf(id, kept), name: 'shared rows', arranged } });
      return { port, scan: side.scan(id, columns) };
    }
    return null;
  };
  if (!mayShare(object)) return { object, parts: [] };
  const plan = rewrite(object.plan);
  return { object: plan === object.plan ? object : { ...object, plan }, parts: [...parts.values()] };
}

/** The sides of a join that others may keep for it: what is worked out there would rather be shared itself. */
export function arrangeableSides(plan: Join, relations: Relations): { port: 0 | 1; side: ArrangedSide }[] {
  const sides = sharableSides(plan);
  if (sides.some((port) => isKept(plan, port, relations))) return [];
  return sides
    .filter((port) => !isWorkedOut(sideOf(plan, port)))
    .map((port) => ({ port, side: arrangedSide(plan, port, relations.columnsOf) }));
}

function isKept(plan: Join, port: 0 | 1, relations: Relations): boolean {
  const side = plainSide(sideOf(plan, port));
  if (side === null || side.scan.dropsLate === true) return false;
  const { scan, outputs, predicate } = side;
  if (predicate !== null && !neverFails(predicate)) return false;
  const columns = keysOf(plan, port).map((column) => scan.columns[outputs[column]]);
  return !isShared(scan.relation) && relations.isKept(scan.relation, columns);
}

const isWorkedOut = (plan: Plan): boolean =>
  WORTH.has(plan.op) ||
  (plan.op === 'scan' && isShared(plan.relation)) ||
  readsByTheClock(plan) ||
  inputsOf(plan).some(isWorkedOut);

/** A bound on the state of one query, or on its pace, is its own. */
const mayShare = (object: ViewSpec | SinkSpec): boolean =>
  object.kind === 'sink' || (object.stateLimit === undefined && object.backfillRate === undefined);

/** What it shows depends on when rows came, not only on which. */
const readsByTheClock = (plan: Plan): boolean =>
  plan.op === 'lookup' || plan.op === 'expire' || inputsOf(plan).some(readsByTheClock);

const partOf = (id: string, plan: Plan): ViewSpec => ({
  kind: 'view',
  id,
  name: `shared ${plan.op}`,
  columns: plan.schema.map((column, i) => ({ ...column, name: `c${i}` })),
  key: null,
  plan,
  ephemeral: false,
});

function scanOf(id: string, plan: Plan): Scan {
  const time = relationTimeOf(plan);
  return {
    op: 'scan',
    relation: id,
    name: `shared ${plan.op}`,
    columns: plan.schema.map((_, i) => i),
    changelog: changelogOf(plan),
    schema: plan.schema,
    ...(time === undefined ? {} : { time }),
  };
}

/** Shared parts are no objects of their own outside: their operators are told among those of each query that reads them. */
export function withSharedOperators(objects: readonly ObjectStats[]): ObjectStats[] {
  const parts = new Map(objects.filter(({ id }) => isShared(id)).map((part) => [part.id, part]));
  if (parts.size === 0) return [...objects];
  return objects
    .filter(({ id }) => !isShared(id))
    .map((object) => {
      const read = new Set(object.operators.flatMap(({ inputs }) => inputs.filter((id) => parts.has(id))));
      if (read.size === 0) return object;
      const shared = [...read].map((id) => parts.get(id)!);
      const last = (id: string): string => `${id}/${parts.get(id)?.operators.at(-1)?.id}`;
      const theirs = shared.flatMap((part) => {
        const own = new Set(part.operators.map(({ id }) => id));
        return part.operators.map((operator) => ({
          ...operator,
          id: `${part.id}/${operator.id}`,
          name: operator.id === 'view' ? 'Shared' : operator.name,
          detail: `${operator.detail} (shared)`.trim(),
          inputs: operator.inputs.map((id) => (own.has(id) ? `${part.id}/${id}` : id)),
        }));
      });
      const own = object.operators.map((operator) => ({
        ...operator,
        inputs: operator.inputs.map((id) => (read.has(id) ? last(id) : id)),
      }));
      const behind = Math.max(object.recordsBehind ?? 0, ...shared.map((part) => part.recordsBehind ?? 0));
      return { ...object, ...(behind > 0 ? { recordsBehind: behind } : {}), operators: [...theirs, ...own] };
    });
}
