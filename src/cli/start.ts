import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SETTINGS, type Settings } from '../config.ts';
import { resolveSettings } from '../lib/config-table.ts';
import { StreamError } from '../lib/errors.ts';
import { tuneHeapGrowth } from '../lib/heap-growth.ts';
import { createLog } from '../lib/log.ts';
import { VERSION } from '../version.ts';

/** A stop that has not finished by then is forced. */
const STOP_DEADLINE_MS = 10_000;

type Options = Readonly<Record<string, string | boolean>>;

export function addStart(
  program: Command,
  run: (options: Options) => Promise<void> = async (options) => start(await settingsOf(options)),
): void {
  const command = program.command('start').description('Start the broker and the database in this process.');
  for (const setting of Object.values(SETTINGS)) {
    const flag = setting.placeholder === undefined ? `--${setting.flag}` : `--${setting.flag} <${setting.placeholder}>`;
    command.option(flag, `${setting.doc} (env ${setting.env}, default ${defaultText(setting.default)})`);
  }
  command.option('-c, --config <FILE>', 'TOML file with settings (env STREAMLINE_CONFIG)');
  command.action(run);
}

export function defaultText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'port' in value) {
    const { host, port } = value as { host: string; port: number };
    return `${host}:${port}`;
  }
  return value === false ? 'off' : String(value);
}

/** Options as commander names them: in camel case. */
export async function settingsOf(options: Options): Promise<Settings> {
  const flags: Record<string, string | undefined> = {};
  for (const [key, { flag }] of Object.entries(SETTINGS)) {
    const given = options[flag.replace(/-([a-z])/gu, (_, letter: string) => letter.toUpperCase())];
    if (given !== undefined) flags[key] = String(given);
  }
  const file = (options['config'] as string | undefined) ?? process.env['STREAMLINE_CONFIG'];
  return resolveSettings(SETTINGS, flags, process.env, file === undefined ? {} : await readToml(file));
}

async function readToml(path: string): Promise<Record<string, unknown>> {
  const { parse } = await import('smol-toml');
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new StreamError(
      'OPTION_INVALID',
      `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

async function start(settings: Settings): Promise<void> {
  const log = createLog(settings.logLevel);
  tuneHeapGrowth();
  const { startPlatform } = await import('../platform.ts');
  const platform = await startPlatform(settings, VERSION, log);
  process.stdout.write(
    `${JSON.stringify({ ready: true, kafka: platform.kafka, http: platform.http, pg: platform.pg })}\n`,
  );
  if (settings.playground) process.stderr.write(await greeting(platform));
  await stopSignal();
  log.info('stopping');
  const forced = setTimeout(() => {
    log.error('stop.forced', { afterMs: STOP_DEADLINE_MS });
    process.exit(1);
  }, STOP_DEADLINE_MS);
  await platform.close();
  clearTimeout(forced);
  log.info('stopped');
  process.exit(0);
}

async function greeting({ kafka, http, pg }: { kafka: string; http: string; pg: string }): Promise<string> {
  const { FIRST_QUERY } = await import('../playground/playground.ts');
  return [
    '',
    `  Kafka     ${kafka}`,
    `  HTTP      http://${http}   (OpenAPI: /openapi.json)`,
    `  GraphQL   http://${http}/graphql`,
    `  Postgres  psql -h ${pg.split(':')[0]} -p ${pg.split(':')[1]}`,
    '',
    '  The playground produces a Nexmark auction stream; three views follow it. Try, in another terminal:',
    '',
    `    npx streamline sql -c "${FIRST_QUERY}"`,
    '    npx streamline view channel_stats --watch',
    '',
    '',
  ].join('\n');
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}
