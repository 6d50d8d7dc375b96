import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerRig, QUICK, startBroker } from '../broker/rig.ts';
import { explainSkip, hasProgram, run } from './programs.ts';

const present = hasProgram('kcat', '-V');
if (!present) explainSkip('kcat', 'it is not on the PATH (Debian package kcat)');

describe.skipIf(!present)('kcat (librdkafka)', () => {
  let rig: BrokerRig;
  beforeAll(async () => {
    rig = await startBroker({ ...QUICK, numPartitions: 1 });
  });
  afterAll(() => rig.close());

  const kcat = (args: string[], input = '') => run('kcat', ['-b', rig.address, ...args], input);
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');

  test('produces and consumes in order', async () => {
    const values = Array.from({ length: 5000 }, (_, i) => `value ${i}`);
    await kcat(['-P', '-t', 'plain'], `${values.join('\n')}\n`);
    expect(lines(await kcat(['-C', '-t', 'plain', '-o', 'beginning', '-e', '-q']))).toEqual(values);
    expect(lines(await kcat(['-C', '-t', 'plain', '-o', '-2', '-e', '-q', '-f', '%o\n']))).toEqual(['4998', '4999']);
  });

  test('every codec comes back as it went', async () => {
    const stored = new Map<string, number>();
    for (const [code, codec] of ['none', 'gzip', 'snappy', 'lz4', 'zstd'].entries()) {
      const values = Array.from({ length: 200 }, (_, i) => `${codec} ${i} ${'pad '.repeat(20)}`);
      await kcat(['-P', '-t', codec, ...(codec === 'none' ? [] : ['-z', codec])], `${values.join('\n')}\n`);
      expect(lines(await kcat(['-C', '-t', codec, '-o', 'beginning', '-e', '-q']))).toEqual(values);
      const batch = Buffer.from(await rig.storage.read(codec, 0, 0, 1));
      stored.set(codec, batch.readInt16BE(21) & 7);
      expect(stored.get(codec)).toBe(code);
    }
  });

  test('keys, headers, tombstones and timestamps', async () => {
    await kcat(['-P', '-t', 'rich', '-K', ':', '-H', 'h=1', '-Z'], 'k:v\ngone:\n');
    const format = '%k|%s|%S|%h\n';
    expect(lines(await kcat(['-C', '-t', 'rich', '-o', 'beginning', '-e', '-q', '-f', format]))).toEqual([
      'k|v|1|h=1',
      'gone||-1|h=1',
    ]);
    const found = await kcat(['-Q', '-t', `rich:0:${Date.now() - 60_000}`]);
    expect(found).toContain('rich [0] offset 0');
  });

  test('an idempotent producer, and acks 0 and 1', async () => {
    for (const [topic, options] of [
      ['idem', ['-X', 'enable.idempotence=true']],
      ['acks0', ['-X', 'acks=0']],
      ['acks1', ['-X', 'acks=1']],
    ] as const) {
      await kcat(['-P', '-t', topic, ...options], 'a\nb\nc\n');
      expect(lines(await kcat(['-C', '-t', topic, '-o', 'beginning', '-e', '-q']))).toEqual(['a', 'b', 'c']);
    }
  });

  test('a group commits and goes on', async () => {
    await kcat(['-P', '-t', 'grouped'], 'a\nb\n');
    const consume = () => kcat(['-G', 'kcat-group', '-e', '-q', '-X', 'auto.offset.reset=earliest', 'grouped']);
    expect(lines(await consume())).toEqual(['a', 'b']);
    await kcat(['-P', '-t', 'grouped'], 'c\n');
    expect(lines(await consume())).toEqual(['c']);
  });

  test('lists metadata', async () => {
    const listed = JSON.parse(await kcat(['-L', '-J', '-t', 'plain']));
    expect(listed.brokers).toEqual([{ id: 1, name: rig.address }]);
    expect(listed.topics[0].partitions).toMatchObject([{ partition: 0, leader: 1 }]);
  });
});
