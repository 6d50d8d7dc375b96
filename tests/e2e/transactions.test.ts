import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

const directory = temporaryDirectory();
let server: ServerProcess;
beforeAll(async () => {
  server = await ServerProcess.start(directory.path);
});
afterAll(async () => {
  await server.stop();
  directory.remove();
});

test('a view counts what transactions committed, when they did, also after kill -9', { timeout: 60_000 }, async () => {
  const begin = async () => {
    const kafka = new Kafka({ clientId: 'tests', brokers: [server.kafka], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ transactionalId: 'tx', idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    return producer;
  };
  const counted = async (): Promise<unknown> => {
    await server.sql('FLUSH');
    return [
      await server.rows('SELECT n, total FROM sums'),
      (await server.rows('SELECT value FROM payments')).map(([value]) => value).sort(),
    ];
  };
  const values = (...amounts: number[]) => amounts.map((amount) => ({ value: JSON.stringify({ amount }) }));
  const texts = (...amounts: number[]) => values(...amounts).map(({ value }) => value);
  await server.sql(`CREATE SOURCE paid (amount BIGINT) WITH (topic = 'payments', format = 'json');
    CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS n, sum(amount) AS total FROM paid`);
  let producer = await begin();
  const first = await producer.transaction();
  await first.send({ topic: 'payments', messages: values(1, 2) });
  expect(await counted()).toEqual([[[0, null]], []]);
  await first.commit();
  expect(await counted()).toEqual([[[2, 3]], texts(1, 2)]);
  const second = await producer.transaction();
  await second.send({ topic: 'payments', messages: values(100) });
  await second.abort();
  const third = await producer.transaction();
  await third.send({ topic: 'payments', messages: values(4) });
  await third.commit();
  expect(await counted()).toEqual([[[3, 7]], texts(1, 2, 4)]);
  const open = await producer.transaction();
  await open.send({ topic: 'payments', messages: values(1000) });
  await server.kill();
  server = await ServerProcess.start(directory.path);
  expect(await counted()).toEqual([[[3, 7]], texts(1, 2, 4)]);
  // A producer with the same id ends what the one before left open.
  await producer.disconnect().catch(() => {});
  producer = await begin();
  const last = await producer.transaction();
  await last.send({ topic: 'payments', messages: values(8) });
  await last.commit();
  await producer.disconnect();
  expect(await counted()).toEqual([[[4, 15]], texts(1, 2, 4, 8)]);
});
