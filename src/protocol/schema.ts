import type { StoredBytes } from '../ports/stored-bytes.ts';

/**
 * The notation of the message tables: one table per message over all its versions. The TypeScript type of a message
 * follows from its table (`Value` when decoded, `Input` when encoded: what is left out there takes its default).
 * The words are those of Kafka's own message definitions (MESSAGE-FORMAT.md), which tests/wire compares with.
 */

/** Inclusive; an open end is MAX_VERSION. */
export interface VersionRange {
  readonly from: number;
  readonly to: number;
}

const MAX_VERSION = 32767;
/** A range that holds no version. */
const NO_VERSIONS: VersionRange = { from: 1, to: 0 };

/** '3+', '0-12', '4' or 'none'. */
export function versionRange(text: string): VersionRange {
  if (text === 'none') return NO_VERSIONS;
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (match === null) throw new Error(`not a version range: ${text}`);
  const from = Number(match[1]);
  if (match[2] !== undefined) return { from, to: MAX_VERSION };
  return { from, to: match[3] === undefined ? from : Number(match[3]) };
}

export const inRange = (range: VersionRange, version: number): boolean => version >= range.from && version <= range.to;

export type PrimitiveKind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'string'
  | 'uuid'
  | 'bytes'
  | 'records';

export type FieldType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'array'; readonly element: FieldType }
  | { readonly kind: 'struct'; readonly fields: Fields };

/** One field over all versions. `In` and `Out` exist for the type checker only. */
export interface Field<Out = unknown, In = unknown> {
  readonly type: FieldType;
  readonly versions: VersionRange;
  readonly nullable: VersionRange;
  /** The versions in which the field travels as tagged field number `tag`. */
  readonly tagged: VersionRange;
  readonly tag: number;
  /** Undefined: the type's own default (0, false, '', empty, null for records). */
  readonly default: unknown;
  readonly __out?: Out;
  readonly __in?: In;
}

export type Fields = { readonly [name: string]: Field };

export type Value<F extends Fields> = { -readonly [K in keyof F]: F[K] extends Field<infer Out, any> ? Out : never };
export type Input<F extends Fields> = { readonly [K in keyof F]?: F[K] extends Field<any, infer In> ? In : never };

interface Options {
  readonly nullable?: string;
  readonly default?: unknown;
  readonly tag?: number;
  readonly tagged?: string;
}

type Nullable<T, O> = O extends { readonly nullable: string } ? T | null : T;

function field(type: FieldType, versions: string | undefined, options: Options | undefined): Field<never, never> {
  return {
    type,
    versions: versionRange(versions ?? '0+'),
    nullable: versionRange(options?.nullable ?? 'none'),
    tagged: versionRange(options?.tagged ?? 'none'),
    tag: options?.tag ?? -1,
    default: options?.default,
  };
}

const primitive =
  <T>(kind: PrimitiveKind) =>
  <const O extends Options>(versions?: string, options?: O): Field<Nullable<T, O>, Nullable<T, O>> =>
    field({ kind }, versions, options);

export const bool = primitive<boolean>('bool');
export const int8 = primitive<number>('int8');
export const int16 = primitive<number>('int16');
export const uint16 = primitive<number>('uint16');
export const int32 = primitive<number>('int32');
export const uint32 = primitive<number>('uint32');
/** As a JS number: beyond 2^53 − 1 is refused. */
export const int64 = primitive<number>('int64');
export const float64 = primitive<number>('float64');
export const string = primitive<string>('string');
/** Lower-case hyphenated text; no UUID is ZERO_UUID. */
export const uuid = primitive<string>('uuid');
/** A view of the frame, not a copy. */
export const bytes = primitive<Buffer>('bytes');
/** As bytes; may hold several record batches. Absent is null. */
export const records = <const O extends Options>(
  versions?: string,
  options?: O,
): Field<Buffer | null, Buffer | readonly Buffer[] | StoredBytes | null> =>
  field({ kind: 'records' }, versions, options);

/** An array of structs (given by their fields) or of primitives (given as a field, of which only the type counts). */
export function array<E extends Fields, const O extends Options>(
  element: E,
  versions?: string,
  options?: O,
): Field<Nullable<Value<E>[], O>, Nullable<readonly Input<E>[], O>>;
export function array<T, I, const O extends Options>(
  element: Field<T, I>,
  versions?: string,
  options?: O,
): Field<Nullable<T[], O>, Nullable<readonly I[], O>>;
export function array(element: Fields | Field, versions?: string, options?: Options): Field<never, never> {
  const type = isField(element) ? element.type : ({ kind: 'struct', fields: element } as const);
  return field({ kind: 'array', element: type }, versions, options);
}

export function struct<F extends Fields, const O extends Options>(
  fields: F,
  versions?: string,
  options?: O,
): Field<Nullable<Value<F>, O>, Nullable<Input<F>, O>> {
  return field({ kind: 'struct', fields }, versions, options);
}

const isField = (element: Fields | Field): element is Field =>
  typeof (element as { versions?: { from?: unknown } }).versions?.from === 'number';

export const ZERO_UUID = '00000000-0000-0000-0000-000000000000';

/** A message by itself: a request, a response or the value of an internal record. */
export interface MessageSchema<F extends Fields = Fields> {
  readonly name: string;
  readonly versions: VersionRange;
  /** The versions with compact lengths and tagged fields. */
  readonly flexible: VersionRange;
  readonly fields: F;
}

export function message<F extends Fields>(
  name: string,
  versions: string,
  flexible: string,
  fields: F,
): MessageSchema<F> {
  return { name, versions: versionRange(versions), flexible: versionRange(flexible), fields };
}

/** A request and its response. */
export interface ApiSchema<Q extends Fields = Fields, A extends Fields = Fields> {
  readonly key: number;
  readonly name: string;
  /** What is implemented: Kafka 4.3's range. */
  readonly versions: VersionRange;
  readonly request: MessageSchema<Q>;
  readonly response: MessageSchema<A>;
}

export function api<Q extends Fields, A extends Fields>(table: {
  key: number;
  name: string;
  versions: string;
  flexible: string;
  request: Q;
  response: A;
}): ApiSchema<Q, A> {
  const { key, name, versions, flexible } = table;
  return {
    key,
    name,
    versions: versionRange(versions),
    request: message(`${name}Request`, versions, flexible, table.request),
    response: message(`${name}Response`, versions, flexible, table.response),
  };
}
