import type { CaseResult, Judge } from './judge.ts';

/** Without folders of the machine it ran on. */
const cell = (text: string): string =>
  text
    .replaceAll(/\/[\w./-]*\/(?=[\w.-]+)/g, '')
    .replaceAll('|', '\\|')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** docs/conformance.md: a row a judge, then a table of every case. */
export function reportCard(
  cards: readonly { judge: Judge; absent?: string; results: readonly CaseResult[] }[],
): string {
  const count = (results: readonly CaseResult[], outcome: CaseResult['outcome']): number =>
    results.filter((one) => one.outcome === outcome).length;
  const lines = [
    '# Conformance',
    '',
    'Written by `npm run conformance`: clients and suites that we did not write, each against a broker started as a user starts it.',
    '"Excluded" cases need something that is not there, with the reason; "skipped" is the suite\'s own choice.',
    '',
    '| judge | passed | failed | excluded | skipped |',
    '| --- | --- | --- | --- | --- |',
    ...cards.map(({ judge, absent, results }) =>
      absent === undefined
        ? `| ${cell(judge.title)} | ${count(results, 'pass')} | ${count(results, 'fail')} | ${count(results, 'excluded')} | ${count(results, 'skip')} |`
        : `| ${cell(judge.title)} | not run: ${cell(absent)} | | | |`,
    ),
  ];
  for (const { judge, results } of cards) {
    if (results.length === 0) continue;
    lines.push('', `## ${judge.title}`, '', '| case | outcome | note |', '| --- | --- | --- |');
    for (const { name, outcome, note } of results) {
      lines.push(`| ${cell(name)} | ${outcome} | ${cell((note ?? '').slice(0, 300))} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
