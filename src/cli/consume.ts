import type { Command } from 'commander';
import { parseInteger } from '../lib/config-table.ts';
import { Client, withServer } from './client.ts';

interface Page {
  readonly nextOffset: number;
  readonly records: readonly { offset: number; timestamp: string; key: unknown; value: unknown }[];
}

const POLL_MS = 200;
const PAGE = 1000;

export function addConsume(program: Command): void {
  withServer(program.command('consume <topic>'))
    .description('Print the records of a topic, one line each: the value, or with --json everything.')
    .option('-p, --partition <N>', 'only this partition', parseInteger(0, 10_000))
    .option(
      '-o, --offset <N>',
      'first offset; negative counts from the end',
      parseInteger(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    )
    .option('-n, --limit <N>', 'stop after this many records', parseInteger(1, Number.MAX_SAFE_INTEGER))
    .option('-f, --follow', 'wait for more records at the end')
    .option('--json', 'one JSON object a record, with partition, offset, timestamp and key')
    .action(consume);
}

interface ConsumeOptions {
  readonly http: string;
  readonly partition?: number;
  readonly offset?: number;
  readonly limit?: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

async function consume(topic: string, options: ConsumeOptions): Promise<void> {
  const client = new Client(options.http);
  const base = `/api/v1/topics/${encodeURIComponent(topic)}`;
  const { partitions } = await client.json<{ partitions: { partition: number }[] }>('GET', base);
  const wanted = options.partition === undefined ? partitions.map((one) => one.partition) : [options.partition];
  const next = new Map<number, number | undefined>(wanted.map((partition) => [partition, options.offset]));
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for (;;) {
    let read = 0;
    for (const [partition, offset] of next) {
      if (left <= 0) return;
      const from = offset === undefined ? '' : `&offset=${offset}`;
      const page = await client.json<Page>(
        'GET',
        `${base}/partitions/${partition}/records?limit=${Math.min(PAGE, left)}${from}`,
      );
      next.set(partition, page.nextOffset);
      read += page.records.length;
      left -= page.records.length;
      for (const record of page.records)
        process.stdout.write(`${options.json ? JSON.stringify({ partition, ...record }) : valueText(record.value)}\n`);
    }
    if (read > 0) continue;
    if (!options.follow) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
