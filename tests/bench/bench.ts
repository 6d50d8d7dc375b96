import { cpus, totalmem } from 'node:os';

/**
 * `npm run bench -- NAME …`: one JSON line per result. Medians over repeated runs; nothing is asserted. Each bench starts
 * the server as a process of its own and loads it from this one.
 */
export interface Result {
  readonly bench: string;
  readonly [figure: string]: unknown;
}

/** `args` are the options after the names. */
export type Bench = (report: (result: Result) => void, args: readonly string[]) => Promise<void>;

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  produce: () => import('./produce.ts'),
  fetch: () => import('./fetch.ts'),
  nexmark: () => import('./nexmark.ts'),
  'nexmark-beside-flink': async () => ({ bench: (await import('./nexmark.ts')).besideFlink }),
  freshness: () => import('./freshness.ts'),
  'point-read': () => import('./point-read.ts'),
  start: () => import('./start.ts'),
  formats: () => import('./formats.ts'),
  state: () => import('./state.ts'),
  broker: () => import('./broker.ts'),
};

const given = process.argv.slice(2);
const firstOption = given.findIndex((arg) => arg.startsWith('-'));
const names = firstOption < 0 ? given : given.slice(0, firstOption);
const options = given.slice(names.length);
const unknown = names.filter((name) => BENCHES[name] === undefined);
if (unknown.length > 0 || names.length === 0) {
  process.stderr.write(`npm run bench -- NAME … [options of broker]\nnames: ${Object.keys(BENCHES).join(', ')}\n`);
  process.exit(2);
}
const machine = {
  cpu: cpus()[0].model,
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
for (const name of names) {
  const { bench } = await BENCHES[name]();
  await bench((result) => process.stdout.write(`${JSON.stringify({ ...result, machine })}\n`), options);
}
