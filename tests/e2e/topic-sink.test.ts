import { Kafka, logLevel } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** kill −9 at random points while sinks write topics; STREAMLINE_KILLS=50 is the long run. A failing assertion names the seed. */
const KILLS = Number(process.env['STREAMLINE_KILLS'] ?? 4);
const SEED = Number(process.env['STREAMLINE_SEED'] ?? Date.now() % 100_000);

function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 4294967296;
  };
}

/** Everything a read_committed consumer gets of a topic of one partition, in order. */
async function consumeAll(kafka: string, topic: string): Promise<{ key: string | null; value: string | null }[]> {
  const client = new Kafka({ brokers: [kafka], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  const [{ high }] = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const consumer = client.consumer({ groupId: `check-${topic}-${Math.random()}`, maxWaitTimeInMs: 50 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const records: { key: string | null; value: string | null }[] = [];
  // The last offset is a transaction's marker, so the end shows by nothing more coming before it.
  await new Promise<void>((done) => {
    let last = -1;
    const timer = setInterval(() => {
      if (last >= 0 && last >= Number(high) - 2) {
        clearInterval(timer);
        done();
      }
    }, 20);
    void consumer.run({
      eachMessage: async ({ message }) => {
        records.push({ key: message.key?.toString() ?? null, value: message.value?.toString() ?? null });
        last = Number(message.offset);
      },
    });
  });
  await consumer.disconnect();
  return records;
}

describe(`sinks into topics under kill −9 (seed ${SEED})`, () => {
  test(
    'each row is there once for who reads what is committed, upserts end at the view, the table is the view',
    async () => {
      const directory = temporaryDirectory();
      const random = seededRandom(SEED);
      let next = 0;
      let server = await ServerProcess.start(directory.path, ['--checkpoint-interval-ms', '100']);
      await server.sql(`CREATE SOURCE e (seq BIGINT, k BIGINT) WITH (topic = 'e');
        CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, sum(seq) AS s FROM e GROUP BY k;
        CREATE TABLE t (k BIGINT PRIMARY KEY, n BIGINT);
        CREATE SINK copy AS SELECT seq, k FROM e INTO TOPIC copy;
        CREATE SINK ups AS SELECT k, n FROM per_k WHERE n % 3 <> 0 INTO TOPIC ups;
        CREATE SINK rows AS SELECT k, n FROM per_k WHERE n % 3 <> 0 INTO TABLE t`);
      for (let kill = 0; kill < KILLS; kill++) {
        const until = Date.now() + 100 + random() * 600;
        while (Date.now() < until) {
          const size = 1 + Math.floor(random() * 20);
          await server.produce(
            'e',
            Array.from({ length: size }, () => ({ seq: next, k: next++ % 7 })),
          );
        }
        await server.kill();
        server = await ServerProcess.start(directory.path, ['--checkpoint-interval-ms', '100']);
      }
      await server.sql('FLUSH');
      const expected = await server.rows('SELECT k, n FROM per_k WHERE n % 3 <> 0 ORDER BY k');
      expect((await server.rows('SHOW SINKS')).map((row) => row[2])).toEqual(['running', 'running', 'running']);

      const copied = (await consumeAll(server.kafka, 'copy')).map(({ value }) => JSON.parse(value as string).seq);
      expect(copied.sort((a, b) => a - b)).toEqual(Array.from({ length: next }, (_, seq) => seq));

      const newest = new Map<string, string | null>();
      for (const { key, value } of await consumeAll(server.kafka, 'ups')) newest.set(key as string, value);
      const left = [...newest.values()].flatMap((value) => (value === null ? [] : [JSON.parse(value)]));
      expect(left.map(({ k, n }) => [k, n]).sort(([a], [b]) => a - b)).toEqual(expected);

      expect(await server.rows('SELECT k, n FROM t ORDER BY k')).toEqual(expected);
      expect(await server.stop()).toBe(0);
      directory.remove();
    },
    60_000 + KILLS * 10_000,
  );
});
