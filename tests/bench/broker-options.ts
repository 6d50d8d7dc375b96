import { parseArgs } from 'node:util';

const PARTS = ['produce', 'fetch', 'latency', 'start', 'recovery'] as const;
export type Part = (typeof PARTS)[number];

export interface BrokerBenchOptions {
  readonly besideKafka: boolean;
  readonly tool: 'rdkafka' | 'java';
  readonly parts: ReadonlySet<Part>;
  readonly sizes: readonly number[];
  readonly partitions: readonly number[];
  readonly acks: readonly ('0' | '1' | 'all')[];
  readonly codecs: readonly string[];
  readonly rates: readonly number[];
  readonly rounds: number;
  readonly megabytes: number;
  readonly recoveryMegabytes: number;
  /** Given to our server. */
  readonly server: readonly string[];
}

export const USAGE = `npm run bench -- broker [options]; defaults in brackets
  --beside-kafka        each case on an Apache Kafka too, in turn, with the ratio of the medians [off]
  --tool rdkafka|java   where produce and fetch come from [rdkafka]
  --parts A,B           of ${PARTS.join(', ')} [all]
  --sizes A,B           bytes of a record [100,1024,10240]
  --partitions A,B      [1,6]
  --acks A,B            [0,1,all]
  --codecs A,B          none is measured with all sizes, others with 1024 bytes and one partition [none,gzip,snappy,lz4,zstd]
  --rates A,B           records a second of the latency [1000,10000,50000]
  --rounds N            [3]
  --megabytes N         a case writes or reads [256]
  --recovery-megabytes N  [1000]
  --server "ARGS"       for our server, separated by spaces`;

export function brokerOptions(args: readonly string[]): BrokerBenchOptions {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      'beside-kafka': { type: 'boolean', default: false },
      tool: text('rdkafka'),
      parts: text(PARTS.join(',')),
      sizes: text('100,1024,10240'),
      partitions: text('1,6'),
      acks: text('0,1,all'),
      codecs: text('none,gzip,snappy,lz4,zstd'),
      rates: text('1000,10000,50000'),
      rounds: text('3'),
      megabytes: text('256'),
      'recovery-megabytes': text('1000'),
      server: text(''),
    },
  });
  const list = (what: string): string[] => what.split(',').filter((part) => part !== '');
  const numbers = (what: string): number[] => list(what).map(positive);
  return {
    besideKafka: values['beside-kafka'],
    tool: oneOf(values.tool, ['rdkafka', 'java']),
    parts: new Set(list(values.parts).map((part) => oneOf(part, PARTS))),
    sizes: numbers(values.sizes),
    partitions: numbers(values.partitions),
    acks: list(values.acks).map((acks) => oneOf(acks, ['0', '1', 'all'])),
    codecs: list(values.codecs).map((codec) => oneOf(codec, ['none', 'gzip', 'snappy', 'lz4', 'zstd'])),
    rates: numbers(values.rates),
    rounds: positive(values.rounds),
    megabytes: positive(values.megabytes),
    recoveryMegabytes: positive(values['recovery-megabytes']),
    server: values.server.split(' ').filter((part) => part !== ''),
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new Error(`${text} is not a whole number above zero\n${USAGE}`);
  return value;
}

function oneOf<const T extends string>(text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found === undefined) throw new Error(`${text} is none of ${known.join(', ')}\n${USAGE}`);
  return found;
}
