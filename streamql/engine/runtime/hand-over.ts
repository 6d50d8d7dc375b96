import type { Batch } from '../../../src/values/batch.ts';
import { sameSpread } from '../../plan/partitioning.ts';
import type { Plan } from '../../plan/plan.ts';
import { planKey } from '../../plan/plan-key.ts';
import { inputsOf } from '../../plan/walk.ts';
import type { Pipeline, StateTable } from '../operator.ts';
import { ExchangeOperator } from '../operators/exchange.ts';
import { arrangeableSides, type Part, type Relations } from '../sharing.ts';
import type { QueryNode, Wiring } from './query-node.ts';

/**
 * How a query gives up a part of itself that another wants too, between two epochs: the part's operators get the state that the query has for them, as
 * if both had saved and loaded it, and the part's rows are what the query's operator has output. Nothing is read again.
 */
export interface HandOver {
  /** By table of the part, and of the query as it will be, where its content is. */
  readonly tables: readonly (readonly [to: StateTable, from: StateTable])[];
  /** Begins the ids of the part's operators in the query. */
  readonly path: string;
  readonly rows: () => Batch;
}

/** Null where it cannot be: then the query keeps what it has. `next` is the query as it will be. */
export function handOverOf(
  query: QueryNode,
  { part, node, next }: { readonly part: Part; readonly node: QueryNode; readonly next: Wiring },
  relations: Relations,
  isAlone: boolean,
): HandOver | null {
  const held = part.needs === null ? operatorOf(query, part) : sideOf(query, part, relations);
  if (held === null) return null;
  // What an operator has output here is not where the part would keep it.
  if (part.needs === null && node.pipeline.operators.at(-1) instanceof ExchangeOperator) return null;
  // Of several shards each has the rows that the ways through the operators bring to it; they have to stay the ways.
  if (!isAlone && !isSpreadAlike(query.pipeline, next.pipeline)) return null;
  const known = new Map(query.pipeline.state.map((table) => [table.id, table]));
  const tables: [StateTable, StateTable][] = [];
  const from = (to: StateTable, id: string): boolean => {
    const table = known.get(id);
    if (table !== undefined) tables.push([to, table]);
    return table !== undefined;
  };
  const isWhole =
    node.pipeline.state.every((table) => from(table, held.path + table.id.slice(1))) &&
    next.pipeline.state.every((table) => from(table, table.id));
  return isWhole ? { ...held, tables } : null;
}

function isSpreadAlike(before: Pipeline, after: Pipeline): boolean {
  if (!sameSpread(before.result, after.result)) return false;
  const { places } = before;
  return [...after.places].every(([id, { inputs }]) =>
    inputs.every((spread, port) => {
      const known = places.get(id)?.inputs[port];
      return known !== undefined && sameSpread(known, spread);
    }),
  );
}

type Held = Pick<HandOver, 'path' | 'rows'>;

function operatorOf({ spec, pipeline }: QueryNode, part: Part): Held | null {
  const key = planKey(part.spec.plan);
  for (const [path, plan] of nodesOf(spec.plan)) {
    if (plan.op !== part.spec.plan.op || planKey(plan) !== key) continue;
    const operator = pipeline.operators.find(({ id }) => id === `${path}.${plan.op}`);
    if (operator?.output !== undefined) return { path, rows: () => operator.output!() };
  }
  return null;
}

function sideOf({ spec, pipeline }: QueryNode, part: Part, relations: Relations): Held | null {
  for (const [path, plan] of nodesOf(spec.plan)) {
    if (plan.op !== 'join') continue;
    const operator = pipeline.joins.find(({ operator: { id } }) => id === `${path}.join`)?.operator;
    for (const { port, side } of arrangeableSides(plan, relations)) {
      if (operator === undefined || operator.tableOf(port) === null || !part.name.endsWith(side.key)) continue;
      const order = part.columns!.map((column) => side.outputs.indexOf(column));
      if (order.includes(-1)) continue;
      const rows = (): Batch => {
        const all = operator.rowsOf(port);
        return { ...all, columns: order.map((column) => all.columns[column]) };
      };
      return { path: `${path}.${port}`, rows };
    }
  }
  return null;
}

/** The nodes that operators are made of, with the paths that begin their ids. */
function* nodesOf(plan: Plan, path = '0'): Generator<[path: string, plan: Plan]> {
  let node = plan;
  if (node.op === 'filter' || node.op === 'project') {
    while (node.op === 'filter' || node.op === 'project') node = node.input;
    yield* nodesOf(node, `${path}.0`);
    return;
  }
  yield [path, node];
  for (const [port, input] of inputsOf(node).entries()) {
    if (node.op === 'lookup' && port === 1) continue;
    yield* nodesOf(input, `${path}.${port}`);
  }
}
