import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BROKER_CONFIG, GROUP_CONFIG } from '../src/broker/broker-config-rows.ts';
import { SETTINGS } from '../src/config.ts';
import { ERRORS } from '../src/lib/errors.ts';
import { ROUTES } from '../src/server/server.ts';
import { TOPIC_CONFIG } from '../src/storage/topic-config.ts';

/** Holds the picture of docs/ARCHITECTURE.md: who may import whom, nothing unreachable, nothing undocumented. */

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** First match counts. Imports go to the same layer or down; parts of layer 3 do not import each other. */
const LAYERS: readonly (readonly [prefix: string, layer: number])[] = [
  ['src/main.ts', 6],
  ['src/platform.ts', 6],
  ['src/kafka-listeners.ts', 6],
  ['src/config.ts', 6],
  ['src/version.ts', 0],
  ['src/cli/', 6],
  ['src/server/', 5],
  ['src/playground/', 5],
  ['src/catalog/', 4],
  ['src/analytics/', 4],
  ['streamql/engine/', 3],
  ['src/broker/', 3],
  ['sinks/', 3],
  ['streamql/', 2],
  ['src/auth/', 2],
  ['src/protocol/', 2],
  ['src/storage/', 2],
  ['src/consumer/', 2],
  ['src/transaction/', 2],
  ['src/formats/', 2],
  ['src/duckdb/', 2],
  ['src/ports/', 2],
  ['src/values/', 1],
  ['src/lib/', 0],
];

function filesUnder(folder: string): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path).flatMap((name) => {
    const inside = join(folder, name);
    if (statSync(join(root, inside)).isDirectory()) return filesUnder(inside);
    return inside.endsWith('.ts') && !inside.endsWith('.d.ts') ? [inside] : [];
  });
}

const sources = ['src', 'streamql', 'sinks'].flatMap(filesUnder);

/** Relative imports, dynamic ones and worker or registry URLs alike; `typeOnly` ones do not exist at run time. */
function importsOf(file: string): { to: string; typeOnly: boolean }[] {
  const text = read(file);
  const found: { to: string; typeOnly: boolean }[] = [];
  const pattern =
    /(?:(import|export)\s+(type\s+)?(?:[^;'"]*?\s+from\s+)?|import\(\s*|new URL\(\s*|['"]?entry['"]?:\s*)['"](\.{1,2}\/[^'"]+\.ts)['"]/g;
  for (const match of text.matchAll(pattern)) {
    found.push({ to: relative(root, resolve(dirname(join(root, file)), match[3])), typeOnly: match[2] !== undefined });
  }
  return found;
}

const layerOf = (file: string): number => {
  const row = LAYERS.find(([prefix]) => file.startsWith(prefix));
  if (row === undefined)
    throw new Error(`${file} belongs to no layer: add a row to LAYERS and to docs/ARCHITECTURE.md`);
  return row[1];
};

const partOf = (file: string): string => LAYERS.find(([prefix]) => file.startsWith(prefix))?.[0] ?? file;

describe('layers', () => {
  test('imports point down', () => {
    const upward = sources.flatMap((file) =>
      importsOf(file)
        .filter(({ to, typeOnly }) => layerOf(to) > layerOf(file) && !typeOnly)
        .map(({ to }) => `${file} → ${to}`),
    );
    expect(upward).toEqual([]);
  });

  test('parts of layer 3 meet only in ports', () => {
    const sideways = sources
      .filter((file) => layerOf(file) === 3)
      .flatMap((file) =>
        importsOf(file)
          .filter(({ to }) => layerOf(to) === 3 && partOf(to) !== partOf(file))
          .map(({ to }) => `${file} → ${to}`),
      );
    expect(sideways).toEqual([]);
  });

  test('every source file is reached from main', () => {
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const { to } of importsOf(file)) visit(to);
    };
    visit('src/main.ts');
    expect(sources.filter((file) => !reached.has(file))).toEqual([]);
  });

  test('nothing is named index.ts', () => {
    expect(sources.filter((file) => file.endsWith('/index.ts'))).toEqual([]);
  });
});

describe('documentation', () => {
  test('docs/reference/errors.md has a row for every error code and no other', () => {
    const documented = [...read('docs/reference/errors.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1]);
    expect(documented).toEqual(Object.keys(ERRORS));
  });

  test('docs/reference/settings.md has a row for every setting and no other', () => {
    const documented = [
      ...read('docs/reference/settings.md').matchAll(/^\| `--([a-z-]+)` \| `(\w+)` \| `([\w.]+)` \|/gm),
    ].map((match) => match.slice(1));
    expect(documented).toEqual(Object.values(SETTINGS).map(({ flag, env, name }) => [flag, env, name]));
  });

  test('docs/reference/topics.md has a row for every topic setting and no other', () => {
    const documented = [...read('docs/reference/topics.md').matchAll(/^\| `([a-z0-9.]+)` \|/gm)].map(
      (match) => match[1],
    );
    expect(documented).toEqual(TOPIC_CONFIG.map(({ name }) => name));
  });

  test('docs/reference/broker.md has a row for every setting of the broker and of groups and no other', () => {
    const documented = [...read('docs/reference/broker.md').matchAll(/^\| `([a-z0-9.]+)` \|/gm)].map(
      (match) => match[1],
    );
    expect(documented).toEqual([...BROKER_CONFIG, ...GROUP_CONFIG].map(({ name }) => name));
  });

  test('docs/reference/http.md has a row for every route and no other', () => {
    const documented = [...read('docs/reference/http.md').matchAll(/^\| `([A-Z]+) (\/[^`]*)` \|/gm)].map(
      (match) => `${match[1]} ${match[2]}`,
    );
    expect(documented).toEqual([
      ...ROUTES.map(({ method, url }) => `${method} ${url}`),
      'GET /graphql',
      'POST /graphql',
    ]);
  });

  test('every dependency has a line in docs/decisions', () => {
    const decisions = readdirSync(join(root, 'docs/decisions'))
      .map((name) => read(join('docs/decisions', name)))
      .join('\n');
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      string,
      Record<string, string>
    >;
    const missing = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !decisions.includes(`\`${name}\``),
    );
    expect(missing).toEqual([]);
  });

  test('versions are pinned', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      string,
      Record<string, string>
    >;
    expect(
      Object.entries({ ...dependencies, ...devDependencies }).filter(([, version]) => !/^\d/.test(version)),
    ).toEqual([]);
  });
});
