import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram, run } from '../../clients/programs.ts';
import { queryText } from '../../support/nexmark.ts';
import { root } from '../../support/root.ts';

const JARS = join(root, '.cache/flink/2.2.1');
const MINUTES_30_MS = 1_800_000;

/** The queries that Flink's SQL has, in its spelling; the others need what it lacks or another source. */
export const FLINK_QUERIES = [
  ...['q0', 'q1', 'q2', 'q3', 'q4', 'q5', 'q7', 'q8', 'q9', 'q15', 'q17', 'q18', 'q19', 'q20'],
] as const;

const SPELLINGS: readonly (readonly [ours: RegExp, flinks: string])[] = [
  [/INTERVAL '(\d+) seconds'/g, "INTERVAL '$1' SECOND"],
  [/FROM (HOP|TUMBLE)\((\w+), (\w+), /g, 'FROM TABLE($1(TABLE $2, DESCRIPTOR($3), '],
  [/(TABLE\((?:HOP|TUMBLE)\(TABLE \w+, DESCRIPTOR\(\w+\)(?:, INTERVAL '\d+' SECOND)+\))(?!\))/g, '$1)'],
  [/to_char\(date_time, 'YYYY-MM-DD'\)/g, "DATE_FORMAT(date_time, 'yyyy-MM-dd')"],
  [/ AS (avg|day)\b/g, ' AS `$1`'],
];

export const flinkText = (query: string): string =>
  SPELLINGS.reduce((text, [ours, flinks]) => text.replace(ours, flinks), queryText(query));

/** A text says why Flink can't run here. */
export function prepareFlink(): string | undefined {
  if (!hasProgram('java', '-version') || !hasProgram('javac', '-version')) return 'there is no JDK on the PATH';
  if (!existsSync(JARS) && hasProgram('mvn', '-v'))
    spawnSync(process.execPath, [join(root, 'scripts/fetch-java-clients.mjs'), 'flink'], { stdio: 'ignore' });
  return existsSync(JARS) ? undefined : 'no jars; node scripts/fetch-java-clients.mjs flink could not fetch them';
}

const OPENS = ['lang', 'util', 'time', 'io', 'net', 'nio', 'text'].flatMap((part) => [
  '--add-opens',
  `java.base/java.${part}=ALL-UNNAMED`,
]);

/** Seconds from the submission of each query to its end, on a local mini-cluster of one slot in a JVM of its own. */
export async function runFlink(
  kafka: string,
  directory: string,
  queries: readonly string[],
): Promise<Map<string, number>> {
  mkdirSync(directory, { recursive: true });
  const files = queries.map((query) => {
    const file = join(directory, `${query}.sql`);
    writeFileSync(file, flinkText(query));
    return file;
  });
  const main = join(root, 'tests/bench/flink/FlinkNexmark.java');
  const args = ['-Xmx3G', ...OPENS, '-cp', `${JARS}/*`, main, kafka, join(directory, 'checkpoints'), ...files];
  const out = await run('java', args, '', MINUTES_30_MS);
  const found = [...out.matchAll(/^(q\d+) (\d+)$/gm)].map(([, query, ms]) => [query, Number(ms) / 1000] as const);
  return new Map(found);
}
