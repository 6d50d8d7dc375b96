import type { Command } from 'commander';
import { parseInteger } from '../lib/config-table.ts';
import { StreamError } from '../lib/errors.ts';
import { Client, withServer } from './client.ts';
import { type Format, formatTable, parseFormat, type Table } from './format.ts';

interface ViewOptions {
  readonly http: string;
  readonly format: Format;
  readonly key?: string;
  readonly limit: number;
  readonly watch?: boolean;
}

const REDRAW_MS = 200;

export function addView(program: Command): void {
  withServer(program.command('view [name]'))
    .description('List views; with a name, print its rows, or with --watch redraw them as they change.')
    .option('--key <KEY>', 'only the row or rows with this key')
    .option('-n, --limit <N>', 'at most this many rows', parseInteger(1, 1_000_000), 50)
    .option('-w, --watch', 'keep following the changes')
    .option('--format <FORMAT>', 'table, json, ndjson, csv, tsv or markdown', parseFormat, 'table' as Format)
    .action(async (name: string | undefined, options: ViewOptions) => {
      const client = new Client(options.http);
      if (name === undefined) return listViews(client, options);
      if (options.watch) return watch(client, name, options);
      const view = await client.json<{ columns: Table['columns'] }>('GET', `/api/v1/views/${encodeURIComponent(name)}`);
      const key = options.key === undefined ? '' : `&key=${encodeURIComponent(options.key)}`;
      const { rows } = await client.json<{ rows: Record<string, unknown>[] }>(
        'GET',
        `/api/v1/views/${encodeURIComponent(name)}/rows?limit=${options.limit}${key}`,
      );
      const cells = rows.map((row) => view.columns.map((column) => row[column.name]));
      process.stdout.write(formatTable({ columns: view.columns, rows: cells }, options.format));
    });
}

async function listViews(client: Client, options: ViewOptions): Promise<void> {
  const { views } = await client.json<{ views: Record<string, unknown>[] }>('GET', '/api/v1/views');
  const names = ['name', 'kind', 'state', 'rows', 'errors', 'changelog'];
  const columns = names.map((name) => ({ name, type: name === 'rows' || name === 'errors' ? 'bigint' : 'varchar' }));
  process.stdout.write(
    formatTable({ columns, rows: views.map((view) => names.map((name) => view[name])) }, options.format),
  );
}

/** Follows the subscription and redraws the first rows, in the order of the first column. */
async function watch(client: Client, name: string, options: ViewOptions): Promise<void> {
  const rows = new Map<string, { row: unknown[]; count: number }>();
  let columns: Table['columns'] = [];
  let epoch = 0;
  let drawing = false;
  const draw = (): void => {
    drawing = false;
    const sorted = [...rows.values()]
      .flatMap(({ row, count }) => Array<unknown[]>(Math.max(0, count)).fill(row))
      .sort(compareRows);
    const clear = process.stdout.isTTY ? '\x1b[H\x1b[2J' : '';
    process.stdout.write(`${clear}${formatTable({ columns, rows: sorted.slice(0, options.limit) }, options.format)}`);
    if (process.stdout.isTTY) process.stdout.write(`epoch ${epoch}, ${sorted.length} rows; Ctrl-C leaves\n`);
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  await client.events(
    `/api/v1/subscribe?sql=${encodeURIComponent(`SUBSCRIBE "${name.replaceAll('"', '""')}"`)}`,
    stop.signal,
    (event, data) => {
      const parsed = JSON.parse(data);
      if (event === 'columns') {
        columns = parsed;
        return;
      }
      if (event === 'error') throw new StreamError('CANCELLED', parsed.detail);
      if (event === 'snapshot') rows.clear();
      epoch = parsed.epoch;
      (parsed.rows as unknown[][]).forEach((row, i) => {
        const id = JSON.stringify(row);
        const count = (rows.get(id)?.count ?? 0) + parsed.diffs[i];
        if (count === 0) rows.delete(id);
        else rows.set(id, { row, count });
      });
      if (!drawing) setTimeout(draw, REDRAW_MS);
      drawing = true;
    },
  );
}

function compareRows(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    if (x === y) continue;
    if (typeof x === 'number' && typeof y === 'number') return x - y;
    return String(x) < String(y) ? -1 : 1;
  }
  return 0;
}
