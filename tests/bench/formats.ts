import avro from 'avsc';
import protobuf from 'protobufjs';
import { createDecoder } from '../../src/formats/formats.ts';
import { encodeJsonRow } from '../../src/formats/json/json-encoder.ts';
import { BIGINT, type Datum, TIMESTAMP, VARCHAR } from '../../src/values/types.ts';
import type { Bench } from './bench.ts';

const COLUMNS = [
  ['auction', BIGINT],
  ['bidder', BIGINT],
  ['price', BIGINT],
  ['channel', VARCHAR],
  ['url', VARCHAR],
  ['date_time', TIMESTAMP],
  ['extra', VARCHAR],
] as const;
const RECORDS = 20_000;
const ROUNDS = 15;

const AVRO = JSON.stringify({
  type: 'record',
  name: 'Bid',
  fields: COLUMNS.map(([name, { kind }]) => ({
    name,
    type:
      kind === 'varchar'
        ? 'string'
        : kind === 'bigint'
          ? 'long'
          : { type: 'long', logicalType: 'local-timestamp-micros' },
  })),
});
const PROTO = `syntax = "proto3"; import "google/protobuf/timestamp.proto"; message Bid { ${COLUMNS.map(
  ([name, { kind }], i) =>
    `${kind === 'varchar' ? 'string' : kind === 'bigint' ? 'int64' : 'google.protobuf.Timestamp'} ${name} = ${i + 1};`,
).join(' ')} }`;

/** Bids of Nexmark, decoded from one buffer in batches as a source reads them: all seven columns, and the price alone. */
export const bench: Bench = async (report) => {
  const columns = COLUMNS.map(([name, type]) => ({ name, type, nullable: true }));
  const rows = Array.from({ length: RECORDS }, (_, i): Datum[] => [
    1000 + (i % 977),
    2000 + (i % 7919),
    100 + ((i * 7919) % 1_000_003),
    `channel-${i % 100}`,
    `https://www.nexmark.com/item.htm?query=1&channel=${i % 10_000}`,
    1_436_918_400_000_000 + i * 1000,
    'x'.repeat(40 + (i % 40)),
  ]);
  const avroType = avro.Type.forSchema(JSON.parse(AVRO));
  const root = protobuf.parse(PROTO, { keepCase: true }).root;
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!);
  const protoType = root.lookupType('Bid');
  const named = (row: Datum[]) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]));
  const time = (micros: number) => ({ seconds: Math.floor(micros / 1e6), nanos: (micros % 1e6) * 1000 });
  const encoders: Readonly<Record<string, (row: Datum[]) => Uint8Array>> = {
    json: (row) => encodeJsonRow(columns, row),
    csv: (row) => Buffer.from([...row.slice(0, 5), Number(row[5]) / 1000, row[6]].join(',')),
    avro: (row) => avroType.toBuffer(named(row)),
    protobuf: (row) =>
      protoType.encode(protoType.create({ ...named(row), date_time: time(row[5] as number) })).finish(),
    raw: (row) => encodeJsonRow(columns, row),
  };
  const optionsOf: Readonly<Record<string, Record<string, string>>> = {
    avro: { schema: AVRO },
    protobuf: { schema: PROTO },
  };
  for (const [format, encode] of Object.entries(encoders)) {
    const parts = rows.map((row) => Buffer.from(encode(row)));
    const buffer = Buffer.concat(parts);
    const raw = [{ name: 'data', type: VARCHAR, nullable: true }];
    const declared = format === 'raw' ? raw : columns;
    for (const wanted of format === 'raw' ? [[0]] : [columns.map((_, i) => i), [2]]) {
      const decoder = createDecoder(format, { columns: declared, wanted, key: [], options: optionsOf[format] ?? {} });
      const rates: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const from = process.hrtime.bigint();
        let at = 0;
        for (let i = 0; i < parts.length; i++) {
          const end = at + parts[i].length;
          if (!decoder.decode(buffer, at, end)) throw new Error(`${format}: ${decoder.error}`);
          at = end;
          if (i % 4096 === 4095) decoder.finish();
        }
        decoder.finish();
        rates.push(RECORDS / (Number(process.hrtime.bigint() - from) / 1e9));
      }
      rates.sort((a, b) => a - b);
      const recordsPerSecond = Math.round(rates[ROUNDS >> 1]);
      const bytesPerRecord = Math.round(buffer.length / RECORDS);
      report({ bench: 'formats', format, columns: wanted.length, recordsPerSecond, bytesPerRecord });
    }
  }
};
