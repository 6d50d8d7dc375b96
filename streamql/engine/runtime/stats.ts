import type { EngineStats, ObjectStats, OperatorStats } from '../../../src/ports/engine.ts';
import type { CheckpointStats } from './checkpointer.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { QueryNode } from './query-node.ts';
import type { SourceNode } from './source-node.ts';

export function engineStats(graph: Graph, checkpoint: CheckpointStats): EngineStats {
  return {
    epoch: graph.epoch,
    checkpointEpoch: checkpoint.epoch,
    lastCheckpointMs: checkpoint.durationMs,
    checkpointBytes: checkpoint.bytes,
    objects: [...graph.nodes].map((node) => (node.kind === 'source' ? sourceStats(node) : queryStats(node))),
  };
}

function common(node: GraphNode) {
  const { id, name } = node.spec;
  const error = node.error?.toJSON();
  return {
    id,
    name,
    state: error === undefined ? ('running' as const) : ('failed' as const),
    ...(error === undefined ? {} : { error: { code: error.code, detail: error.detail } }),
    errors: node.errors.total,
  };
}

function sourceStats(node: SourceNode): ObjectStats {
  const { positions } = node.cursor;
  const scan: OperatorStats = {
    id: 'source',
    name: node.isTable ? 'Table' : 'Source',
    detail: `topic ${node.spec.topic}`,
    inputs: [],
    changelog: node.isTable ? 'upsert' : 'append',
    rowsIn: node.cursor.records,
    rowsOut: node.rows,
    stateRows: node.store?.rows ?? 0,
    stateBytes: node.store?.table.bytes ?? 0,
    busyMs: node.busyMs,
  };
  return {
    ...common(node),
    kind: 'source',
    rows: node.rows,
    late: node.lateRows,
    offsets: positions.map(({ partition, next, highWatermark }) => ({ partition, offset: next, highWatermark })),
    watermarkMicros: node.spec.watermark === null ? null : node.watermark.micros,
    operators: [scan],
  };
}

function queryStats(node: QueryNode): ObjectStats {
  const operators = node.pipeline.operators.map((operator) => ({
    id: operator.id,
    name: operator.name,
    detail: operator.detail,
    inputs: operator.inputs,
    changelog: operator.changelog,
    rowsIn: operator.stats.rowsIn,
    rowsOut: operator.stats.rowsOut,
    stateRows: operator.state.reduce((sum, table) => sum + table.rows, 0),
    stateBytes: operator.state.reduce((sum, table) => sum + table.bytes, 0),
    busyMs: operator.stats.busyMs,
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
    stateBytes: node.store?.bytes ?? 0,
    busyMs: node.busyMs,
  };
  return {
    ...common(node),
    kind: node.kind,
    rows: node.writer?.rows ?? node.store?.rows ?? 0,
    late: 0,
    operators: [...operators, end],
  };
}
