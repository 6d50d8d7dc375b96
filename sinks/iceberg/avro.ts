import { randomBytes } from 'node:crypto';
import avro from 'avsc';

/**
 * Avro object container files, uncompressed, whose header keeps the whole schema text: avsc's own writer drops the field ids that
 * Iceberg needs. Longs are bigints, so that snapshot ids stay exact.
 */
const MAGIC = Buffer.from([0x4f, 0x62, 0x6a, 0x01]);
const SYNC_BYTES = 16;

const longType = (avro.types.LongType as any).__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint | number) => {
    const out = Buffer.alloc(8);
    out.writeBigInt64LE(BigInt(value));
    return out;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

const typeOf = (schema: unknown): avro.Type =>
  avro.Type.forSchema(
    schema as avro.Schema,
    { registry: { long: longType }, wrapUnions: false, noAnonymousTypes: false } as never,
  );

const metaType = avro.Type.forSchema({ type: 'map', values: 'bytes' });
const countType = avro.Type.forSchema('long');

export function writeAvro(
  schema: unknown,
  metadata: Readonly<Record<string, string>>,
  records: readonly unknown[],
): Buffer {
  const type = typeOf(schema);
  const meta: Record<string, Buffer> = {
    'avro.schema': Buffer.from(JSON.stringify(schema)),
    'avro.codec': Buffer.from('null'),
  };
  for (const [key, value] of Object.entries(metadata)) meta[key] = Buffer.from(value);
  const sync = randomBytes(SYNC_BYTES);
  const parts = [MAGIC, metaType.toBuffer(meta), sync];
  if (records.length > 0) {
    const body = Buffer.concat(records.map((record) => type.toBuffer(record)));
    parts.push(countType.toBuffer(records.length), countType.toBuffer(body.length), body, sync);
  }
  return Buffer.concat(parts);
}

/** Records by the schema that the file was written with. Uncompressed and deflated files. */
export async function readAvro(bytes: Buffer): Promise<Record<string, any>[]> {
  if (!bytes.subarray(0, 4).equals(MAGIC)) throw new Error('not an Avro file');
  const header = metaType.decode(bytes, 4) as unknown as { value: Record<string, Buffer>; offset: number };
  const type = typeOf(JSON.parse(header.value['avro.schema'].toString('utf8')));
  const codec = header.value['avro.codec']?.toString('utf8') ?? 'null';
  const { inflateRawSync } = await import('node:zlib');
  const records: Record<string, any>[] = [];
  let at = header.offset + SYNC_BYTES;
  while (at < bytes.length) {
    const count = countType.decode(bytes, at) as unknown as { value: number; offset: number };
    const size = countType.decode(bytes, count.offset) as unknown as { value: number; offset: number };
    const block = bytes.subarray(size.offset, size.offset + size.value);
    const body = codec === 'deflate' ? inflateRawSync(block) : block;
    let position = 0;
    for (let i = 0; i < count.value; i++) {
      const one = type.decode(body, position) as unknown as { value: Record<string, any>; offset: number };
      records.push(one.value);
      position = one.offset;
    }
    at = size.offset + size.value + SYNC_BYTES;
  }
  return records;
}
