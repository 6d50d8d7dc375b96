import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../clients/programs.ts';
import { temporaryDirectory } from '../support/process.ts';
import { root } from '../support/root.ts';
import type { FetchLoad, LoadTool, ProduceLoad } from './broker-load.ts';
import { quantiles } from './measure.ts';

/** The npm package that carries librdkafka's sources with its `examples/`. */
const PACKAGE = 'node-rdkafka@3.6.1';
const FOLDER = join(root, '.cache/librdkafka-perf');
const SOURCES = join(FOLDER, 'node_modules/node-rdkafka/deps/librdkafka');
const PROGRAM = join(SOURCES, 'examples/rdkafka_performance');
const BUILD = [
  ['./configure', '--disable-gssapi', '--disable-curl', '--disable-ssl'],
  ['make', '-j2', '-C', 'src', 'librdkafka.a'],
  ['make', '-C', 'examples', 'rdkafka_performance'],
];
/** librdkafka's own default; the program has 1000. */
const LINGER = ['-X', 'queue.buffering.max.ms=5'];
/** What is sent before it is connected waits for the client itself. */
const CONNECTING_SECONDS = 1;
/** Between two lines of what was delivered so far. */
const INTERVAL_MS = 20;
const MINUTES_10_MS = 600_000;

/** librdkafka's rdkafka_performance, built here once: the client that takes least of the machine from the broker. */
export const rdkafkaLoad: LoadTool = {
  name: 'rdkafka_performance',

  prepare() {
    if (existsSync(PROGRAM)) return undefined;
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(join(FOLDER, 'package.json'), '{"private":true}');
    if (process.getuid?.() === 0) spawnSync('apt-get', ['install', '-y', 'libzstd-dev'], { stdio: 'ignore' });
    const install = ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', PACKAGE];
    for (const [at, [program, ...args]] of [install, ...BUILD].entries()) {
      const done = spawnSync(program, args, {
        cwd: at === 0 ? FOLDER : SOURCES,
        stdio: 'ignore',
        timeout: MINUTES_10_MS,
      });
      if (done.status !== 0) return `rdkafka_performance cannot be built: ${program} ${args.join(' ')} failed`;
    }
    return undefined;
  },

  async produce({ address, topic, partitions, records, recordBytes, acks, codec }: ProduceLoad) {
    const out = await perform(address, topic, records, [
      ...['-P', ...LINGER, '-s', String(recordBytes), '-a', acks === 'all' ? '-1' : acks, '-z', codec],
      ...['-i', String(INTERVAL_MS), ...(partitions === 1 ? ['-p', '0'] : [])],
    ]);
    const samples = [...out.matchAll(/(\d+) delivered \(offset -?\d+, (\d+) failed\) in (\d+)ms/g)].map(
      ([, delivered, failed, ms]) => ({ delivered: Number(delivered), failed: Number(failed), ms: Number(ms) }),
    );
    const last = samples.at(-1);
    // Connecting is no part of the rate: it counts from the first delivery on.
    const first = samples.find(({ delivered }) => delivered > 0);
    if (last === undefined || first === undefined || last.delivered < records || last.failed > 0) {
      throw new Error(`rdkafka_performance printed: ${out.slice(-400)}`);
    }
    const whole = first.ms >= last.ms;
    return whole ? (records / last.ms) * 1000 : ((last.delivered - first.delivered) / (last.ms - first.ms)) * 1000;
  },

  async latency({ address, topic, records, recordBytes }: ProduceLoad, perSecond: number) {
    const directory = temporaryDirectory();
    const file = join(directory.path, 'microseconds');
    await perform(address, topic, records, [
      ...['-P', ...LINGER, '-p', '0', '-s', String(recordBytes), '-a', '-1', '-l', '-A', file, '-r', String(perSecond)],
    ]);
    const ms = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => Number(line) / 1000);
    directory.remove();
    return quantiles(ms.slice(CONNECTING_SECONDS * perSecond));
  },

  async fetch({ address, topic, partitions, records }: FetchLoad) {
    const which = Array.from({ length: partitions }, (_, index) => ['-p', String(index)]).flat();
    const out = await perform(address, topic, records, ['-C', '-o', 'beginning', ...which]);
    const found = /consumed in \d+ms: (\d+) msgs\/s/.exec(lastLine(out, 'consumed'));
    if (found === null) throw new Error(`rdkafka_performance printed: ${out.slice(-400)}`);
    return Number(found[1]);
  },
};

/** What it printed is judged, not its exit code: that is 1 too when its last line counted a record as still queued. */
const perform = (address: string, topic: string, records: number, args: readonly string[]): Promise<string> =>
  run(
    'sh',
    ['-c', '"$0" "$@" || true', PROGRAM, '-b', address, '-t', topic, '-c', String(records), ...args],
    '',
    MINUTES_10_MS,
  );

/** It prints a line a second and a last one with the whole. */
const lastLine = (out: string, word: string): string => out.split('\n').findLast((line) => line.includes(word)) ?? '';
