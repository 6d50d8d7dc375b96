import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram, run } from '../clients/programs.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { root } from '../support/root.ts';
import type { CaseResult, Judge } from './judge.ts';

const VERSION = '2.16.1';

/** A script of cases over confluent-kafka-python (librdkafka), with both group protocols. */
export const confluentPython: Judge = {
  name: 'python',
  title: `confluent-kafka-python ${VERSION}`,
  async prepare(cache) {
    const venv = join(cache, 'python');
    if (existsSync(join(venv, 'installed'))) return undefined;
    if (!hasProgram('python3', '--version')) return 'python3 is not on the PATH';
    spawnSync('python3', ['-m', 'venv', venv], { stdio: 'ignore' });
    const pip = spawnSync(join(venv, 'bin/pip'), ['install', '-q', `confluent-kafka==${VERSION}`], { stdio: 'ignore' });
    if (pip.status !== 0) return 'pip could not install it';
    return spawnSync('touch', [join(venv, 'installed')]).status === 0 ? undefined : 'no place to install it';
  },
  async run(cache, report, only) {
    const directory = temporaryDirectory();
    const server = await ServerProcess.start(directory.path);
    const script = join(root, 'tests/conformance/confluent_check.py');
    const out = await run(join(cache, 'python/bin/python'), [script, server.kafka, ...only], '', 900_000);
    for (const line of out.trim().split('\n')) report(JSON.parse(line) as CaseResult);
    await server.stop();
    directory.remove();
  },
};
