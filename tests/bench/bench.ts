import { cpus, totalmem } from 'node:os';

/**
 * `npm run bench -- NAME …`: one JSON line per result. Medians over repeated runs; nothing is asserted. Each bench starts
 * the server as a process of its own and loads it from this one.
 */
export interface Result {
  readonly bench: string;
  readonly [figure: string]: unknown;
}

export type Bench = (report: (result: Result) => void) => Promise<void>;

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  produce: () => import('./produce.ts'),
  fetch: () => import('./fetch.ts'),
  nexmark: () => import('./nexmark.ts'),
  freshness: () => import('./freshness.ts'),
  'point-read': () => import('./point-read.ts'),
  start: () => import('./start.ts'),
  formats: () => import('./formats.ts'),
  broker: () => import('./broker.ts'),
  'broker-beside-kafka': async () => ({ bench: (await import('./broker.ts')).besideKafka }),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => BENCHES[name] === undefined);
if (unknown.length > 0 || names.length === 0) {
  process.stderr.write(`npm run bench -- NAME …\nnames: ${Object.keys(BENCHES).join(', ')}\n`);
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
  await bench((result) => process.stdout.write(`${JSON.stringify({ ...result, machine })}\n`));
}
