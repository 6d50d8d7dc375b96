import { createHash } from 'node:crypto';
import type { EngineObject, ObjectStats, SinkSpec, ViewSpec } from '../../src/ports/engine.ts';
import { changelogOf } from '../plan/changelog.ts';
import { relationTimeOf } from '../plan/event-time.ts';
import type { Plan, Scan } from '../plan/plan.ts';
import { planKey } from '../plan/plan-key.ts';
import { inputsOf, withInputs } from '../plan/walk.ts';

/**
 * Equal parts of several queries are worked out once: when a second query has a stateful part that another has too, the part becomes a view of its
 * own that nobody sees (`shared-…`), which that query and all later ones read. The first one keeps what it has: to give it up, the part
 * would have to be as old as it is. A shared part goes when nobody reads it any more.
 */
const PREFIX = 'shared-';

export const isShared = (id: string): boolean => id.startsWith(PREFIX);

/** Operators whose result is no larger than their state. A view of what only passes rows on, or of a join, may be far larger than what it saves. */
const WORTH: ReadonlySet<Plan['op']> = new Set(['aggregate', 'setOp', 'distinct', 'topn', 'over', 'session']);

const idOf = (key: string): string => `${PREFIX}${createHash('sha256').update(key).digest('hex').slice(0, 24)}`;

export interface Shared<T extends EngineObject> {
  readonly object: T;
  /** What it reads then, to be there before it. */
  readonly parts: readonly ViewSpec[];
}

/** The ids that the parts of a query have once they are shared. */
export function shareableIn(object: EngineObject): string[] {
  return object.kind === 'source' || !mayShare(object)
    ? []
    : candidates(object.plan).map((part) => idOf(planKey(part)));
}

/** The query with its largest parts that `isWanted` replaced by shared ones. */
export function withShared(
  object: ViewSpec | SinkSpec,
  isWanted: (id: string) => boolean,
): Shared<ViewSpec | SinkSpec> {
  const parts = new Map<string, ViewSpec>();
  const rewrite = (plan: Plan): Plan => {
    if (WORTH.has(plan.op)) {
      const id = idOf(planKey(plan));
      if (isWanted(id)) {
        parts.set(id, partOf(id, plan));
        return scanOf(id, plan);
      }
    }
    const inputs = inputsOf(plan);
    return withInputs(
      plan,
      // What rows are looked up in is of the moment when they come.
      inputs.map((input, port) => (plan.op === 'lookup' && port === 1 ? input : rewrite(input))),
    );
  };
  if (!mayShare(object)) return { object, parts: [] };
  const plan = rewrite(object.plan);
  return { object: plan === object.plan ? object : { ...object, plan }, parts: [...parts.values()] };
}

/** A bound on the state of one query, or on its pace, is its own. */
const mayShare = (object: ViewSpec | SinkSpec): boolean =>
  object.kind === 'sink' || (object.stateLimit === undefined && object.backfillRate === undefined);

function candidates(plan: Plan): Plan[] {
  const below = inputsOf(plan).flatMap((input, port) => (plan.op === 'lookup' && port === 1 ? [] : candidates(input)));
  return WORTH.has(plan.op) && !readsByTheClock(plan) ? [plan, ...below] : below;
}

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
