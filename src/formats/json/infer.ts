import type { ColumnSchema } from '../../values/batch.ts';
import { parseTimestamp } from '../../values/datetime.ts';
import { BIGINT, BOOLEAN, DOUBLE, JSONB, type SqlType, TIMESTAMP, TIMESTAMPTZ, VARCHAR } from '../../values/types.ts';
import { JsonMembers } from './json-syntax.ts';

/** Records looked at, and columns made, at most. */
const MOST_SAMPLES = 1000;
const MOST_COLUMNS = 1000;

type Seen = 'integer' | 'decimal' | 'boolean' | 'timestamp' | 'timestamptz' | 'text' | 'nested';

/**
 * Columns for `CREATE SOURCE s WITH (topic = …)`: every key of the first 1000 records, in the order of first sight, all
 * nullable. Values that are no JSON objects are passed over; without any, the result is empty.
 *
 * | all values seen under the key | type |
 * | --- | --- |
 * | whole numbers within 64 bits | bigint |
 * | numbers | double |
 * | true, false | boolean |
 * | ISO timestamps, none or all with a zone | timestamp, timestamptz |
 * | objects and arrays | jsonb |
 * | anything else, a mixture, or only null | varchar |
 */
export function inferColumns(values: Iterable<Buffer>): ColumnSchema[] {
  const members = new JsonMembers();
  const seen = new Map<string, Set<Seen>>();
  let samples = 0;
  for (const value of values) {
    if (samples === MOST_SAMPLES) break;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    if (!members.read(value, view, 0, value.length)) continue;
    samples++;
    for (let m = 0; m < members.count; m++) {
      const name = JSON.parse(value.utf8Slice(members.keyStarts[m] - 1, members.keyEnds[m] + 1)) as string;
      let kinds = seen.get(name);
      if (kinds === undefined) {
        if (seen.size === MOST_COLUMNS || name === '') continue;
        kinds = new Set();
        seen.set(name, kinds);
      }
      const kind = kindOf(value, members.valueStarts[m], members.valueEnds[m]);
      if (kind !== null) kinds.add(kind);
    }
  }
  return [...seen].map(([name, kinds]) => ({ name, type: typeOf(kinds), nullable: true }));
}

function kindOf(b: Buffer, start: number, end: number): Seen | null {
  switch (b[start]) {
    case 110:
      return null;
    case 116:
    case 102:
      return 'boolean';
    case 123:
    case 91:
      return 'nested';
    case 34: {
      const text = b.utf8Slice(start + 1, end - 1);
      const parsed = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) ? parseTimestamp(text) : undefined;
      return parsed === undefined ? 'text' : parsed.zoned ? 'timestamptz' : 'timestamp';
    }
    default: {
      const text = b.latin1Slice(start, end);
      return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? 'integer' : 'decimal';
    }
  }
}

const TYPES: Readonly<Record<Seen, SqlType>> = {
  integer: BIGINT,
  decimal: DOUBLE,
  boolean: BOOLEAN,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  text: VARCHAR,
  nested: JSONB,
};

function typeOf(kinds: ReadonlySet<Seen>): SqlType {
  if (kinds.size === 2 && kinds.has('integer') && kinds.has('decimal')) return DOUBLE;
  if (kinds.size !== 1) return VARCHAR;
  const [kind] = kinds;
  return TYPES[kind];
}
