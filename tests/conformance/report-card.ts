import type { CaseResult } from './judge.ts';

/** What came of one judge. */
export interface Card {
  readonly title: string;
  /** Why it could not run. */
  readonly absent?: string;
  readonly results: readonly CaseResult[];
}

/** Without folders of the machine it ran on. */
const cell = (text: string): string =>
  text
    .replaceAll(/\/[\w./-]*\/(?=[\w.-]+)/g, '')
    .replaceAll('|', '\\|')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** docs/conformance.md: a row a judge, then a table of every case. */
export function reportCard(cards: readonly Card[]): string {
  const count = (results: readonly CaseResult[], outcome: CaseResult['outcome']): number =>
    results.filter((one) => one.outcome === outcome).length;
  const lines = [
    '# Conformance',
    '',
    'Written by `npm run conformance`: clients and suites that we did not write, each against a broker started as a user starts it.',
    '"Excluded" cases need something that is not there, with the reason; "skipped" is the suite\'s own choice.',
    "librdkafka's cases run in the quick mode of its runner, but for those that this would leave empty or nearly so.",
    '',
    '| judge | passed | failed | excluded | skipped |',
    '| --- | --- | --- | --- | --- |',
    ...cards.map(({ title, absent, results }) =>
      absent === undefined
        ? `| ${cell(title)} | ${count(results, 'pass')} | ${count(results, 'fail')} | ${count(results, 'excluded')} | ${count(results, 'skip')} |`
        : `| ${cell(title)} | not run: ${cell(absent)} | | | |`,
    ),
  ];
  for (const { title, results } of cards) {
    if (results.length === 0) continue;
    lines.push('', `## ${title}`, '', '| case | outcome | note |', '| --- | --- | --- |');
    for (const { name, outcome, note } of results) {
      lines.push(`| ${cell(name)} | ${outcome} | ${cell((note ?? '').slice(0, 300))} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A page that was written before. */
export function readCards(page: string): Card[] {
  const sections = page.split(/^## /mu);
  return [...sections[0]!.matchAll(/^\| (.*?) \| (?:\d+|not run: (.*?)) \|.*$/gmu)].map(([, title, absent]) => {
    const section = sections.find((text) => text.startsWith(`${title}\n`)) ?? '';
    const rows = section.matchAll(/^\| (.*?) \| (pass|fail|skip|excluded) \| (.*?) \|$/gmu);
    const results = [...rows].map(([, name, outcome, note]) => ({
      name: name!,
      outcome: outcome as CaseResult['outcome'],
      ...(note === '' ? {} : { note: note!.replaceAll('\\|', '|') }),
    }));
    return { title: title!, results, ...(absent === undefined ? {} : { absent }) };
  });
}

/** The cards of a new run in place of the old ones; `partly`: case by case. */
export function mergedCards(before: readonly Card[], now: readonly Card[], partly: boolean): Card[] {
  const merged = [...before];
  for (const card of now) {
    const at = merged.findIndex(({ title }) => title === card.title);
    const old = merged[at];
    if (old === undefined) merged.push(card);
    else if (!partly) merged[at] = card;
    else {
      const results = old.results.map((one) => card.results.find(({ name }) => name === one.name) ?? one);
      const added = card.results.filter(({ name }) => !old.results.some((one) => one.name === name));
      merged[at] = { title: card.title, results: [...results, ...added] };
    }
  }
  return merged;
}
