import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { StreamError } from '../lib/errors.ts';
import { printError } from './cli.ts';
import { Client, withServer } from './client.ts';
import { type Format, formatTable, parseFormat, type Table } from './format.ts';

interface SqlAnswer {
  readonly results: readonly ((
    | ({ readonly kind: 'rows' } & Table)
    | { readonly kind: 'ok'; readonly tag: string; readonly notice?: string }
  ) & { readonly warnings?: readonly { readonly message: string; readonly hint: string }[] })[];
}

interface SqlOptions {
  readonly command?: string;
  readonly file?: string;
  readonly format: Format;
  readonly http: string;
  readonly timeoutMs?: string;
}

export function addSql(program: Command): void {
  withServer(program.command('sql'))
    .description('Run StreamQL; without -c and -f, read statements from the terminal or from standard input.')
    .option('-c, --command <SQL>', 'statements to run')
    .option('-f, --file <FILE>', 'file with statements to run')
    .option('--timeout-ms <MS>', 'give up after this long')
    .option('--format <FORMAT>', 'table, json, ndjson, csv, tsv or markdown', parseFormat, 'table' as Format)
    .action(async (options: SqlOptions) => {
      const client = new Client(options.http);
      if (options.command !== undefined) await runSql(client, options.command, options);
      else if (options.file !== undefined) await runSql(client, readStatements(options.file), options);
      else if (process.stdin.isTTY) await repl(client, options);
      else await runSql(client, readFileSync(0, 'utf8'), options);
    });
}

function readStatements(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new StreamError('OPTION_INVALID', `cannot read ${path}: ${(thrown as Error).message}`, {
      hint: 'the file given with -f holds statements, each with a ";" at its end',
    });
  }
}

async function runSql(client: Client, sql: string, options: SqlOptions): Promise<void> {
  const answer = await client.json<SqlAnswer>('POST', '/api/v1/sql', {
    sql,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: Number(options.timeoutMs) }),
  });
  for (const result of answer.results) {
    if (result.kind === 'rows') process.stdout.write(formatTable(result, options.format));
    else process.stderr.write(`${result.tag}${result.notice ? ` (${result.notice})` : ''}\n`);
    for (const { message, hint } of result.warnings ?? []) process.stderr.write(`warning: ${message}\n  ${hint}\n`);
  }
}

const HELP = `Statements end with ; and may span lines.
  SHOW VIEWS; SHOW SOURCES; SHOW TABLES; SHOW SINKS; SHOW TOPICS; SHOW PIPELINES; SHOW FUNCTIONS;
  DESCRIBE x;   EXPLAIN SELECT …;   \\q leaves.
`;

async function repl(client: Client, options: SqlOptions): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: 'streamline> ' });
  process.stderr.write('StreamQL. \\? for help, \\q to leave.\n');
  let pending = '';
  lines.prompt();
  for await (const line of lines) {
    const word = line.trim();
    if (pending === '' && (word === '\\q' || word === 'exit' || word === 'quit')) break;
    if (pending === '' && (word === '\\?' || word === 'help')) {
      process.stderr.write(HELP);
    } else {
      pending += `${line}\n`;
      if (word.endsWith(';')) {
        await runSql(client, pending, options).catch(printError);
        pending = '';
      }
    }
    lines.setPrompt(pending.trim() === '' ? 'streamline> ' : '        … ');
    if (pending.trim() === '') pending = '';
    lines.prompt();
  }
  lines.close();
}
