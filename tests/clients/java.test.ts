import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerRig, QUICK, startBroker } from '../broker/rig.ts';
import { javaClasspath, prepareJava } from '../support/java.ts';
import { explainSkip, run } from './programs.ts';

/** Apache Kafka's own client and tools. */
const absent = prepareJava();
if (absent !== undefined) explainSkip('Java clients', absent);

describe.skipIf(absent !== undefined)('Java client and tools', () => {
  let rig: BrokerRig;
  beforeAll(async () => {
    rig = await startBroker({ ...QUICK, numPartitions: 1 });
  });
  afterAll(() => rig.close());

  const java = (main: string, args: string[], input = '') =>
    run('java', ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', javaClasspath(), main, ...args], input);
  const produce = (topic: string, values: readonly string[], ...more: string[]) =>
    java(
      'org.apache.kafka.tools.ConsoleProducer',
      ['--bootstrap-server', rig.address, '--topic', topic, ...more],
      `${values.join('\n')}\n`,
    );
  const consume = async (topic: string, count: number, ...more: string[]) => {
    const limits = ['--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000'];
    const args = ['--bootstrap-server', rig.address, '--topic', topic, ...limits, ...more];
    return (await java('org.apache.kafka.tools.consumer.ConsoleConsumer', args))
      .split('\n')
      .filter((line) => line !== '');
  };

  test('a producer with default settings is idempotent, and the consumer reads it back', {
    timeout: 60_000,
  }, async () => {
    const values = Array.from({ length: 500 }, (_, i) => `value ${i}`);
    await produce('plain', values);
    expect(await consume('plain', 500, '--group', 'java-group')).toEqual(values);
    const producers = [...rig.storage.partition('plain', 0)!.producers()];
    expect(producers).toHaveLength(1);
    expect(producers[0]![0]).toBeGreaterThanOrEqual(0);
    expect(rig.broker.stats().requests).toMatchObject({ initProducerId: 1, offsetCommit: expect.any(Number) });
  });

  test('every codec', { timeout: 120_000 }, async () => {
    const codecs = ['gzip', 'snappy', 'lz4', 'zstd'];
    for (const codec of codecs) {
      await produce('codecs', [`${codec} ${'pad '.repeat(200)}`], '--compression-codec', codec);
    }
    expect((await consume('codecs', 4)).map((line) => line.split(' ')[0])).toEqual(codecs);
    const log = rig.storage.partition('codecs', 0)!;
    for (const [offset, code] of [1, 2, 3, 4].entries()) {
      expect((await log.read(offset, 1)).readInt16BE(21) & 7).toBe(code);
    }
  });

  test('topics and groups are administered', { timeout: 120_000 }, async () => {
    const topics = (...args: string[]) =>
      java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', rig.address, ...args]);
    await topics('--create', '--topic', 'made', '--partitions', '3', '--config', 'retention.ms=60000');
    expect(await topics('--describe', '--topic', 'made')).toMatch(/PartitionCount: 3[\s\S]*retention.ms=60000/);
    const group = await java('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
      ...['--bootstrap-server', rig.address, '--describe', '--group', 'java-group'],
    ]);
    expect(group).toMatch(/java-group\s+plain\s+0\s+500\s+500\s+0/);
  });

  test('consumers of the consumer protocol share a group', { timeout: 120_000 }, async () => {
    await rig.storage.createTopic('shared', { partitions: 4 });
    const member = () => {
      const property = ['--consumer-property', 'group.protocol=consumer', '--group', 'modern', '--from-beginning'];
      return java('org.apache.kafka.tools.consumer.ConsoleConsumer', [
        ...[
          '--bootstrap-server',
          rig.address,
          '--topic',
          'shared',
          '--timeout-ms',
          '40000',
          '--max-messages',
          '2',
          ...property,
        ],
      ]).catch((thrown: unknown) => String(thrown));
    };
    const both = [member(), member()];
    const group = () => rig.broker.groups.consumerGroup('modern');
    const until = Date.now() + 60_000;
    while (!(group()?.members.size === 2 && group()?.state === 'Stable') && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 100));
    const shares = [...group()!.members.values()].map(({ assigned }) => [...assigned.values()][0]?.size);
    expect(shares).toEqual([2, 2]);
    for (let partition = 0; partition < 4; partition++)
      await rig.storage.append('shared', partition, [{ key: null, value: Buffer.from(`in ${partition}`) }]);
    const lines = (await Promise.all(both))
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('in '));
    expect(lines.sort()).toEqual(['in 0', 'in 1', 'in 2', 'in 3']);
  });
});
