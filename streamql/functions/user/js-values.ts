import type { QuickJSHandle } from 'quickjs-emscripten-core';
import { StreamError } from '../../../src/lib/errors.ts';
import { datumToText } from '../../../src/values/text.ts';
import { type Datum, type SqlType, typeName, VARCHAR } from '../../../src/values/types.ts';
import { castDatum } from '../casts.ts';
import type { Sandbox } from './sandbox.ts';

/** Types that functions in JavaScript may take and give. */
export const isJsType = (type: SqlType): boolean =>
  type.kind === 'array' ? isJsType(type.element) : type.kind !== 'row' && type.kind !== 'map' && type.kind !== 'null';

/**
 * A datum as JavaScript has it: numbers for SMALLINT, INTEGER, REAL and DOUBLE; a bigint for BIGINT; a Uint8Array for BYTEA; arrays for arrays; what the
 * text says for JSONB; the value's text for all else: DECIMAL, moments, UUID, INTERVAL, so that nothing is lost.
 */
export function toJs(sandbox: Sandbox, datum: Datum, type: SqlType): QuickJSHandle {
  const { vm } = sandbox;
  if (datum === null) return vm.null;
  switch (type.kind) {
    case 'boolean':
      return datum === true ? vm.true : vm.false;
    case 'smallint':
    case 'integer':
    case 'real':
    case 'double':
      return vm.newNumber(datum as number);
    case 'bigint':
      return vm.newBigInt(BigInt(datum as number));
    case 'varchar':
    case 'uuid':
      return vm.newString(datum as string);
    case 'jsonb':
      return sandbox.parse(datum as string);
    case 'bytea':
      return sandbox.bytes(datum as Uint8Array);
    case 'array': {
      const array = vm.newArray();
      (datum as readonly Datum[]).forEach((one, i) => {
        const item = toJs(sandbox, one, type.element);
        vm.setProp(array, i, item);
        item.dispose();
      });
      return array;
    }
    default:
      return vm.newString(datumToText(datum, type));
  }
}

/** Types whose datums are numbers in JavaScript too, and BIGINTs that a number holds. */
const PASSED_AS_NUMBERS = new Set(['smallint', 'integer', 'bigint', 'real', 'double']);

/** As `toJs`, but a BIGINT that a number holds as that. */
export const toQuick = (sandbox: Sandbox, datum: Datum, type: SqlType): QuickJSHandle =>
  typeof datum === 'number' && PASSED_AS_NUMBERS.has(type.kind)
    ? sandbox.vm.newNumber(datum)
    : toJs(sandbox, datum, type);

/** The datum that came out; VALUE_FUNCTION when it is none of the type. Takes the handle over. */
export function fromJs(sandbox: Sandbox, given: QuickJSHandle, type: SqlType): Datum {
  const { vm } = sandbox;
  const kind = vm.typeof(given);
  if (kind === 'number' && (type.kind === 'double' || type.kind === 'integer' || type.kind === 'smallint')) {
    const value = vm.getNumber(given);
    given.dispose();
    return fromPlain(value, type);
  }
  if (kind === 'string' && type.kind === 'varchar') {
    const value = vm.getString(given);
    given.dispose();
    return value;
  }
  const handle = sandbox.plain(given);
  try {
    if (vm.eq(handle, vm.null)) return null;
    if (type.kind === 'array') {
      if (kind !== 'object') throw mismatch(type, kind);
      const length = vm.getProp(handle, 'length').consume((prop) => vm.dump(prop) as unknown);
      if (typeof length !== 'number') throw mismatch(type, 'object');
      return Array.from({ length }, (_, i) => fromJs(sandbox, vm.getProp(handle, i), type.element));
    }
    if (type.kind === 'jsonb') {
      const text = vm.typeof(handle) === 'bigint' ? String(vm.getBigInt(handle)) : jsonTextOf(sandbox, handle);
      return castDatum(text, VARCHAR, type);
    }
    if (type.kind === 'bytea') {
      if (vm.typeof(handle) !== 'object') throw mismatch(type, kind);
      return vm.getArrayBuffer(handle).consume(({ value }) => Uint8Array.from(value));
    }
    const value: unknown =
      vm.typeof(handle) === 'bigint'
        ? vm.getBigInt(handle)
        : vm.typeof(handle) === 'object'
          ? undefined
          : vm.dump(handle);
    return fromPlain(value, type);
  } finally {
    if (handle.alive) handle.dispose();
  }
}

function jsonTextOf(sandbox: Sandbox, handle: QuickJSHandle): string {
  const { vm } = sandbox;
  const text = vm
    .getProp(vm.global, 'JSON')
    .consume((json) =>
      vm
        .getProp(json, 'stringify')
        .consume((stringify) => vm.unwrapResult(vm.callFunction(stringify, vm.undefined, handle))),
    );
  return text.consume((one) => vm.getString(one));
}

function fromPlain(value: unknown, type: SqlType): Datum {
  switch (type.kind) {
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'double':
      if (typeof value === 'number') return value;
      break;
    case 'real':
      if (typeof value === 'number') return Math.fround(value);
      break;
    case 'varchar':
      if (typeof value === 'string') return value;
      break;
    default:
      // Exact numbers must be whole as numbers; anything may come as its text.
      if (typeof value === 'bigint' || typeof value === 'string') return castText(String(value), type);
      if (typeof value === 'number' && isNumberFor(value, type)) return castText(String(value), type);
  }
  throw mismatch(type, typeof value);
}

const isNumberFor = (value: number, { kind }: SqlType): boolean =>
  kind === 'decimal'
    ? Number.isFinite(value)
    : ['smallint', 'integer', 'bigint'].includes(kind) && Number.isSafeInteger(value);

function castText(text: string, type: SqlType): Datum {
  try {
    return castDatum(text, VARCHAR, type);
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    throw new StreamError('VALUE_FUNCTION', `a function gave what is no ${typeName(type)}: ${thrown.message}`);
  }
}

const mismatch = (type: SqlType, given: string): StreamError =>
  new StreamError(
    'VALUE_FUNCTION',
    `a function gave ${given === 'undefined' ? 'an object' : `a ${given}`} for ${typeName(type)}`,
  );
