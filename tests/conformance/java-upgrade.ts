import { type ChildProcess, spawn } from 'node:child_process';
import { javaClasspath } from '../support/java.ts';
import type { CaseResult } from './judge.ts';

export const UPGRADE_CASE = 'kafka-verifiable-consumer, a group goes to the consumer protocol and back';
const TOPIC = 'made';
const STEP_MS = 60_000;

/** A running VerifiableConsumer, and the partitions that it says it has. */
class Consumer {
  readonly owned = new Set<number>();
  readonly #child: ChildProcess;

  constructor(bootstrap: string, protocol: 'classic' | 'consumer') {
    const classic = [
      '--assignment-strategy',
      'org.apache.kafka.clients.consumer.CooperativeStickyAssignor',
      '--session-timeout',
      '10000',
    ];
    const args = [
      '--bootstrap-server',
      bootstrap,
      '--topic',
      TOPIC,
      '--group-id',
      'rolling',
      '--group-protocol',
      protocol,
    ];
    const java = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', javaClasspath()];
    const main = 'org.apache.kafka.tools.VerifiableConsumer';
    this.#child = spawn('java', [...java, main, ...args, ...(protocol === 'classic' ? classic : [])], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) this.#note(line);
    });
  }

  stop(): void {
    this.owned.clear();
    this.#child.stdout?.removeAllListeners('data');
    this.#child.kill('SIGTERM');
  }

  #note(line: string): void {
    if (!line.startsWith('{')) return;
    const { name, partitions = [] } = JSON.parse(line) as { name: string; partitions?: { partition: number }[] };
    for (const { partition } of partitions) {
      if (name === 'partitions_assigned') this.owned.add(partition);
      else if (name === 'partitions_revoked') this.owned.delete(partition);
    }
  }
}

/** Two classic consumers are replaced one by one, then the other way round; after each step everybody has something and nothing is there twice. */
export async function javaUpgrade(bootstrap: string, partitions: number): Promise<CaseResult> {
  const started = performance.now();
  const present: Consumer[] = [];
  const come = (protocol: 'classic' | 'consumer'): void => {
    present.push(new Consumer(bootstrap, protocol));
  };
  const settled = async (step: string): Promise<void> => {
    for (const until = performance.now() + STEP_MS; performance.now() < until; ) {
      const all = present.flatMap(({ owned }) => [...owned]).sort((a, b) => a - b);
      const isWhole = all.length === partitions && all.every((partition, at) => partition === at);
      if (isWhole && present.every(({ owned }) => owned.size > 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`${step}: ${present.map(({ owned }) => [...owned].join(' ')).join(' | ')}`);
  };
  try {
    come('classic');
    come('classic');
    await settled('two classic ones');
    for (const protocol of ['consumer', 'consumer', 'classic', 'classic'] as const) {
      come(protocol);
      await settled(`one of protocol ${protocol} came`);
      present.shift()!.stop();
      await settled('the oldest went');
    }
    return { name: UPGRADE_CASE, outcome: 'pass', seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    return { name: UPGRADE_CASE, outcome: 'fail', note: String(error) };
  } finally {
    for (const one of present) one.stop();
  }
}
