import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/root.ts';
import type { CaseResult, Judge } from './judge.ts';
import { reportCard } from './report-card.ts';

/**
 * `npm run conformance -- [JUDGE …]`: runs suites and clients that we did not write against the broker and writes what came of
 * it to docs/conformance.md. Judges are installed below .cache/judges; one that can't be is reported with the reason. Ends
 * with 1 when a case failed that is not excluded.
 */
const JUDGES: Readonly<Record<string, () => Promise<Judge>>> = {
  librdkafka: async () => (await import('./librdkafka.ts')).librdkafka,
  java: async () => (await import('./java-tools.ts')).javaTools,
  python: async () => (await import('./confluent-python.ts')).confluentPython,
  node: async () => (await import('./node-clients.ts')).nodeClients,
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => JUDGES[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`no judge ${unknown.join(', ')}; there are ${Object.keys(JUDGES).join(', ')}\n`);
  process.exit(2);
}
const cache = join(root, '.cache', 'judges');
mkdirSync(cache, { recursive: true });
const cards: { judge: Judge; absent?: string; results: CaseResult[] }[] = [];
for (const name of names.length > 0 ? names : Object.keys(JUDGES)) {
  const judge = await JUDGES[name]();
  process.stderr.write(`${judge.title}: preparing …\n`);
  const absent = await judge.prepare(cache);
  const results: CaseResult[] = [];
  if (absent === undefined) {
    await judge.run(cache, (result) => {
      results.push(result);
      const { outcome, seconds, note } = result;
      const time = seconds === undefined ? '' : ` ${seconds.toFixed(1)} s`;
      process.stderr.write(
        `${outcome.padEnd(8)} ${result.name}${time}${note === undefined ? '' : `: ${note.slice(0, 300)}`}\n`,
      );
    });
  }
  cards.push({ judge, results, ...(absent === undefined ? {} : { absent }) });
}
const card = reportCard(cards);
if (names.length === 0) writeFileSync(join(root, 'docs', 'conformance.md'), card);
else process.stdout.write(card);
process.exit(cards.some(({ results }) => results.some(({ outcome }) => outcome === 'fail')) ? 1 : 0);
