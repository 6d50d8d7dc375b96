import { StreamError } from '../lib/errors.ts';
import { bigPower, type Exact, rescale } from '../values/decimal.ts';
import { canonicalJsonText } from '../values/json-text.ts';
import { type Entry, packMap, packRow, unpackMap, unpackRow } from '../values/nested.ts';
import { datumFromText, datumToText } from '../values/text.ts';
import {
  canonicalInteger,
  type Datum,
  isInteger,
  type MapType,
  type RowType,
  type SqlType,
  sameType,
} from '../values/types.ts';
import { jsonOfDatum } from './json/json-encoder.ts';

/** A value of one type as one of another; undefined when this value has no place there. */
export type Convert = (datum: Exclude<Datum, null>) => Datum | undefined;

/**
 * From the type that a schema gives a field to the type that its column is declared with; null when there is no way.
 *
 * | from | to |
 * | --- | --- |
 * | any | itself, varchar (as Postgres prints it), jsonb |
 * | whole numbers | whole numbers in range, decimal, real, double |
 * | decimal | decimal (rounded half away from zero), real, double |
 * | real, double | real, double |
 * | timestamp, timestamptz | each other: both are UTC |
 * | varchar | anything, as Postgres reads it |
 * | array, map, row | the same of what elements, values and fields convert to; fields by name, one that is missing is NULL |
 */
export function converter(from: SqlType, to: SqlType): Convert | null {
  if (sameType(from, to)) return (datum) => datum;
  if (to.kind === 'jsonb' && from.kind !== 'varchar') return (datum) => canonicalJsonText(jsonOfDatum(from, datum));
  if (to.kind === 'varchar') return (datum) => datumToText(datum, from);
  if (isInteger(from)) return fromInteger(to);
  switch (from.kind) {
    case 'varchar':
      return to.kind === 'null' ? null : (datum) => orUndefined(() => datumFromText(datum as string, to));
    case 'decimal':
      return fromDecimal(from.scale, to);
    case 'real':
    case 'double':
      if (to.kind === 'double') return (datum) => datum;
      return to.kind === 'real' ? (datum) => Math.fround(datum as number) : null;
    case 'timestamp':
    case 'timestamptz':
      return to.kind === 'timestamp' || to.kind === 'timestamptz' ? (datum) => datum : null;
    case 'array':
      return to.kind === 'array' ? arrayConverter(from.element, to.element) : null;
    case 'row':
      return to.kind === 'row' ? rowConverter(from, to) : null;
    case 'map':
      return to.kind === 'map' ? mapConverter(from, to) : null;
    default:
      return null;
  }
}

/** VALUE_CAST, VALUE_OVERFLOW and the like as undefined. */
export function orUndefined(make: () => Datum): Datum | undefined {
  try {
    return make();
  } catch (thrown) {
    if (thrown instanceof StreamError) return undefined;
    throw thrown;
  }
}

const RANGES: Readonly<Record<string, readonly [number | bigint, number | bigint]>> = {
  smallint: [-32768, 32767],
  integer: [-2147483648, 2147483647],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};

function fromInteger(to: SqlType): Convert | null {
  switch (to.kind) {
    case 'smallint':
    case 'integer':
    case 'bigint': {
      const [least, most] = RANGES[to.kind];
      return (datum) => ((datum as number) >= least && (datum as number) <= most ? datum : undefined);
    }
    case 'real':
      return (datum) => Math.fround(Number(datum));
    case 'double':
      return (datum) => Number(datum);
    case 'decimal':
      return fromDecimal(0, to);
    default:
      return null;
  }
}

function fromDecimal(scale: number, to: SqlType): Convert | null {
  switch (to.kind) {
    case 'decimal': {
      const limit = bigPower(to.precision);
      return (datum) => {
        const value = rescale(datum as Exact, scale, to.scale);
        const big = BigInt(value);
        return big < limit && big > -limit ? value : undefined;
      };
    }
    case 'real':
    case 'double': {
      const round = to.kind === 'real' ? Math.fround : (value: number) => value;
      return (datum) => round(Number(datumToText(datum, { kind: 'decimal', precision: 38, scale })));
    }
    case 'bigint':
    case 'integer':
    case 'smallint': {
      if (scale !== 0) return null;
      const [least, most] = RANGES[to.kind];
      return (datum) => {
        const value = canonicalInteger(BigInt(datum as Exact));
        return value >= least && value <= most ? value : undefined;
      };
    }
    default:
      return null;
  }
}

function arrayConverter(from: SqlType, to: SqlType): Convert | null {
  const convert = converter(from, to);
  if (convert === null) return null;
  return (datum) => {
    const out: Datum[] = [];
    for (const one of datum as readonly Datum[]) {
      const converted = one === null ? null : convert(one);
      if (converted === undefined) return undefined;
      out.push(converted);
    }
    return out;
  };
}

function rowConverter(from: RowType, to: RowType): Convert | null {
  const places = to.fields.map((field) => from.fields.findIndex(({ name }) => name === field.name));
  const converts = places.map((place, i) => (place < 0 ? null : converter(from.fields[place].type, to.fields[i].type)));
  if (places.some((place, i) => place >= 0 && converts[i] === null)) return null;
  return (datum) => {
    const given = unpackRow(datum, from);
    const values: Datum[] = [];
    for (let i = 0; i < places.length; i++) {
      const one = places[i] < 0 ? null : given[places[i]];
      const converted = one === null ? null : converts[i]!(one);
      if (converted === undefined) return undefined;
      values.push(converted);
    }
    return packRow(values, to);
  };
}

function mapConverter(from: MapType, to: MapType): Convert | null {
  const ofKey = converter(from.key, to.key);
  const ofValue = converter(from.value, to.value);
  if (ofKey === null || ofValue === null) return null;
  return (datum) => {
    const entries: Entry[] = [];
    for (const [key, value] of unpackMap(datum, from)) {
      const newKey = ofKey(key);
      const newValue = value === null ? null : ofValue(value);
      if (newKey === undefined || newKey === null || newValue === undefined) return undefined;
      entries.push([newKey, newValue]);
    }
    return packMap(entries, to);
  };
}
