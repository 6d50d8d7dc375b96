import { createServer } from 'node:net';
import { Kafka, logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import { javaClasspath, prepareJava } from '../support/java.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { explainSkip, run } from './programs.ts';

/**
 * Apache Kafka's TransactionalMessageCopier copies a topic in transactions of 750 while the server is killed -9 again and again.
 * STREAMLINE_COPY=100000 is the long run.
 */
const MESSAGES = Number(process.env['STREAMLINE_COPY'] ?? 6000);
const TRANSACTION = 750;
const absent = prepareJava();
if (absent !== undefined) explainSkip('transactional copier', absent);

const java = (main: string, args: readonly string[], timeoutMs: number) =>
  run(
    'java',
    ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', javaClasspath(), `org.apache.kafka.tools.${main}`, ...args],
    '',
    timeoutMs,
  );

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.skipIf(absent !== undefined)(
  'a transactional copy is exactly one copy, whenever the server is killed',
  { timeout: 120_000 + MESSAGES * 10 },
  async () => {
    const directory = temporaryDirectory();
    const address = `127.0.0.1:${await freePort()}`;
    const start = () => ServerProcess.start(directory.path, ['--kafka-listen', address]);
    let server = await start();
    try {
      const kafka = new Kafka({ clientId: 'seed', brokers: [address], logLevel: logLevel.NOTHING });
      const seed = kafka.producer();
      await seed.connect();
      const admin = kafka.admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic: 'in' }, { topic: 'out' }] });
      await admin.disconnect();
      for (let from = 0; from < MESSAGES; from += 1000) {
        const messages = Array.from({ length: Math.min(1000, MESSAGES - from) }, (_, i) => ({ value: `m${from + i}` }));
        await seed.send({ topic: 'in', messages });
      }
      await seed.disconnect();
      const copy = ['--broker-list', address, '--input-topic', 'in', '--input-partition', '0', '--output-topic', 'out'];
      const as = ['--consumer-group', 'copiers', '--transactional-id', 'copier', '--use-group-metadata'];
      const how = ['--transaction-size', String(TRANSACTION), '--enable-random-aborts'];
      let copied = false;
      let restarts = 0;
      const copying = (async () => {
        // A copier that gives up is started again, as it would be in a cluster.
        while (!copied) {
          try {
            await java('TransactionalMessageCopier', [...copy, ...as, ...how], 120_000 + MESSAGES * 5);
            copied = true;
          } catch (thrown) {
            if (++restarts > 20) throw thrown;
          }
        }
      })();
      copying.catch(() => {});
      let kills = 0;
      while (!copied && restarts <= 20) {
        await Promise.race([copying, sleep(2500 + Math.random() * 2500)]);
        if (copied) break;
        await server.kill();
        kills++;
        server = await start();
      }
      await copying;
      const consumer = ['--bootstrap-server', address, '--topic', 'out', '--from-beginning'];
      const limits = ['--isolation-level', 'read_committed', '--timeout-ms', '8000'];
      const lines = (await java('consumer.ConsoleConsumer', [...consumer, ...limits], 120_000)).split('\n');
      const values = lines.filter((line) => line.startsWith('m'));
      process.stderr.write(
        `copied ${values.length} messages over ${kills} kills, ${restarts} restarts of the copier\n`,
      );
      expect(values.length).toBe(MESSAGES);
      expect(new Set(values).size).toBe(MESSAGES);
      expect(values).toEqual(Array.from({ length: MESSAGES }, (_, i) => `m${i}`));
    } finally {
      await server.stop();
      directory.remove();
    }
  },
);
