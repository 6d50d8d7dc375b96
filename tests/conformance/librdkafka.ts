import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { run } from '../clients/programs.ts';
import { javaClasspath } from '../support/java.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { type CaseResult, type Judge, WITH_ACLS } from './judge.ts';
import { EXCLUSIONS } from './librdkafka-exclusions.ts';
import { SECURED_CASES } from './secured-listener.ts';

const PACKAGE = '@confluentinc/kafka-javascript@1.10.1';
const SOURCES = 'node_modules/@confluentinc/kafka-javascript/deps/librdkafka';
const DEBIAN = [
  'libcurl4-openssl-dev',
  'libssl-dev',
  'zlib1g-dev',
  'libzstd-dev',
  'libsasl2-dev',
  'liblz4-dev',
  'rapidjson-dev',
  'g++',
  'make',
];
const CASE_TIMEOUT_MS = 240_000;
/** In its quick mode these leave out most of what they have, or all of it. */
const SLOW_CASES = /^(0019|0022|0026|0045|0050|0055|0061|0089|0102|0113|0122|0127|0132|0137)_/;
/**
 * Counts how often each of two members is given partitions, for which both must be in the first generation: Kafka's default delay sees to
 * that, which the suite takes for granted. Without a delay the second one is early enough or not.
 */
const DELAYED_CASES = /^0113_/;
const KAFKAS_DELAY = ['--group-initial-rebalance-delay-ms', '3000'];
const SLOW_CASE_TIMEOUT_MS = 900_000;
const MINUTES_30_MS = 1_800_000;

/** Its own `tests/` folder, whose sources the npm package carries, built here. */
export const librdkafka: Judge = {
  name: 'librdkafka',
  title: "librdkafka 2.15's own tests (those that need a broker)",
  async prepare(cache) {
    const folder = join(cache, 'librdkafka');
    if (existsSync(join(folder, SOURCES, 'tests/test-runner'))) return undefined;
    mkdirSync(folder, { recursive: true });
    if (process.getuid?.() === 0) spawnSync('apt-get', ['install', '-y', ...DEBIAN], { stdio: 'ignore' });
    try {
      writeFileSync(join(folder, 'package.json'), '{"private":true}');
      const env = { ...process.env, CKJS_LINKING: 'dynamic' };
      const npm = spawnSync('npm', ['install', '--foreground-scripts', PACKAGE], {
        cwd: folder,
        env,
        stdio: 'ignore',
        timeout: MINUTES_30_MS,
      });
      if (npm.status !== 0) return 'npm could not install its sources';
      const make = spawnSync('make', ['build'], {
        cwd: join(folder, SOURCES, 'tests'),
        stdio: 'ignore',
        timeout: MINUTES_30_MS,
      });
      return make.status === 0 ? undefined : 'it does not build here';
    } catch (error) {
      return String(error);
    }
  },
  async run(cache, report, only) {
    const sources = join(cache, 'librdkafka', SOURCES);
    const cases = casesOf(readFileSync(join(sources, 'tests/test.c'), 'utf8'));
    for (const scenario of ['default', 'noautocreate']) {
      const args = [
        ...WITH_ACLS,
        '--any-replication-factor',
        '--num-partitions',
        '4',
        '--auto-create-topics',
        String(scenario === 'default'),
      ];
      const directory = temporaryDirectory();
      let server = await ServerProcess.start(directory.path, args);
      for (const name of cases.get(scenario) ?? []) {
        if (SECURED_CASES.some((one) => one.name === name)) continue;
        if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
        const excluded = EXCLUSIONS.find(({ cases: pattern }) => pattern.test(name));
        if (excluded !== undefined) {
          report({ name, outcome: 'excluded', note: excluded.reason });
          continue;
        }
        const delayed = DELAYED_CASES.test(name)
          ? await ServerProcess.start(null, [...args, ...KAFKAS_DELAY])
          : undefined;
        const { kafka } = delayed ?? server;
        const first = await runCase(sources, kafka, scenario, name);
        // Some of its cases are races of their own (0118 by which consumer joins first): a second try counts, and is told.
        const second = first.outcome === 'fail' ? await runCase(sources, kafka, scenario, name) : first;
        await delayed?.stop();
        report(
          second === first || second.outcome === 'fail' ? second : { ...second, note: `second try; ${first.note}` },
        );
        if (!server.alive) {
          report({ name: `${name} (the server)`, outcome: 'fail', note: `ended: ${server.stderr.slice(-3).join('')}` });
          server = await ServerProcess.start(directory.path, args);
        }
      }
      await server.stop();
      directory.remove();
    }
    for (const one of SECURED_CASES) {
      if (only.length === 0 || only.some((part) => one.name.includes(part))) report(await runSecured(sources, one));
    }
  },
};

/** A case that needs a listener with SASL, of which some sub-tests may be left out. */
async function runSecured(
  sources: string,
  { name, listener, subtests, note }: (typeof SECURED_CASES)[number],
): Promise<CaseResult> {
  const folder = temporaryDirectory();
  const { serverArgs, conf, env, close } = await listener(folder.path);
  const args = ['--any-replication-factor', '--num-partitions', '4', ...serverArgs];
  const server = await ServerProcess.start(null, args);
  try {
    let seconds = 0;
    for (const subtest of subtests) {
      const secured = { conf, env: { ...env, SUBTESTS: subtest }, quick: false };
      const result = await runCase(sources, server.kafka, 'default', name, secured);
      seconds += result.seconds ?? 0;
      if (result.outcome !== 'pass') return { ...result, note: `${subtest} ${result.note ?? ''}` };
    }
    return { name, outcome: 'pass', note, seconds };
  } finally {
    await server.stop();
    close();
    folder.remove();
  }
}

/** The entries of its table that talk to a broker, by the scenario they run in. */
function casesOf(table: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [, name, rest] of table.matchAll(
    /^\s+_TEST\((\w+),((?:(?!_TEST\()[^;])*?)\),\n(?=\s*(?:_TEST\(|\{|\/\*|#))/gms,
  )) {
    if (/TEST_F_LOCAL|TEST_F_MANUAL/.test(rest)) continue;
    const scenario = /\.scenario = "(\w+)/.exec(rest)?.[1] ?? 'default';
    found.set(scenario, [...(found.get(scenario) ?? []), name]);
  }
  return found;
}

/** Some of its tests call scripts of Kafka's distribution: here they start the same tools from the jars of the Java judge. */
function kafkaScripts(folder: string): string {
  mkdirSync(join(folder, 'bin'));
  const scripts = {
    'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand',
    'kafka-acls.sh': 'org.apache.kafka.tools.AclCommand',
  };
  for (const [name, main] of Object.entries(scripts)) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\nexec java -cp '${javaClasspath()}' ${main} "$@"\n`, {
      mode: 0o755,
    });
  }
  // For its own Java programs, which are compiled against the distribution's jars and started by its script.
  symlinkSync(dirname(javaClasspath().split(':')[0] as string), join(folder, 'libs'));
  const runClass = `#!/bin/sh\nexec java -cp "$CLASSPATH:${javaClasspath()}" "$@"\n`;
  writeFileSync(join(folder, 'bin/kafka-run-class.sh'), runClass, { mode: 0o755 });
  return folder;
}

interface Surroundings {
  readonly conf: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Its own choice of what takes little time. */
  readonly quick: boolean;
}

async function runCase(
  sources: string,
  bootstrap: string,
  scenario: string,
  name: string,
  { conf, env: more, quick }: Surroundings = { conf: {}, env: {}, quick: !SLOW_CASES.test(name) },
): Promise<CaseResult> {
  const work = temporaryDirectory();
  // As in its own tree: some cases read files beside theirs.
  const cwd = join(work.path, 'tests');
  mkdirSync(cwd);
  const lines = Object.entries({ 'bootstrap.servers': bootstrap, 'test.timeout.multiplier': '2', ...conf });
  writeFileSync(join(cwd, 'test.conf'), lines.map(([key, value]) => `${key}=${value}\n`).join(''));
  symlinkSync(join(sources, 'src'), join(work.path, 'src'));
  symlinkSync(join(sources, 'tests/java'), join(cwd, 'java'));
  writeFileSync(join(cwd, 'Makefile'), '.PHONY: java\njava:\n\t$(MAKE) -C java\n');
  symlinkSync(join(sources, 'tests/interceptor_test'), join(cwd, 'interceptor_test'));
  const env = {
    TESTS: name,
    LD_LIBRARY_PATH: `${sources}/src:${sources}/src-cpp`,
    TEST_KAFKA_VERSION: '4.1.0.0',
    BROKERS: bootstrap,
    KAFKA_PATH: kafkaScripts(work.path),
    ...more,
  };
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  try {
    const args = ['-p1', ...(quick ? ['-Q'] : []), '-L', '-s', scenario];
    const most = quick ? CASE_TIMEOUT_MS : SLOW_CASE_TIMEOUT_MS;
    const out = await run(join(sources, 'tests/test-runner'), args, '', most, { cwd, env });
    // Its summary has a line a case: | name | outcome | time | why it was skipped
    const line = new RegExp(`\\b${name}\\s+\\|\\s+(PASSED|SKIPPED|FAILED)[^|]*\\|[^|]*\\|([^\\n]*)`).exec(
      stripVTControlCharacters(out),
    );
    if (line?.[1] === 'PASSED') return { name, outcome: 'pass', seconds: seconds() };
    const note = line?.[2].trim() || 'its summary does not name the case';
    return { name, outcome: line?.[1] === 'FAILED' ? 'fail' : 'skip', note, seconds: seconds() };
  } catch (error) {
    const why = /### Test [^\n]*\n[^\n]*/.exec(String(error)) ?? [String(error).slice(-300)];
    return { name, outcome: 'fail', note: stripVTControlCharacters(why[0]), seconds: seconds() };
  } finally {
    work.remove();
  }
}
