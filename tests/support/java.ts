import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram } from '../clients/programs.ts';
import { root } from './root.ts';

const JARS = join(root, '.cache/java-clients');
const fetched = (): string | undefined =>
  existsSync(JARS) ? readdirSync(JARS).find((name) => !name.endsWith('.part')) : undefined;

/** Brings Apache Kafka's jars when they are not there; a text says why Java programs can't run here. */
export function prepareJava(): string | undefined {
  if (!hasProgram('java', '-version')) return 'java is not on the PATH';
  if (fetched() === undefined && hasProgram('mvn', '-v')) {
    const script = join(root, 'scripts/fetch-java-clients.mjs');
    spawnSync(process.execPath, [script], { stdio: 'ignore', timeout: 120_000 });
  }
  return fetched() === undefined ? 'no jars; node scripts/fetch-java-clients.mjs could not fetch them' : undefined;
}

/** All jars, for `java -cp`. */
export const javaClasspath = (): string => `${join(JARS, fetched() ?? 'none')}/*`;
