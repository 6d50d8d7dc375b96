import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { SqlType } from '../../src/values/types.ts';
import { changelogOf } from '../plan/changelog.ts';
import type { Join, LookupJoin, Plan } from '../plan/plan.ts';
import { inputsOf } from '../plan/walk.ts';
import type { Operator, Pipeline, PipelineOutput } from './operator.ts';
import { AggregateOperator } from './operators/aggregate.ts';
import { AsofOperator } from './operators/asof.ts';
import type { OperatorContext, OperatorInfo } from './operators/base.ts';
import { CloseOperator } from './operators/close.ts';
import { DistinctOperator } from './operators/distinct.ts';
import { ExpireOperator } from './operators/expire.ts';
import { JoinOperator, type SharedSide } from './operators/join.ts';
import { residualSelector } from './operators/join-residual.ts';
import { LookupOperator } from './operators/lookup.ts';
import { MatchOperator } from './operators/match.ts';
import { NowFilterOperator } from './operators/now-filter.ts';
import { OverOperator } from './operators/over.ts';
import { RecursiveOperator } from './operators/recursive.ts';
import { SessionOperator } from './operators/session.ts';
import { SetOperator } from './operators/set-op.ts';
import { TopNOperator } from './operators/topn.ts';
import { UnionOperator } from './operators/union.ts';
import { UnnestOperator } from './operators/unnest.ts';
import { ValuesOperator } from './operators/values.ts';
import { WindowOperator } from './operators/window.ts';

/** What an operator is made with besides its place in the plan. */
export interface OperatorParts {
  /** Of a join: the rows that it reads instead of keeping them. */
  readonly shared: SharedSide | null;
  readonly buildStep: (step: Plan, output: PipelineOutput, path: string) => Pipeline;
}

/** Makes the operator of a node that is neither a scan nor part of a chain. */
export function operatorOf(plan: Plan, info: OperatorInfo, context: OperatorContext, parts: OperatorParts): Operator {
  const appends = inputsOf(plan).map((input) => changelogOf(input) === 'append');
  switch (plan.op) {
    case 'values':
      return new ValuesOperator(info, context, plan);
    case 'unnest':
      return new UnnestOperator(info, context, plan);
    case 'window':
      return new WindowOperator(info, context, plan);
    case 'close':
      return new CloseOperator(info, context, plan);
    case 'expire':
      return new ExpireOperator(info, context, plan, appends[0]);
    case 'nowFilter':
      return new NowFilterOperator(info, context, plan);
    case 'session':
      return new SessionOperator(info, context, plan);
    case 'aggregate':
      return new AggregateOperator(info, context, plan, appends[0]);
    case 'join': {
      const residual = plan.residual === null ? null : residualSelector(plan.residual, joinTypes(plan), context);
      return new JoinOperator(info, context, plan, [!appends[0], !appends[1]], residual, parts.shared);
    }
    case 'lookup': {
      const residual = plan.residual === null ? null : residualSelector(plan.residual, joinTypes(plan), context);
      return new LookupOperator(info, context, plan, appends[0], residual);
    }
    case 'asof':
      return new AsofOperator(info, context, plan);
    case 'recursive':
      return new RecursiveOperator(info, context, plan, (output) =>
        parts.buildStep(plan.step, output, `${info.id}.step`),
      );
    case 'union':
      return new UnionOperator(info, context);
    case 'setOp':
      return new SetOperator(info, context, plan);
    case 'distinct':
      return new DistinctOperator(info, context, plan, appends[0]);
    case 'topn':
      return new TopNOperator(info, context, plan, appends[0]);
    case 'over':
      return new OverOperator(info, context, plan);
    case 'match':
      return new MatchOperator(info, context, plan);
    case 'sort':
      throw new StreamError(
        'SQL_UNSUPPORTED',
        'ORDER BY without LIMIT orders an answer, not a view: order the query that reads it',
      );
    default:
      throw new StreamError('INVARIANT', `no operator for ${plan.op}`);
  }
}

const typesOf = (schema: readonly ColumnSchema[]): SqlType[] => schema.map((column) => column.type);

/** Of a pair: left columns, then right ones. */
const joinTypes = (plan: Join | LookupJoin): SqlType[] => [...typesOf(plan.left.schema), ...typesOf(plan.right.schema)];
