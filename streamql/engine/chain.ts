import { type Spread, spreadOf } from '../plan/partitioning.ts';
import type { Filter, Plan, Project } from '../plan/plan.ts';
import { compileFilterProject } from './compile-expr.ts';
import type { Operator } from './operator.ts';
import type { OperatorContext, OperatorInfo } from './operators/base.ts';
import { type Stage, StatelessOperator } from './operators/stateless.ts';

/** Filters and projections that follow one another, which become one operator. */
export interface Chain {
  /** From the input up. */
  readonly nodes: readonly (Filter | Project)[];
  readonly input: Plan;
}

export function chainOf(top: Filter | Project): Chain {
  const nodes: (Filter | Project)[] = [];
  let plan: Plan = top;
  while (plan.op === 'filter' || plan.op === 'project') {
    nodes.unshift(plan);
    plan = plan.input;
  }
  return { nodes, input: plan };
}

export const chainSpread = ({ nodes }: Chain, [input]: readonly Spread[]): Spread =>
  nodes.reduce((spread, node) => spreadOf(node, [spread]), input);

export function statelessOf(chain: Chain, info: OperatorInfo, context: OperatorContext): Operator {
  const stages: Stage[] = [];
  for (let n = 0; n < chain.nodes.length; n++) {
    const node = chain.nodes[n];
    const types = node.input.schema.map((column) => column.type);
    const after = chain.nodes[n + 1];
    if (node.op === 'project') {
      stages.push(compileFilterProject(null, node.exprs, types));
    } else if (after?.op === 'project') {
      stages.push(compileFilterProject(node.predicate, after.exprs, types));
      n++;
    } else {
      const all = types.map((type, index) => ({ op: 'column', index, type }) as const);
      stages.push(compileFilterProject(node.predicate, all, types));
    }
  }
  return new StatelessOperator(info, context, stages);
}
