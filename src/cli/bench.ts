import type { Command } from 'commander';
import { parseInteger } from '../lib/config-table.ts';
import { NexmarkGenerator } from '../playground/nexmark-generator.ts';
import { WireProducer } from '../playground/wire-producer.ts';

interface BenchOptions {
  readonly kafka: string;
  readonly events: number;
  readonly batch: number;
}

/** Load for a running server; `npm run bench` in a checkout measures the parts as well. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .description(
      'Produce Nexmark events to a running server, acks=all, as fast as it takes them, and print the rate as JSON.',
    )
    .option(
      '--kafka <HOST:PORT>',
      'Kafka address of the server',
      process.env['STREAMLINE_KAFKA_LISTEN'] ?? '127.0.0.1:9092',
    )
    .option('-n, --events <N>', 'number of events', parseInteger(1, 1_000_000_000), 100_000)
    .option('--batch <N>', 'events per request', parseInteger(1, 100_000), 1000)
    .action(bench);
}

const IN_FLIGHT = 5;

async function bench(options: BenchOptions): Promise<void> {
  const { default: progress } = await import('cli-progress');
  const bar = new progress.SingleBar(
    { stream: process.stderr, clearOnComplete: true },
    progress.Presets.shades_classic,
  );
  const producer = await WireProducer.connect(options.kafka);
  const generator = new NexmarkGenerator({ seed: 1, baseTimeMs: Date.now(), eventsPerSecond: 10_000 });
  const latenciesMs: number[] = [];
  const flying = new Set<Promise<void>>();
  let bytes = 0;
  const started = performance.now();
  bar.start(options.events, 0);
  for (let from = 0; from < options.events; from += options.batch) {
    const values: Record<string, Buffer[]> = { person: [], auction: [], bid: [] };
    for (let i = from; i < Math.min(options.events, from + options.batch); i++) {
      const event = generator.event(i);
      const value = Buffer.from(event.json);
      bytes += value.length;
      values[event.kind].push(value);
    }
    for (const [topic, list] of Object.entries(values)) {
      if (list.length === 0) continue;
      if (flying.size >= IN_FLIGHT) await Promise.race(flying);
      const sentMs = performance.now();
      const one: Promise<void> = producer.produce(topic, 0, list).then(() => {
        latenciesMs.push(performance.now() - sentMs);
        flying.delete(one);
      });
      flying.add(one);
    }
    bar.update(from);
  }
  await Promise.all(flying);
  bar.stop();
  producer.close();
  const seconds = (performance.now() - started) / 1000;
  latenciesMs.sort((a, b) => a - b);
  const at = (quantile: number): number =>
    Number(latenciesMs[Math.floor(quantile * (latenciesMs.length - 1))].toFixed(2));
  const figures = {
    events: options.events,
    eventsPerSecond: Math.round(options.events / seconds),
    megabytesPerSecond: Number((bytes / seconds / 1e6).toFixed(1)),
    requestMs: { p50: at(0.5), p99: at(0.99) },
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
