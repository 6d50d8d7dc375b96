import type { SqlContext } from '../../catalog/context.ts';
import { findingsOf } from '../../catalog/diagnosis.ts';
import { StreamError } from '../../lib/errors.ts';
import type { EngineStats, ObjectStats } from '../../ports/engine.ts';
import { object, type Route, text } from '../route.ts';

export const pipelineRoutes: readonly Route[] = [
  {
    method: 'GET',
    url: '/api/v1/pipelines',
    summary: 'Everything that runs: sources, views and sinks, with rows, lag and state size.',
    handle: async ({ executor }) => {
      const stats = await executor.context.engine.stats();
      return {
        epoch: stats.epoch,
        checkpoint: checkpointJson(stats),
        pipelines: stats.objects.map((one) => pipelineJson(executor.context, one)),
      };
    },
  },
  {
    method: 'GET',
    url: '/api/v1/pipelines/:name',
    summary:
      'The operators of one object: rows in and out, state and how it grows, busy time, changelog kind, rates over the last seconds; watermark, lag and late rows; and `findings`: why it is stuck, wrong, slow or big, with what to do.',
    params: object({ name: text('Name of a source, table, view or sink.') }, ['name']),
    handle: async ({ executor }, request) => {
      const { name } = request.params as { name: string };
      const { objects } = await executor.context.engine.stats();
      const found = objects.find((one) => one.name === name);
      if (found === undefined)
        throw new StreamError('NOT_FOUND', `nothing named "${name}" runs`, {
          hint: 'GET /api/v1/pipelines lists what does',
        });
      return {
        ...pipelineJson(executor.context, found),
        findings: findingsOf(objects, executor.context.catalog, found),
        operators: found.operators,
      };
    },
  },
];

const checkpointJson = (stats: EngineStats) => ({
  epoch: stats.checkpointEpoch,
  durationMs: stats.lastCheckpointMs,
  bytes: stats.checkpointBytes,
});

export function pipelineJson(context: SqlContext, stats: ObjectStats) {
  const reads = context.catalog.byId(stats.id)?.reads ?? [];
  return {
    name: stats.name,
    kind: stats.kind,
    state: stats.state,
    ...(stats.error ? { error: stats.error } : {}),
    rows: stats.rows,
    errors: stats.errors,
    late: stats.late,
    stateRows: total(stats, 'stateRows'),
    stateBytes: total(stats, 'stateBytes'),
    busyMs: Math.round(total(stats, 'busyMs')),
    rates: stats.rates,
    ...(stats.recordsBehind === undefined ? {} : { recordsBehind: stats.recordsBehind }),
    ...(stats.behindForMs === undefined ? {} : { behindForMs: Math.round(stats.behindForMs) }),
    ...(stats.waitsFor === undefined ? {} : { waitsFor: stats.waitsFor }),
    ...(stats.waitingRows === undefined ? {} : { waitingRows: stats.waitingRows }),
    ...(stats.trouble === undefined ? {} : { trouble: stats.trouble }),
    ...(stats.backfill === undefined ? {} : { backfill: stats.backfill }),
    ...(stats.spilledBytes === undefined ? {} : { spilledBytes: stats.spilledBytes }),
    ...watermarkJson(context, stats.watermarkMicros),
    reads: reads.map((id) => context.catalog.byId(id)?.name ?? id),
    ...(stats.offsets === undefined
      ? {}
      : {
          offsets: stats.offsets,
          lag: stats.offsets.reduce((sum, partition) => sum + partition.highWatermark - partition.offset, 0),
        }),
  };
}

/** Absent where no source has a watermark; the lag is how far the watermark is behind the clock. */
function watermarkJson({ clock }: SqlContext, micros: number | null | undefined) {
  if (micros === undefined) return {};
  if (micros === null) return { watermark: null, watermarkLagMs: null };
  return {
    watermark: new Date(micros / 1000).toISOString(),
    watermarkLagMs: Math.round(clock.nowMs() - micros / 1000),
  };
}

const total = (stats: ObjectStats, what: 'stateRows' | 'stateBytes' | 'busyMs'): number =>
  stats.operators.reduce((sum, operator) => sum + operator[what], 0);
