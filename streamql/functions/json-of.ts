import { formatIsoDate, formatTimestamp } from '../../src/values/datetime.ts';
import { type Exact, formatDecimal } from '../../src/values/decimal.ts';
import { compareKeys, plainNumber } from '../../src/values/json-text.ts';
import { keyText, unpackMap, unpackRow } from '../../src/values/nested.ts';
import { datumToText, doubleText } from '../../src/values/text.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';

/** A value as canonical JSON text (a jsonb datum), as Postgres's to_jsonb: exact numbers keep their digits, times are ISO texts. */
export function jsonOf(datum: Datum, type: SqlType): string {
  if (datum === null) return 'null';
  switch (type.kind) {
    case 'boolean':
      return datum ? 'true' : 'false';
    case 'smallint':
    case 'integer':
    case 'bigint':
      return String(datum);
    case 'decimal':
      return formatDecimal(datum as Exact, type.scale);
    case 'real':
    case 'double':
      return Number.isFinite(datum)
        ? plainNumber(doubleText(datum as number, type.kind === 'real'))
        : `"${doubleText(datum as number)}"`;
    case 'jsonb':
      return datum as string;
    case 'date':
      return JSON.stringify(formatIsoDate(datum as number));
    case 'timestamp':
      return JSON.stringify(formatTimestamp(datum as Exact, 'T'));
    case 'timestamptz':
      return JSON.stringify(formatTimestamp(datum as Exact, 'T', '+00:00'));
    case 'array':
      return jsonArray((datum as readonly Datum[]).map((one) => jsonOf(one, type.element)));
    case 'row':
      return jsonObject(
        unpackRow(datum, type).map((one, i) => [type.fields[i].name, jsonOf(one, type.fields[i].type)]),
      );
    case 'map':
      return jsonObject(unpackMap(datum, type).map(([key, value]) => [keyText(key, type), jsonOf(value, type.value)]));
    default:
      return JSON.stringify(datumToText(datum, type));
  }
}

export const jsonArray = (values: readonly string[]): string => `[${values.join(',')}]`;

/** Canonical: keys in order, each once (the last wins). */
export function jsonObject(entries: Iterable<readonly [key: string, value: string]>): string {
  const map = new Map<string, string>(entries);
  const keys = [...map.keys()].sort(compareKeys);
  return `{${keys.map((key) => `${JSON.stringify(key)}:${map.get(key)}`).join(',')}}`;
}
