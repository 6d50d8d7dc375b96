import type { StreamError } from '../../../src/lib/errors.ts';
import type { ObjectStats, OperatorStats } from '../../../src/ports/engine.ts';
import { viewGrowth } from '../../plan/state-growth.ts';
import type { StateSize } from '../operator.ts';
import { waitsFor } from './alignment.ts';
import { recordsBehind } from './catch-up.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { QueryNode } from './query-node.ts';
import { NO_RATES } from './rates.ts';
import type { SourceNode } from './source-node.ts';
import type { ViewHistory } from './view-history.ts';

/** Without rates. */
export function objectStats(graph: Graph): ObjectStats[] {
  return [...graph.nodes].map((node) => (node.kind === 'source' ? sourceStats(graph, node) : queryStats(graph, node)));
}

function sizesOf(
  parts: readonly { readonly size: StateSize }[],
): Pick<OperatorStats, 'stateBytes' | 'usedBytes' | 'spilledBytes'> {
  let [stateBytes, usedBytes, spilledBytes] = [0, 0, 0];
  for (const { size } of parts) {
    stateBytes += size.bytes;
    usedBytes += size.used;
    spilledBytes += size.spilled;
  }
  return { stateBytes, usedBytes, spilledBytes };
}

function common(node: GraphNode) {
  const { id, name } = node.spec;
  const cause = node.error ?? (node.kind === 'source' || !node.paused ? null : node.halted);
  const error = cause?.toJSON();
  return {
    id,
    name,
    state: node.error !== null ? ('failed' as const) : node.paused ? ('paused' as const) : ('running' as const),
    ...(error === undefined ? {} : { error: { code: error.code, detail: error.detail } }),
    errors: node.errors.total,
    letters: node.errors.rows,
    rates: NO_RATES,
  };
}

function sourceStats(graph: Graph, node: SourceNode): ObjectStats {
  const { positions } = node.cursor;
  const { watermark } = node.spec;
  const waited = waitsFor(graph, node)?.spec.name;
  const scan: OperatorStats = {
    id: 'source',
    name: node.isTable ? 'Table' : 'Source',
    detail: `topic ${node.spec.topic}`,
    inputs: [],
    changelog: node.isTable ? 'upsert' : 'append',
    rowsIn: node.cursor.records,
    rowsOut: node.rows,
    stateRows: node.store?.rows ?? 0,
    ...sizesOf([...(node.store === null ? [] : [node.store.table]), ...node.relation.indexes]),
    busyMs: node.busyMs,
    growth: node.isTable ? { bound: 'keys', reason: 'one row per primary key', fix: '' } : null,
    rates: NO_RATES,
  };
  return {
    ...common(node),
    kind: 'source',
    ...(node.emptyColumns.length === 0 ? {} : { emptyColumns: node.emptyColumns }),
    ...(node.isTopicGone ? { isTopicGone: true as const } : {}),
    ...(waited === undefined ? {} : { waitsFor: waited }),
    rows: node.rows,
    late: node.lateRows,
    offsets: positions.map(({ partition, next, highWatermark, maxTime }) => ({
      partition,
      offset: next,
      highWatermark,
      ...(watermark === null
        ? {}
        : {
            watermarkMicros: Number.isFinite(maxTime) ? maxTime - watermark.delayMicros : null,
            idle: node.watermark.idle.has(partition),
          }),
    })),
    watermarkMicros: node.spec.watermark === null ? null : node.watermark.micros,
    operators: [scan],
  };
}

function queryStats(graph: Graph, node: QueryNode): ObjectStats {
  const operators: OperatorStats[] = node.pipeline.operators.map((operator) => ({
    id: operator.id,
    name: operator.name,
    detail: operator.detail,
    inputs: operator.inputs,
    changelog: operator.changelog,
    rowsIn: operator.stats.rowsIn,
    rowsOut: operator.stats.rowsOut,
    stateRows: operator.state.reduce((sum, table) => sum + table.rows, 0),
    ...sizesOf(operator.state),
    busyMs: operator.stats.busyMs,
    growth: operator.growth,
    rates: NO_RATES,
  }));
  const last = operators.at(-1);
  const end: OperatorStats = {
    id: node.kind,
    name: node.kind === 'view' ? 'View' : 'Sink',
    detail: node.spec.kind === 'sink' ? node.spec.sinkKind : '',
    inputs: last === undefined ? node.inputs.map(({ relation }) => relation.id) : [last.id],
    changelog: node.pipeline.changelog,
    rowsIn: node.rowsOut,
    rowsOut: node.rowsOut,
    stateRows: node.store?.rows ?? 0,
    ...sizesOf([...(node.store === null ? [] : [node.store.state]), ...(node.relation?.indexes ?? [])]),
    busyMs: node.endMs,
    growth: node.store === null ? null : viewGrowth(node.spec.plan),
    rates: NO_RATES,
  };
  const past: OperatorStats[] = node.history === null ? [] : [historyStats(node.history)];
  const all = [...operators, end, ...past];
  const sources = sourcesOf(graph, node);
  const watermarks = [...sources].flatMap(({ spec, watermark }) => (spec.watermark === null ? [] : [watermark.micros]));
  return {
    ...common(node),
    kind: node.kind,
    rows: node.writer?.rows ?? node.store?.rows ?? 0,
    late: [...sources].reduce((sum, source) => sum + source.lateRows, node.lateRows),
    ...(watermarks.length === 0
      ? {}
      : { watermarkMicros: watermarks.includes(null) ? null : Math.min(...(watermarks as number[])) }),
    ...(node.writer === null
      ? {}
      : {
          waitingRows: node.writer.waitingRows,
          ...(node.heldUp ? { isHeldUp: true as const } : {}),
          ...(node.writer.trouble === null ? {} : { trouble: troubleOf(node.writer.trouble) }),
        }),
    ...(node.spilled === null ? {} : { spilledBytes: all.reduce((sum, { spilledBytes }) => sum + spilledBytes, 0) }),
    ...(node.catchingUp === null ? {} : { recordsBehind: recordsBehind(node), ...backfill(node) }),
    operators: all,
  };
}

const troubleOf = (error: StreamError): { code: string; detail: string } => {
  const { code, detail } = error.toJSON();
  return { code, detail };
};

const historyStats = ({ rows, bytes, retainMs }: ViewHistory): OperatorStats => ({
  id: 'history',
  name: 'History',
  detail: `of ${retainMs / 1000} s`,
  inputs: ['view'],
  changelog: 'append',
  rowsIn: 0,
  rowsOut: 0,
  stateRows: rows,
  stateBytes: bytes,
  usedBytes: bytes,
  spilledBytes: 0,
  busyMs: 0,
  growth: { bound: 'bounded', reason: 'the changes of the rows within retain_history', fix: '' },
  rates: NO_RATES,
});

function backfill({ catchingUp }: QueryNode): Pick<ObjectStats, 'backfill'> {
  const extents = [...(catchingUp?.values() ?? [])].map((cursor) => cursor.extent);
  const total = extents.reduce((sum, extent) => sum + extent.total, 0);
  const left = extents.reduce((sum, extent) => sum + extent.left, 0);
  return { backfill: { done: total - left, total, secondsLeft: null } };
}

/** Every source that the query reads, through other views too. */
function sourcesOf(graph: Graph, node: QueryNode, found = new Set<SourceNode>()): Set<SourceNode> {
  for (const { relation } of node.inputs) {
    const owner = graph.ownerOf(relation);
    if (owner.kind === 'source') found.add(owner);
    else sourcesOf(graph, owner, found);
  }
  return found;
}
