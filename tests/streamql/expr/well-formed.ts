import { packMap, packRow, unpackMap, unpackRow } from '../../../src/values/nested.ts';
import type { Datum, Interval, SqlType } from '../../../src/values/types.ts';

const integer = (datum: Datum, least: bigint, most: bigint): boolean =>
  typeof datum === 'number'
    ? Number.isSafeInteger(datum) && !Object.is(datum, -0) && datum >= least && datum <= most
    : typeof datum === 'bigint' && !Number.isSafeInteger(Number(datum)) && datum >= least && datum <= most;

/** Whether a datum is one of the type in the one form that types.ts allows for its value. */
export function isWellFormed(datum: Datum, type: SqlType): boolean {
  if (datum === null) return true;
  switch (type.kind) {
    case 'boolean':
      return typeof datum === 'boolean';
    case 'smallint':
      return integer(datum, -32768n, 32767n);
    case 'integer':
      return integer(datum, -2147483648n, 2147483647n);
    case 'bigint':
    case 'timestamp':
    case 'timestamptz':
      return integer(datum, -(2n ** 63n), 2n ** 63n - 1n);
    case 'decimal': {
      const limit = 10n ** BigInt(type.precision) - 1n;
      return type.precision <= 38 && type.scale <= type.precision && integer(datum, -limit, limit);
    }
    case 'double':
      return typeof datum === 'number';
    case 'real':
      return typeof datum === 'number' && Object.is(Math.fround(datum), datum);
    case 'date':
      return integer(datum, -2440588n, 2145042905n);
    case 'time':
      return integer(datum, 0n, 86_400_000_000n);
    case 'interval': {
      const { months, days, micros } = datum as Interval;
      return (
        [months, days].every((n) => integer(n, -(2n ** 31n), 2n ** 31n - 1n)) &&
        integer(micros, -(2n ** 53n), 2n ** 53n)
      );
    }
    case 'uuid':
      return typeof datum === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(datum);
    case 'jsonb':
      return typeof datum === 'string' && JSON.parse(datum) !== undefined;
    case 'varchar':
      return typeof datum === 'string';
    case 'bytea':
      return datum instanceof Uint8Array;
    case 'array':
      return Array.isArray(datum) && datum.every((one) => isWellFormed(one, type.element));
    case 'row':
      return typeof datum === 'string' && packRow(unpackRow(datum, type), type) === datum;
    case 'map':
      return typeof datum === 'string' && packMap(unpackMap(datum, type), type) === datum;
    case 'null':
      return false;
  }
}
