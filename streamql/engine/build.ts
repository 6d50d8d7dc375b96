import { assert } from '../../src/lib/assert.ts';
import { StreamError } from '../../src/lib/errors.ts';
import type { Batch, ColumnSchema } from '../../src/values/batch.ts';
import type { SqlType } from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { TABLE_FUNCTIONS } from '../functions/table-functions.ts';
import { changelogOf } from '../plan/changelog.ts';
import { timeBoundsOf } from '../plan/event-time.ts';
import { patternText } from '../plan/match-text.ts';
import { arrangedAs, partitioningOf, type Spread, sameSpread, spreadOf } from '../plan/partitioning.ts';
import type { Filter, Join, LookupJoin, Plan, Project, Scan } from '../plan/plan.ts';
import { planKey } from '../plan/plan-key.ts';
import { stateGrowth } from '../plan/state-growth.ts';
import { timeRangeOf } from '../plan/time-range.ts';
import { inputsOf } from '../plan/walk.ts';
import { compileFilterProject } from './compile-expr.ts';
import { Edge } from './edge.ts';
import type { Emit, Operator, Pipeline, PipelineInput, PipelineOutput, TablePlace } from './operator.ts';
import { AggregateOperator } from './operators/aggregate.ts';
import { AsofOperator } from './operators/asof.ts';
import { type OperatorContext, type OperatorInfo, SilentOperator } from './operators/base.ts';
import { CloseOperator } from './operators/close.ts';
import { DistinctOperator } from './operators/distinct.ts';
import { ExchangeOperator } from './operators/exchange.ts';
import { ExpireOperator } from './operators/expire.ts';
import { JoinOperator } from './operators/join.ts';
import { residualSelector } from './operators/join-residual.ts';
import { LookupOperator } from './operators/lookup.ts';
import { MatchOperator } from './operators/match.ts';
import { NowFilterOperator } from './operators/now-filter.ts';
import { OverOperator } from './operators/over.ts';
import { RecursiveOperator } from './operators/recursive.ts';
import { SessionOperator } from './operators/session.ts';
import { SetOperator } from './operators/set-op.ts';
import { type Stage, StatelessOperator } from './operators/stateless.ts';
import { TopNOperator } from './operators/topn.ts';
import { UnionOperator } from './operators/union.ts';
import { UnnestOperator } from './operators/unnest.ts';
import { ValuesOperator } from './operators/values.ts';
import { WindowOperator } from './operators/window.ts';
import { type Peers, runAlone } from './shards/peers.ts';

/** Where a leaf's batches enter: port `port` of `operator`, or straight to the output when there is none. */
interface Entry {
  readonly input: PipelineInput;
  readonly enter: Emit;
  readonly edge: Edge;
  /** Id of the operator that it feeds. */
  consumer: string | null;
}

/** The shard that a pipeline is built for. If there are others, exchanges bring rows where the operators want them, and the result where `result` says. */
export interface ShardPlace {
  readonly peers: Peers | null;
  /** Of this pipeline, unlike any other's. */
  readonly channel: string;
  readonly result: Spread;
}

/**
 * Makes a pipeline of operators from a plan. Chains of filters and projections become one operator; the rest is one
 * operator per node, but equal parts of the plan are built once and feed all who read them. Operator ids are paths in the plan, so state saved by a pipeline loads into another of the same plan.
 */
export function buildPipeline(plan: Plan, output: PipelineOutput, shard: ShardPlace | null = null): Pipeline {
  return new Builder(output, shard).build(plan);
}

/** What was built for a part of a plan: the id by which consumers name it, how far event time is at its output, where that goes and how it is spread over shards. */
interface Built {
  readonly id: string;
  readonly edge: Edge;
  readonly targets: Emit[];
  readonly spread: Spread;
}

/** How a node wants one of its inputs. */
interface InputForm {
  readonly want: Spread;
  /** It is the only one. */
  readonly alone: boolean;
  readonly isLookedUp: boolean;
}

class Builder {
  readonly #output: PipelineOutput;
  readonly #clock = new BusyClock();
  readonly #entries: Entry[] = [];
  readonly #operators: Operator[] = [];
  /** How event time comes to the operators, in their order; null for exchanges, which it passes by. */
  readonly #edges: (Edge | null)[] = [];
  /** By what it means. */
  readonly #built = new Map<string, Built>();
  readonly #shard: ShardPlace | null;
  readonly #places = new Map<string, TablePlace>();

  constructor(output: PipelineOutput, shard: ShardPlace | null) {
    this.#output = output;
    this.#shard = shard;
  }

  /** `path` begins the operators' ids. */
  build(plan: Plan, path = '0'): Pipeline {
    const result = this.#shard?.result ?? { to: 'any' };
    const { edge: output, spread } = this.#input(
      plan,
      path,
      { want: result, alone: true, isLookedUp: false },
      (batch) => this.#output.onOutput(batch),
    );
    const edges = this.#edges;
    const entries = this.#entries;
    const operators = this.#operators;
    const timed = operators.filter(({ tick }) => tick !== undefined);
    const clock = this.#clock;
    const state = operators.flatMap((operator) => operator.state);
    assert(new Set(state.map((table) => table.id)).size === state.length, 'state ids of a pipeline are unique');
    return {
      inputs: entries.map((entry) => entry.input),
      operators,
      state,
      result: spread,
      places: this.#places,
      changelog: changelogOf(plan),
      push(input, batch) {
        if (batch.length > 0) entries[input].enter(batch);
      },
      advance(input, micros) {
        return entries[input].edge.advance(micros);
      },
      get watermark() {
        return output.micros;
      },
      get wakeAtMicros() {
        const times = timed.map(({ wakeAtMicros }) => wakeAtMicros ?? Number.POSITIVE_INFINITY);
        const next = Math.min(...times);
        return Number.isFinite(next) ? next : null;
      },
      evict(share) {
        for (const operator of operators) operator.evict?.(share);
      },
      inputTo(operator) {
        const input = entries.findIndex(({ consumer }) => consumer === operator);
        return input < 0 ? null : input;
      },
      get interrupted() {
        return clock.current;
      },
      endEpoch(nowMicros = 0) {
        runAlone(this.meetAndEndEpoch(nowMicros));
      },
      *meetAndEndEpoch(nowMicros) {
        for (let i = 0; i < operators.length; i++) {
          const operator = operators[i];
          if (operator instanceof ExchangeOperator) {
            yield* operator.meet((batch) => clock.run(operator, () => operator.deliver(batch)));
            continue;
          }
          clock.run(operator, () => {
            edges[i]?.tell();
            operator.tick?.(nowMicros);
            operator.endEpoch();
          });
        }
      },
      giveUp(error) {
        for (const operator of operators) if (operator instanceof ExchangeOperator) operator.giveUp(error);
      },
    };
  }

  /** Builds the node and what is below it; its rows go to `emit`. */
  #node(plan: Plan, path: string, emit: Emit, isLookedUp: boolean): Built {
    if (plan.op === 'scan') {
      const enter: Emit = (batch) => emit(admit(batch, plan));
      const edge = new Edge(null, [], timeBoundsOf(plan).size > 0);
      this.#entries.push({
        input: { relation: plan.relation, columns: plan.columns, isLookedUp, dropsLate: plan.dropsLate === true },
        enter,
        edge,
        consumer: null,
      });
      return { id: plan.relation, edge, targets: [], spread: spreadOf(plan, []) };
    }
    const meaning = `${isLookedUp} ${planKey(plan)}`;
    const same = this.#built.get(meaning);
    if (same !== undefined) {
      same.targets.push(emit);
      return same;
    }
    const targets = [emit];
    const chain = plan.op === 'filter' || plan.op === 'project' ? chainOf(plan) : null;
    const inputs = chain === null ? inputsOf(plan) : [chain.input];
    const wants = partitioningOf(plan);
    // The operator needs to know its inputs' ids, and they need the operator to push to: the latter comes late.
    const cell: { operator: Operator | null } = { operator: null };
    const built = inputs.map((input, port) =>
      this.#input(
        input,
        `${path}.${port}`,
        {
          want: wants[port],
          alone: inputs.length === 1,
          isLookedUp: isLookedUp || (plan.op === 'lookup' && port === 1),
        },
        (batch) => this.#enter(cell.operator!, port, batch),
      ),
    );
    const id = `${path}.${plan.op}`;
    inputs.forEach((input, port) => {
      const entry = input.op === 'scan' ? this.#entries.find(({ edge }) => edge === built[port].edge) : undefined;
      if (entry !== undefined) entry.consumer = id;
    });
    const info: OperatorInfo = {
      id,
      ...describe(plan, chain?.nodes ?? []),
      inputs: built.map(({ id }) => id),
      changelog: changelogOf(plan),
      growth: stateGrowth(plan),
    };
    const context: OperatorContext = {
      emit: (batch) => {
        cell.operator!.stats.rowsOut += batch.length;
        const out = withoutOrigin(batch);
        for (const target of targets) target(out);
      },
      onError: (code, reason, row, origin = null) =>
        this.#output.onError({ code, reason, operator: `${info.id} ${info.name}`, row, origin }),
    };
    const arranged = built.map(({ spread }) => spread);
    const elsewhere = (this.#shard?.peers?.index ?? 0) > 0 && arranged.every(({ to }) => to === 'one');
    if (chain !== null) cell.operator = statelessOf(chain, info, context);
    else cell.operator = elsewhere ? new SilentOperator(info, context) : operatorOf(plan, info, context);
    this.#operators.push(cell.operator);
    for (const table of cell.operator.state) this.#places.set(table.id, { table, inputs: arranged });
    const spread = chain === null ? spreadOf(plan, arranged) : chainSpread(chain, arranged);
    const edge = new Edge(
      cell.operator,
      built.map((input) => input.edge),
      timeBoundsOf(plan).size > 0,
    );
    this.#edges.push(edge);
    const done = { id: info.id, edge, targets, spread };
    this.#built.set(meaning, done);
    return done;
  }

  /** Builds what feeds a node, with an exchange behind it where its rows are not where the node wants them. */
  #input(plan: Plan, path: string, as: InputForm, emit: Emit): Omit<Built, 'targets'> {
    const cell = { enter: emit };
    const { id, edge, spread: have } = this.#node(plan, path, (batch) => cell.enter(batch), as.isLookedUp);
    const spread = arrangedAs(have, as.want, as.alone);
    const peers = this.#shard?.peers ?? null;
    if (this.#shard === null || peers === null || spread.to === 'any' || sameSpread(have, spread))
      return { id, edge, spread };
    const names = spread.to === 'keys' ? spread.columns.map((column) => plan.schema[column].name).join(', ') : '';
    const info: OperatorInfo = {
      id: `${path}.exchange`,
      name: 'exchange',
      detail: spread.to === 'keys' ? `by ${names}` : 'to one worker',
      inputs: [id],
      changelog: changelogOf(plan),
      growth: null,
    };
    const { channel } = this.#shard;
    const context: OperatorContext = {
      emit: (batch) => {
        exchange.stats.rowsOut += batch.length;
        emit(batch);
      },
      onError: () => undefined,
    };
    const exchange = new ExchangeOperator(info, context, spread, peers, `${channel} ${info.id}`);
    cell.enter = (batch) => this.#enter(exchange, 0, batch);
    this.#operators.push(exchange);
    this.#edges.push(null);
    return { id: info.id, edge, spread };
  }

  #enter(operator: Operator, port: number, batch: Batch): void {
    operator.stats.rowsIn += batch.length;
    this.#clock.push(operator, port, batch);
  }
}

/** Only the first operator is told where rows are in the log: after it they may be others, and come later. */
function withoutOrigin(batch: Batch): Batch {
  return batch.origin === undefined ? batch : { length: batch.length, columns: batch.columns, weights: batch.weights };
}

/** Weights that are all 1 become null, which is what the fast paths look for; to a source no other may come. */
function admit(batch: Batch, scan: Scan): Batch {
  const { weights } = batch;
  if (weights === null) return batch;
  for (let row = 0; row < batch.length; row++) {
    if (weights[row] === 1) continue;
    assert(scan.changelog !== 'append', `${scan.name} is only appended to, but a row came with weight ${weights[row]}`);
    return batch;
  }
  return { ...batch, weights: null };
}

function operatorOf(plan: Plan, info: OperatorInfo, context: OperatorContext): Operator {
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
      return new JoinOperator(info, context, plan, [!appends[0], !appends[1]], residual);
    }
    case 'lookup': {
      const residual = plan.residual === null ? null : residualSelector(plan.residual, joinTypes(plan), context);
      return new LookupOperator(info, context, plan, appends[0], residual);
    }
    case 'asof':
      return new AsofOperator(info, context, plan);
    case 'recursive':
      return new RecursiveOperator(info, context, plan, (output) =>
        new Builder(output, null).build(plan.step, `${info.id}.step`),
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

interface Chain {
  /** From the input up. */
  readonly nodes: readonly (Filter | Project)[];
  readonly input: Plan;
}

function chainOf(top: Filter | Project): Chain {
  const nodes: (Filter | Project)[] = [];
  let plan: Plan = top;
  while (plan.op === 'filter' || plan.op === 'project') {
    nodes.unshift(plan);
    plan = plan.input;
  }
  return { nodes, input: plan };
}

const chainSpread = ({ nodes }: Chain, [input]: readonly Spread[]): Spread =>
  nodes.reduce((spread, node) => spreadOf(node, [spread]), input);

function statelessOf(chain: Chain, info: OperatorInfo, context: OperatorContext): Operator {
  const stages: Stage[] = [];
  for (let n = 0; n < chain.nodes.length; n++) {
    const node = chain.nodes[n];
    const types = typesOf(node.input.schema);
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

const typesOf = (schema: readonly ColumnSchema[]): SqlType[] => schema.map((column) => column.type);

/** Of a pair: left columns, then right ones. */
const joinTypes = (plan: Join | LookupJoin): SqlType[] => [...typesOf(plan.left.schema), ...typesOf(plan.right.schema)];

/** What EXPLAIN and the console call the operator. */
function describe(plan: Plan, chain: readonly (Filter | Project)[]): { name: string; detail: string } {
  const names = (schema: readonly ColumnSchema[], columns: readonly number[]): string =>
    columns.map((column) => schema[column].name).join(', ');
  switch (plan.op) {
    case 'filter':
    case 'project': {
      const ops = chain.map((node) => node.op);
      return { name: [...new Set(ops)].join(' + '), detail: plan.schema.map((column) => column.name).join(', ') };
    }
    case 'unnest': {
      const name = TABLE_FUNCTIONS.get(plan.fn)?.name ?? plan.fn;
      return { name: plan.outer ? `left ${name}` : name, detail: names(plan.input.schema, plan.args) };
    }
    case 'aggregate': {
      const by = plan.groupBy.length === 0 ? 'one group' : `by ${names(plan.input.schema, plan.groupBy)}`;
      return {
        name: 'aggregate',
        detail: `${plan.aggregates.map((call) => AGGREGATES.get(call.fn)?.name ?? call.fn).join(', ')} ${by}`.trim(),
      };
    }
    case 'join': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      if (plan.residual !== null) on.push('condition');
      const range = timeRangeOf(plan);
      const how = range === null ? '' : `${range.kind} `;
      return { name: on.length === 0 ? 'cross join' : `${how}${plan.kind} join`, detail: on.join(' and ') };
    }
    case 'lookup': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      if (plan.residual !== null) on.push('condition');
      return { name: plan.kind === 'left' ? 'left lookup join' : 'lookup join', detail: on.join(' and ') };
    }
    case 'asof': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      on.push(`${plan.left.schema[plan.leftTime].name} ${plan.cmp} ${plan.right.schema[plan.rightTime].name}`);
      const name = plan.temporal === true ? 'temporal join' : 'asof join';
      return { name: plan.kind === 'left' ? `left ${name}` : name, detail: on.join(' and ') };
    }
    case 'window':
      return {
        name: plan.kind,
        detail: `${plan.input.schema[plan.timeColumn].name} size ${plan.sizeMicros / 1e6} s slide ${plan.slideMicros / 1e6} s`,
      };
    case 'expire':
      return {
        name: 'expire',
        detail: plan.afterMicros === null ? 'oldest first' : `after ${plan.afterMicros / 1e6} s`,
      };
    case 'nowFilter': {
      const moments = [...plan.from, ...plan.until].map(({ column }) => column);
      return { name: 'filter by now()', detail: names(plan.schema, moments) };
    }
    case 'close':
      return {
        name: 'emit on close',
        detail: names(
          plan.schema,
          plan.times.map(({ column }) => column),
        ),
      };
    case 'session': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      const time = plan.input.schema[plan.timeColumn].name;
      return { name: 'session', detail: `${time} gap ${plan.gapMicros / 1e6} s${by}` };
    }
    case 'topn': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'top-n', detail: `first ${plan.limit}${by}` };
    }
    case 'setOp':
      return { name: plan.kind, detail: plan.all ? 'all' : '' };
    case 'over': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'over', detail: `${plan.calls.map((call) => call.fn).join(', ')}${by}` };
    }
    case 'match': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'match', detail: `${patternText(plan.pattern, plan.variables)}${by}` };
    }
    case 'recursive':
      return { name: 'recursion', detail: plan.all ? 'with duplicates' : 'without duplicates' };
    case 'union':
      return { name: 'union all', detail: `${plan.inputs.length} inputs` };
    case 'values':
      return { name: 'values', detail: `${plan.rows.length} rows` };
    default:
      return { name: plan.op, detail: '' };
  }
}

/** Gives each operator the time between entering it and leaving it, less what those it emitted to took. */
class BusyClock {
  #since = 0;
  #current: Operator | null = null;

  /** At rest none, unless one threw. */
  get current(): Operator | null {
    return this.#current;
  }

  push(operator: Operator, port: number, batch: Batch): void {
    const outer = this.#switchTo(operator);
    operator.push(port, batch);
    this.#switchTo(outer);
  }

  run(operator: Operator, work: () => void): void {
    const outer = this.#switchTo(operator);
    work();
    this.#switchTo(outer);
  }

  #switchTo(operator: Operator | null): Operator | null {
    const now = performance.now();
    const before = this.#current;
    if (before !== null) before.stats.busyMs += now - this.#since;
    this.#current = operator;
    this.#since = now;
    return before;
  }
}
