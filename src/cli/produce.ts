import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { parseInteger } from '../lib/config-table.ts';
import { Client, withServer } from './client.ts';

const RECORDS_PER_REQUEST = 1000;

interface Line {
  readonly key?: string;
  readonly value: string;
  readonly partition?: number;
}

export function addProduce(program: Command): void {
  withServer(program.command('produce <topic>'))
    .description('Append the lines of standard input as records; each line is one value.')
    .option('--key-separator <TEXT>', 'what stands between key and value in a line')
    .option('-p, --partition <N>', 'partition; default: by the key', parseInteger(0, 10_000))
    .action(async (topic: string, options: { http: string; keySeparator?: string; partition?: number }) => {
      const client = new Client(options.http);
      const path = `/api/v1/topics/${encodeURIComponent(topic)}/records`;
      let records: Line[] = [];
      let sent = 0;
      const send = async (): Promise<void> => {
        if (records.length === 0) return;
        await client.json('POST', path, { records });
        sent += records.length;
        records = [];
      };
      for await (const line of createInterface({ input: process.stdin })) {
        if (line === '') continue;
        records.push(parseLine(line, options));
        if (records.length === RECORDS_PER_REQUEST) await send();
      }
      await send();
      process.stderr.write(`${sent} records appended to ${topic}\n`);
    });
}

function parseLine(line: string, options: { keySeparator?: string; partition?: number }): Line {
  const at = options.keySeparator === undefined ? -1 : line.indexOf(options.keySeparator);
  return {
    ...(at < 0
      ? { value: line }
      : { key: line.slice(0, at), value: line.slice(at + (options.keySeparator as string).length) }),
    ...(options.partition === undefined ? {} : { partition: options.partition }),
  };
}
