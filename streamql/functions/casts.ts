import { StreamError } from '../../src/lib/errors.ts';
import { checkTimestamp, MICROS_PER_DAY, splitTimestamp, timeInDay } from '../../src/values/datetime.ts';
import {
  checkPrecision,
  decimalToNumber,
  type Exact,
  multiplyExact,
  parseDecimal,
  rescale,
} from '../../src/values/decimal.ts';
import { datumFromJson } from '../../src/values/json.ts';
import { type Entry, packMap, packRow, unpackMap, unpackRow } from '../../src/values/nested.ts';
import { datumFromText, datumToText, doubleText, toReal } from '../../src/values/text.ts';
import {
  canonicalInteger,
  type Datum,
  type Interval,
  isNumeric,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  sameType,
  type TypeKind,
  typeName,
} from '../../src/values/types.ts';
import { jsonOf } from './json-of.ts';

export type CastLevel = 'implicit' | 'assignment' | 'explicit';

/** Numeric kinds; a cast to the right loses nothing but, for real and double, digits. */
const LADDER: readonly TypeKind[] = ['smallint', 'integer', 'bigint', 'decimal', 'real', 'double'];
const TIMES: readonly TypeKind[] = ['date', 'timestamp', 'timestamptz'];

/** Decimal digits of an integer kind. */
const DIGITS: Readonly<Partial<Record<TypeKind, number>>> = { smallint: 5, integer: 10, bigint: 19 };

/** implicit casts happen by themselves; assignment ones on the way into a table; explicit ones only when written (pg_cast). */
export function canCast(from: SqlType, to: SqlType, level: CastLevel): boolean {
  if (sameType(from, to) || from.kind === 'null') return true;
  if (from.kind === 'array' && to.kind === 'array') return canCast(from.element, to.element, level);
  if (from.kind === 'row' && to.kind === 'row') {
    return (
      from.fields.length === to.fields.length &&
      from.fields.every((field, i) => canCast(field.type, to.fields[i].type, level))
    );
  }
  if (from.kind === 'map' && to.kind === 'map') {
    return canCast(from.key, to.key, level) && canCast(from.value, to.value, level);
  }
  if (isNumeric(from) && isNumeric(to)) {
    return level !== 'implicit' || LADDER.indexOf(to.kind) >= LADDER.indexOf(from.kind);
  }
  const [fromTime, toTime] = [TIMES.indexOf(from.kind), TIMES.indexOf(to.kind)];
  if (fromTime >= 0 && toTime >= 0) return level !== 'implicit' || toTime >= fromTime;
  if (to.kind === 'varchar') return level !== 'implicit';
  if (from.kind === 'varchar') return level === 'explicit';
  if (to.kind === 'time' && (from.kind === 'timestamp' || from.kind === 'timestamptz')) return level !== 'implicit';
  if (level !== 'explicit') return false;
  if (from.kind === 'jsonb') return isNumeric(to) || to.kind === 'boolean' || to.kind === 'row' || to.kind === 'map';
  if (from.kind === 'boolean') return to.kind === 'integer' || to.kind === 'jsonb';
  if (to.kind === 'boolean') return from.kind === 'integer';
  if (from.kind === 'time' && to.kind === 'interval') return true;
  if (from.kind === 'interval' && to.kind === 'time') return true;
  return to.kind === 'jsonb';
}

/** The smallest type that all of them cast to by themselves; undefined when there is none. */
export function commonType(types: readonly SqlType[]): SqlType | undefined {
  let common: SqlType | undefined;
  for (const type of types) {
    if (type.kind === 'null') continue;
    common = common === undefined ? type : commonOfTwo(common, type);
    if (common === undefined) return undefined;
  }
  return common ?? { kind: 'null' };
}

function commonOfTwo(a: SqlType, b: SqlType): SqlType | undefined {
  if (sameType(a, b)) return a;
  if (isNumeric(a) && isNumeric(b)) {
    if (a.kind === 'double' || b.kind === 'double') return { kind: 'double' };
    if (a.kind === 'real' || b.kind === 'real') return { kind: 'real' };
    if (a.kind === 'decimal' || b.kind === 'decimal') {
      const [x, y] = [asDecimal(a), asDecimal(b)];
      const scale = Math.max(x.scale, y.scale);
      const whole = Math.max(x.precision - x.scale, y.precision - y.scale);
      return { kind: 'decimal', precision: Math.min(MAX_DECIMAL_PRECISION, whole + scale), scale };
    }
    return LADDER.indexOf(a.kind) > LADDER.indexOf(b.kind) ? a : b;
  }
  const [aTime, bTime] = [TIMES.indexOf(a.kind), TIMES.indexOf(b.kind)];
  if (aTime >= 0 && bTime >= 0) return aTime > bTime ? a : b;
  if (a.kind === 'array' && b.kind === 'array') {
    const element = commonOfTwo(a.element, b.element);
    return element === undefined ? undefined : { kind: 'array', element };
  }
  return undefined;
}

/** An exact numeric type as a decimal. */
export function asDecimal(type: SqlType): { precision: number; scale: number } {
  return type.kind === 'decimal' ? type : { precision: DIGITS[type.kind] ?? MAX_DECIMAL_PRECISION, scale: 0 };
}

const LIMITS: Readonly<Partial<Record<TypeKind, number>>> = { smallint: 32768, integer: 2147483648 };
const BIGINT_LIMIT = 2n ** 63n;

/** The integer itself when it fits the kind, else VALUE_OVERFLOW. */
function checkInteger(value: Exact, kind: TypeKind): Exact {
  const limit = LIMITS[kind];
  if (limit !== undefined) {
    if (typeof value === 'number' && value < limit && value >= -limit) return value;
  } else if (typeof value === 'number' || (value < BIGINT_LIMIT && value >= -BIGINT_LIMIT)) {
    return value;
  }
  throw new StreamError('VALUE_OVERFLOW', `${value} is out of range for ${kind}`);
}

/** Converts a value that is not NULL. VALUE_CAST, VALUE_OVERFLOW. */
export function castDatum(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): Datum {
  if (sameType(from, to)) return datum;
  switch (to.kind) {
    case 'varchar':
      if (from.kind === 'boolean') return datum ? 'true' : 'false';
      return datumToText(datum, from);
    case 'smallint':
    case 'integer':
    case 'bigint':
      return toInteger(datum, from, to);
    case 'decimal':
      return toDecimal(datum, from, to);
    case 'real':
      return toReal(toDouble(datum, from, to));
    case 'double':
      return toDouble(datum, from, to);
    case 'date':
      if (from.kind === 'timestamp' || from.kind === 'timestamptz') return splitTimestamp(datum as Exact).days;
      break;
    case 'time':
      if (from.kind === 'timestamp' || from.kind === 'timestamptz') return splitTimestamp(datum as Exact).time;
      if (from.kind === 'interval') return timeInDay((datum as Interval).micros);
      break;
    case 'timestamp':
    case 'timestamptz':
      if (from.kind === 'date') return checkTimestamp(multiplyExact(datum as number, MICROS_PER_DAY));
      if (from.kind === 'timestamp' || from.kind === 'timestamptz') return datum;
      break;
    case 'interval':
      if (from.kind === 'time') return { months: 0, days: 0, micros: datum as number };
      break;
    case 'boolean':
      if (from.kind === 'integer') return datum !== 0;
      if (from.kind === 'jsonb' && (datum === 'true' || datum === 'false')) return datum === 'true';
      break;
    case 'jsonb':
      if (from.kind !== 'varchar') return jsonOf(datum, from);
      break;
    case 'row':
      if (from.kind === 'row') {
        const values = unpackRow(datum, from);
        return packRow(
          values.map((one, i) => castOrNull(one, from.fields[i].type, to.fields[i].type)),
          to,
        );
      }
      if (from.kind === 'jsonb') return datumFromJson(JSON.parse(datum as string), to);
      break;
    case 'map':
      if (from.kind === 'map') {
        const entries = unpackMap(datum, from).map(
          ([key, value]): Entry => [
            castDatum(key, from.key, to.key) as Exclude<Datum, null>,
            castOrNull(value, from.value, to.value),
          ],
        );
        return packMap(entries, to);
      }
      if (from.kind === 'jsonb') return datumFromJson(JSON.parse(datum as string), to);
      break;
    case 'array':
      if (from.kind === 'array') {
        return (datum as readonly Datum[]).map((one) =>
          one === null ? null : castDatum(one, from.element, to.element),
        );
      }
      break;
  }
  if (from.kind === 'varchar') return datumFromText(datum as string, to);
  throw cannot(datum, from, to);
}

const castOrNull = (datum: Datum, from: SqlType, to: SqlType): Datum =>
  datum === null ? null : castDatum(datum, from, to);

function cannot(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): StreamError {
  return new StreamError(
    'VALUE_CAST',
    `${datumToText(datum, from).slice(0, 100)} of type ${typeName(from)} is not a value of type ${typeName(to)}`,
  );
}

function toInteger(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): Datum {
  switch (from.kind) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return checkInteger(datum as Exact, to.kind);
    case 'decimal':
      return checkInteger(rescale(datum as Exact, from.scale, 0), to.kind);
    case 'real':
    case 'double':
      return checkInteger(roundToInteger(datum as number, to), to.kind);
    case 'boolean':
      if (to.kind !== 'integer') throw cannot(datum, from, to);
      return datum ? 1 : 0;
    case 'jsonb':
      return checkInteger(parseDecimal(datum as string, 0) ?? fail(datum, from, to), to.kind);
    case 'varchar':
      return datumFromText(datum as string, to);
    default:
      throw cannot(datum, from, to);
  }
}

function fail(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): never {
  throw cannot(datum, from, to);
}

/** Half to even, as Postgres rounds a double to an integer. */
function roundToInteger(value: number, to: SqlType): Exact {
  if (!Number.isFinite(value))
    throw new StreamError('VALUE_OVERFLOW', `${doubleText(value)} is out of range for ${typeName(to)}`);
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest < 0.5 ? floor : rest > 0.5 ? floor + 1 : floor % 2 === 0 ? floor : floor + 1;
  return canonicalInteger(BigInt(rounded));
}

function toDecimal(datum: Exclude<Datum, null>, from: SqlType, to: SqlType & { kind: 'decimal' }): Datum {
  let value: Exact | undefined;
  switch (from.kind) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      value = rescale(datum as Exact, 0, to.scale);
      break;
    case 'decimal':
      value = rescale(datum as Exact, from.scale, to.scale);
      break;
    case 'real':
    case 'double':
      // As many digits as the kind surely has.
      value = parseDecimal((datum as number).toPrecision(from.kind === 'real' ? 6 : 15), to.scale);
      break;
    case 'jsonb':
    case 'varchar':
      value = parseDecimal(datum as string, to.scale);
      break;
  }
  if (value === undefined) throw cannot(datum, from, to);
  return checkPrecision(value, to.precision, to.scale);
}

function toDouble(datum: Exclude<Datum, null>, from: SqlType, to: SqlType): number {
  switch (from.kind) {
    case 'smallint':
    case 'integer':
    case 'real':
    case 'double':
      return datum as number;
    case 'bigint':
      return Number(datum);
    case 'decimal':
      return decimalToNumber(datum as Exact, from.scale);
    case 'jsonb':
    case 'varchar':
      return datumFromText(datum as string, { kind: 'double' }) as number;
    default:
      throw cannot(datum, from, to);
  }
}
