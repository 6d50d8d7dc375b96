import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/root.ts';
import type { CaseResult, Judge } from './judge.ts';
import { type Card, mergedCards, readCards, reportCard } from './report-card.ts';

/**
 * `npm run conformance -- [JUDGE …] [CASE …]`: runs suites and clients that we did not write against the broker and writes what came of
 * it to docs/conformance.md; of judges and cases that are not named, what stands there stays. Judges are installed below .cache/judges; one that can't be is reported with the reason. Ends
 * with 1 when a case failed that is not excluded.
 */
const JUDGES: Readonly<Record<string, () => Promise<Judge>>> = {
  librdkafka: async () => (await import('./librdkafka.ts')).librdkafka,
  java: async () => (await import('./java-tools.ts')).javaTools,
  python: async () => (await import('./confluent-python.ts')).confluentPython,
  node: async () => (await import('./node-clients.ts')).nodeClients,
};

const args = process.argv.slice(2);
const names = args.filter((name) => JUDGES[name] !== undefined);
const only = args.filter((name) => JUDGES[name] === undefined);
if (only.length > 0 && names.length !== 1) {
  process.stderr.write(`cases are those of one judge; there are ${Object.keys(JUDGES).join(', ')}\n`);
  process.exit(2);
}
const page = join(root, 'docs', 'conformance.md');
const cache = join(root, '.cache', 'judges');
mkdirSync(cache, { recursive: true });
const cards: Card[] = [];
let failed = false;
for (const name of names.length > 0 ? names : Object.keys(JUDGES)) {
  const judge = await JUDGES[name]();
  process.stderr.write(`${judge.title}: preparing …\n`);
  const absent = await judge.prepare(cache);
  const results: CaseResult[] = [];
  if (absent === undefined) {
    const report = (result: CaseResult): void => {
      results.push(result);
      failed ||= result.outcome === 'fail';
      const { outcome, seconds, note } = result;
      const time = seconds === undefined ? '' : ` ${seconds.toFixed(1)} s`;
      process.stderr.write(
        `${outcome.padEnd(8)} ${result.name}${time}${note === undefined ? '' : `: ${note.slice(0, 300)}`}\n`,
      );
    };
    await judge.run(cache, report, only);
  }
  cards.push({ title: judge.title, results, ...(absent === undefined ? {} : { absent }) });
}
const before = names.length === 0 ? [] : readCards(readFileSync(page, 'utf8'));
writeFileSync(page, reportCard(mergedCards(before, cards, only.length > 0)));
process.exit(failed ? 1 : 0);
