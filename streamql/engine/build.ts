import { assert } from '../../src/lib/assert.ts';
import type { Batch } from '../../src/values/batch.ts';
import { changelogOf } from '../plan/changelog.ts';
import { timeBoundsOf } from '../plan/event-time.ts';
import {
  arrangedAs,
  keysBelow,
  partitioningOf,
  type Spread,
  sameSpread,
  spreadOf,
  wantedBelowWindow,
} from '../plan/partitioning.ts';
import type { Plan, Scan } from '../plan/plan.ts';
import { planKey } from '../plan/plan-key.ts';
import { stateGrowth } from '../plan/state-growth.ts';
import { inputsOf } from '../plan/walk.ts';
import { BusyClock } from './busy-clock.ts';
import { chainOf, chainSpread, statelessOf } from './chain.ts';
import { describe } from './describe.ts';
import { Edge } from './edge.ts';
import type { BuiltJoin, Emit, Operator, Pipeline, PipelineInput, PipelineOutput, TablePlace } from './operator.ts';
import { type OperatorParts, operatorOf } from './operator-of.ts';
import { type OperatorContext, type OperatorInfo, SilentOperator } from './operators/base.ts';
import { ExchangeOperator } from './operators/exchange.ts';
import { JoinOperator } from './operators/join.ts';
import { type Peers, runAlone } from './shards/peers.ts';
import { type Stores, sharedSideOf } from './shared-side.ts';

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
  /** Absent: every join keeps both its sides. */
  readonly stores?: Stores;
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
  /** Columns of it by which a GROUP BY above wants rows together; a window below may bring them together before it multiplies them. */
  readonly groupedBy: readonly number[];
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
  readonly #joins: BuiltJoin[] = [];
  readonly #spreads = new Map<Operator, readonly Spread[]>();

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
      { want: result, alone: true, isLookedUp: false, groupedBy: [] },
      (batch) => this.#output.onOutput(batch),
    );
    const edges = this.#edges;
    const entries = this.#entries;
    const operators = this.#operators;
    const timed = operators.filter(({ tick }) => tick !== undefined);
    const clock = this.#clock;
    const spreads = this.#spreads;
    const ids = operators.flatMap((operator) => operator.state.map((table) => table.id));
    assert(new Set(ids).size === ids.length, 'state ids of a pipeline are unique');
    return {
      inputs: entries.map((entry) => entry.input),
      operators,
      get state() {
        return operators.flatMap((operator) => operator.state);
      },
      joins: this.#joins,
      result: spread,
      get places() {
        return placesOf(spreads);
      },
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
      takeComingFirst() {
        for (const operator of operators) if (operator instanceof ExchangeOperator) operator.takeComingFirst();
      },
      giveUp(error) {
        for (const operator of operators) if (operator instanceof ExchangeOperator) operator.giveUp(error);
      },
    };
  }

  /** Builds the node and what is below it; its rows go to `emit`. */
  #node(plan: Plan, path: string, emit: Emit, { isLookedUp, groupedBy }: InputForm): Built {
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
    const id = `${path}.${plan.op}`;
    const cell: { operator: Operator | null } = { operator: null };
    const onError: OperatorContext['onError'] = (code, reason, row, origin = null) =>
      this.#output.onError({ code, reason, operator: `${id} ${cell.operator!.name}`, row, origin });
    const stores = this.#shard?.stores;
    // What rows are looked up in comes before the query follows the rest.
    const shared =
      plan.op !== 'join' || stores === undefined || isLookedUp
        ? null
        : sharedSideOf(plan, stores, { emit: () => undefined, onError });
    const chain = plan.op === 'filter' || plan.op === 'project' ? chainOf(plan) : null;
    const inputs = chain === null ? inputsOf(plan) : [chain.input];
    const wants = plan.op === 'window' ? [wantedBelowWindow(plan, groupedBy)] : partitioningOf(plan);
    const groupedBelow =
      plan.op === 'aggregate' ? plan.groupBy : chain === null ? [] : keysBelow(chain.nodes, groupedBy);
    // The operator needs to know its inputs' ids, and they need the operator to push to: the latter comes late.
    const built = inputs.map((input, port) =>
      this.#input(
        input,
        `${path}.${port}`,
        {
          // Rows of a shared side are where the join wants them.
          want: shared?.port === port ? { to: 'any' } : wants[port],
          alone: inputs.length === 1,
          isLookedUp: isLookedUp || (plan.op === 'lookup' && port === 1),
          groupedBy: groupedBelow,
        },
        (batch) => this.#enter(cell.operator!, port, batch),
      ),
    );
    inputs.forEach((input, port) => {
      const entry = input.op === 'scan' ? this.#entries.find(({ edge }) => edge === built[port].edge) : undefined;
      if (entry !== undefined) entry.consumer = id;
    });
    const told = describe(plan, chain?.nodes ?? []);
    const info: OperatorInfo = {
      id,
      name: told.name,
      detail: shared === null ? told.detail : `${told.detail}, ${shared.port === 0 ? 'left' : 'right'} side shared`,
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
      onError,
    };
    const arranged = built.map(({ spread }, port) => (shared?.port === port ? wants[port] : spread));
    const elsewhere = (this.#shard?.peers?.index ?? 0) > 0 && arranged.every(({ to }) => to === 'one');
    if (chain !== null) cell.operator = statelessOf(chain, info, context);
    else
      cell.operator = elsewhere
        ? new SilentOperator(info, context)
        : operatorOf(plan, info, context, { shared, buildStep });
    this.#operators.push(cell.operator);
    if (plan.op === 'join' && cell.operator instanceof JoinOperator)
      this.#joins.push({ operator: cell.operator, plan });
    this.#spreads.set(cell.operator, arranged);
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
    const { id, edge, spread: have } = this.#node(plan, path, (batch) => cell.enter(batch), as);
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

function placesOf(spreads: ReadonlyMap<Operator, readonly Spread[]>): Map<string, TablePlace> {
  const places = new Map<string, TablePlace>();
  for (const [operator, inputs] of spreads) for (const table of operator.state) places.set(table.id, { table, inputs });
  return places;
}

/** Only the first operator is told where rows are in the log: after it they may be others, and come later. */
function withoutOrigin(batch: Batch): Batch {
  return batch.origin === undefined ? batch : { length: batch.length, columns: batch.columns, weights: batch.weights };
}

const buildStep: OperatorParts['buildStep'] = (step, output, path) => new Builder(output, null).build(step, path);

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
