/** One number that a client told of itself. */
export interface ClientMetric {
  readonly name: string;
  readonly kind: 'gauge' | 'sum' | 'histogram';
  readonly value: number;
  /** Of a histogram: how many values `value` is the sum of. */
  readonly count?: number;
  /** ms since 1970. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, string>>;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const MOST_METRICS = 10_000;

type Field = readonly [number: number, wireType: number, value: Buffer | bigint];

/** The fields of a protobuf message, in their order. RangeError when it is malformed. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new RangeError('a varint has no end');
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw new RangeError('a field passes the end of its message');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [field, wireType] = [tag >>> 3, tag & 7];
    if (wireType === VARINT) yield [field, wireType, varint()];
    else if (wireType === FIXED64) yield [field, wireType, take(8)];
    else if (wireType === BYTES) yield [field, wireType, take(Number(varint()))];
    else if (wireType === FIXED32) yield [field, wireType, take(4)];
    else throw new RangeError(`there is no wire type ${wireType}`);
  }
}

/** The fields of this number that are messages, texts or eight bytes. */
function* within(bytes: Buffer, number: number): Generator<Buffer> {
  for (const [field, , value] of fieldsOf(bytes)) if (field === number && Buffer.isBuffer(value)) yield value;
}

const first = (bytes: Buffer, number: number): Buffer | undefined => within(bytes, number).next().value ?? undefined;
const textOf = (bytes: Buffer | undefined): string => bytes?.toString() ?? '';
const millis = (nanos: Buffer | undefined): number =>
  nanos?.length === 8 ? Number(nanos.readBigUInt64LE() / 1_000_000n) : 0;
const double = (bytes: Buffer | undefined): number | undefined =>
  bytes?.length === 8 ? bytes.readDoubleLE() : undefined;
const integer = (bytes: Buffer | undefined): number | undefined =>
  bytes?.length === 8 ? Number(bytes.readBigInt64LE()) : undefined;

/** AnyValue: a text, truth, number or what is left as JSON of its kind. */
function anyText(bytes: Buffer): string {
  for (const [field, , value] of fieldsOf(bytes)) {
    if (field === 1 && Buffer.isBuffer(value)) return value.toString();
    if (field === 2 && typeof value === 'bigint') return String(value !== 0n);
    if (field === 3 && typeof value === 'bigint') return String(BigInt.asIntN(64, value));
    if (field === 4 && Buffer.isBuffer(value)) return String(double(value));
  }
  return '';
}

function attributesOf(bytes: Buffer, number: number): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of within(bytes, number))
    attributes[textOf(first(pair, 1))] = anyText(first(pair, 2) ?? Buffer.alloc(0));
  return attributes;
}

/**
 * The numbers in an OTLP `MetricsData` message (opentelemetry-proto v1, metrics.proto): gauges, sums and histograms, whose buckets are left
 * out; other kinds are too. RangeError when it is malformed or has more than 10,000.
 */
export function decodeMetrics(data: Buffer): ClientMetric[] {
  const metrics: ClientMetric[] = [];
  for (const resource of within(data, 1)) {
    const common = attributesOf(first(resource, 1) ?? Buffer.alloc(0), 1);
    for (const scope of within(resource, 2)) {
      for (const metric of within(scope, 2)) {
        const name = textOf(first(metric, 1));
        for (const [field, , value] of fieldsOf(metric)) {
          const kind = KINDS[field];
          if (kind === undefined || !Buffer.isBuffer(value)) continue;
          for (const point of within(value, 1)) {
            metrics.push(
              kind === 'histogram' ? histogramPoint(name, common, point) : numberPoint(name, kind, common, point),
            );
            if (metrics.length > MOST_METRICS) throw new RangeError(`more than ${MOST_METRICS} metrics`);
          }
        }
      }
    }
  }
  return metrics;
}

const KINDS: Readonly<Record<number, ClientMetric['kind']>> = { 5: 'gauge', 7: 'sum', 9: 'histogram' };

const numberPoint = (
  name: string,
  kind: 'gauge' | 'sum',
  common: Readonly<Record<string, string>>,
  point: Buffer,
): ClientMetric => ({
  name,
  kind,
  value: double(first(point, 4)) ?? integer(first(point, 6)) ?? 0,
  timeMs: millis(first(point, 3)),
  attributes: { ...common, ...attributesOf(point, 7) },
});

const histogramPoint = (name: string, common: Readonly<Record<string, string>>, point: Buffer): ClientMetric => ({
  name,
  kind: 'histogram',
  value: double(first(point, 5)) ?? 0,
  count: integer(first(point, 4)) ?? 0,
  timeMs: millis(first(point, 3)),
  attributes: { ...common, ...attributesOf(point, 9) },
});
