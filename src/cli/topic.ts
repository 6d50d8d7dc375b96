import { type Command, InvalidArgumentError } from 'commander';
import { parseInteger } from '../lib/config-table.ts';
import { Client, withServer } from './client.ts';
import { type Format, formatTable, parseFormat } from './format.ts';

interface TopicJson {
  readonly name: string;
  readonly records: number;
  readonly partitions: readonly { partition: number; logStart: number; highWatermark: number; offline?: string }[];
}

export function addTopic(program: Command): void {
  const topic = program.command('topic').description('List, create, describe and delete topics.');
  withServer(topic.command('list'))
    .description('All topics.')
    .option('--format <FORMAT>', 'table, json, ndjson, csv, tsv or markdown', parseFormat, 'table' as Format)
    .action(async (options: { http: string; format: Format }) => {
      const { topics } = await new Client(options.http).json<{ topics: TopicJson[] }>('GET', '/api/v1/topics');
      const columns = [{ name: 'name' }, { name: 'partitions', type: 'integer' }, { name: 'records', type: 'bigint' }];
      const rows = topics.map((one) => [one.name, one.partitions.length, one.records]);
      process.stdout.write(formatTable({ columns, rows }, options.format));
    });
  withServer(topic.command('create <name>'))
    .description('Create a topic.')
    .option('-p, --partitions <N>', 'number of partitions', parseInteger(1, 10_000), 1)
    .option('-c, --config <NAME=VALUE>', 'a topic setting; may be repeated', parseConfig)
    .action(async (name: string, options: { http: string; partitions: number; config?: Record<string, string> }) => {
      const { partitions, config } = options;
      await new Client(options.http).json('POST', '/api/v1/topics', {
        name,
        partitions,
        ...(config ? { config } : {}),
      });
      process.stderr.write(`created ${name}\n`);
    });
  withServer(topic.command('describe <name>'))
    .description('Partitions and offsets of a topic, and why one cannot be used, if so.')
    .option('--format <FORMAT>', 'table, json, ndjson, csv, tsv or markdown', parseFormat, 'table' as Format)
    .action(async (name: string, options: { http: string; format: Format }) => {
      const found = await new Client(options.http).json<TopicJson>('GET', `/api/v1/topics/${encodeURIComponent(name)}`);
      const columns = ['partition', 'log_start', 'high_watermark', 'offline'].map((column) => ({
        name: column,
        type: column === 'offline' ? 'text' : 'bigint',
      }));
      const rows = found.partitions.map((one) => [one.partition, one.logStart, one.highWatermark, one.offline ?? null]);
      process.stdout.write(formatTable({ columns, rows }, options.format));
    });
  withServer(topic.command('delete <name>'))
    .description('Delete a topic and its records.')
    .action(async (name: string, options: { http: string }) => {
      await new Client(options.http).json('DELETE', `/api/v1/topics/${encodeURIComponent(name)}`);
      process.stderr.write(`deleted ${name}\n`);
    });
}

function parseConfig(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('write NAME=VALUE, such as retention.ms=3600000');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
