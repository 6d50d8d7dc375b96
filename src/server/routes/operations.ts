import type { Route, Services } from '../route.ts';

/** Health, metrics and the description of all this. */
export const operationRoutes: readonly Route[] = [
  {
    method: 'GET',
    url: '/health/live',
    summary: 'Whether the process answers.',
    handle: async () => ({ status: 'live' }),
  },
  {
    method: 'GET',
    url: '/health/ready',
    summary: 'Whether it can serve: 503 with the reason when not.',
    handle: async ({ status }, _request, reply) => {
      const reason = status().notReadyReason;
      if (reason === undefined) return { status: 'ready' };
      reply.code(503);
      return { status: 'not ready', reason };
    },
  },
  {
    method: 'GET',
    url: '/metrics',
    summary: 'Prometheus text format.',
    produces: ['text/plain'],
    handle: async (services, _request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return metricsText(services);
    },
  },
];

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
}

async function metricsText(services: Services): Promise<string> {
  const { context } = services.executor;
  const status = services.status();
  const stats = await context.engine.stats();
  const topics = context.log.listTopics();
  const memory = process.memoryUsage();
  const perObject = (pick: (one: (typeof stats.objects)[number]) => number) =>
    stats.objects.map((one) => [{ object: one.name, kind: one.kind }, pick(one)] as const);
  const metrics: Metric[] = [
    {
      name: 'streamline_uptime_seconds',
      type: 'gauge',
      help: 'Seconds since start.',
      samples: [[{}, (services.clock.nowMs() - status.startedAtMs) / 1000]],
    },
    {
      name: 'streamline_resident_memory_bytes',
      type: 'gauge',
      help: 'Resident memory of the process.',
      samples: [[{}, memory.rss]],
    },
    {
      name: 'streamline_kafka_connections',
      type: 'gauge',
      help: 'Open Kafka connections.',
      samples: [[{}, status.kafka.connections]],
    },
    {
      name: 'streamline_kafka_bytes_total',
      type: 'counter',
      help: 'Bytes over Kafka connections.',
      samples: [
        [{ direction: 'in' }, status.kafka.bytesIn],
        [{ direction: 'out' }, status.kafka.bytesOut],
      ],
    },
    {
      name: 'streamline_kafka_requests_total',
      type: 'counter',
      help: 'Kafka requests by API.',
      samples: Object.entries(status.kafka.requests).map(([api, count]) => [{ api }, count] as const),
    },
    {
      name: 'streamline_topic_records',
      type: 'gauge',
      help: 'Offsets between log start and high watermark.',
      samples: topics.map((topic) => {
        let records = 0;
        for (let partition = 0; partition < topic.partitions; partition++) {
          const { logStart, highWatermark } = context.log.bounds(topic.name, partition);
          records += highWatermark - logStart;
        }
        return [{ topic: topic.name }, records] as const;
      }),
    },
    { name: 'streamline_epoch', type: 'gauge', help: 'Newest epoch.', samples: [[{}, stats.epoch]] },
    {
      name: 'streamline_checkpoint_epoch',
      type: 'gauge',
      help: 'Epoch of the newest durable checkpoint.',
      samples: [[{}, stats.checkpointEpoch]],
    },
    {
      name: 'streamline_checkpoint_seconds',
      type: 'gauge',
      help: 'Duration of the newest checkpoint.',
      samples: [[{}, stats.lastCheckpointMs / 1000]],
    },
    {
      name: 'streamline_object_rows',
      type: 'gauge',
      help: 'Rows decoded (sources), held (views) or written (sinks).',
      samples: perObject((one) => one.rows),
    },
    {
      name: 'streamline_object_errors_total',
      type: 'counter',
      help: 'Dead letters.',
      samples: perObject((one) => one.errors),
    },
    {
      name: 'streamline_object_late_total',
      type: 'counter',
      help: 'Rows behind the watermark.',
      samples: perObject((one) => one.late),
    },
    {
      name: 'streamline_object_failed',
      type: 'gauge',
      help: '1 when the object has stopped with an error.',
      samples: perObject((one) => (one.state === 'failed' ? 1 : 0)),
    },
    {
      name: 'streamline_object_state_bytes',
      type: 'gauge',
      help: 'Bytes of operator state.',
      samples: perObject((one) => one.operators.reduce((sum, operator) => sum + operator.stateBytes, 0)),
    },
    {
      name: 'streamline_source_lag_records',
      type: 'gauge',
      help: 'Records that a source has yet to read.',
      samples: stats.objects
        .filter((one) => one.offsets !== undefined)
        .map(
          (one) =>
            [
              { object: one.name },
              (one.offsets ?? []).reduce((sum, p) => sum + p.highWatermark - p.offset, 0),
            ] as const,
        ),
    },
  ];
  return metrics.map(metricText).join('');
}

function metricText({ name, type, help, samples }: Metric): string {
  const lines = samples.map(([labels, value]) => {
    const inside = Object.entries(labels)
      .map(
        ([label, one]) => `${label}="${one.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
      )
      .join(',');
    return `${name}${inside === '' ? '' : `{${inside}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
