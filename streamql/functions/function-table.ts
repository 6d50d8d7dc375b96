import type { Column } from '../../src/values/column.ts';
import type { Datum, SqlType, TypeKind } from '../../src/values/types.ts';
import type { BytesForm } from './bytes/bytes-form.ts';

/**
 * One row per scalar function and overload. The binder picks an overload by argument types and inserts casts; the
 * expression compiler calls `call`, or pastes `inline` where given; the DuckDB printer uses `duckdb`; docs and SHOW FUNCTIONS print `doc`.
 */
export interface ScalarFunction {
  /** Name in SQL, lower case; operators by their sign: `+`, `||`, `->>`. */
  readonly name: string;
  /** Unique over all rows, what Expr.fn holds: `abs`, `+.bigint`, `substr.3`. */
  readonly id: string;
  /** One per argument; `any` takes every type; the last may repeat (`variadic`). */
  readonly args: readonly (TypeKind | 'any')[];
  readonly variadic?: boolean;
  /** The result type from the argument types, after casts. */
  returns(args: readonly SqlType[]): SqlType;
  /**
   * The value, from non-NULL datums (the caller returns NULL when one is NULL) unless `nullAware`. Throws StreamError
   * VALUE_* for a value that has none. `types` are the argument types after casts (needed for decimal scales), then the result's.
   */
  call(args: readonly any[], types: readonly SqlType[]): Datum;
  /**
   * Same meaning as JS source text over the argument texts (each a local variable of a non-NULL datum); for hot functions. `literals` has the value of
   * each argument that is a constant, undefined for the others.
   */
  inline?(
    args: readonly string[],
    types: readonly SqlType[],
    literals: readonly (Datum | undefined)[],
  ): string | undefined;
  readonly nullAware?: boolean;
  /** The same over texts in UTF-8, where `call` would make strings of them. */
  readonly bytes?: BytesForm;
  /** For all rows at once, of columns without NULLs; null when some row has no value, and then `call` tells which. */
  batch?(columns: readonly Column[], length: number): Column | null;
  /** False for now(), random(): not allowed in views but for temporal filters. */
  readonly deterministic?: boolean;
  /**
   * How DuckDB spells it, given printed arguments; default `name(a, b)`. Throws SQL_UNSUPPORTED where DuckDB has no words for the call;
   * then `call` itself has to run inside DuckDB.
   */
  duckdb?(args: readonly string[], types: readonly SqlType[]): string;
  /** DuckDB has no equal: `call` itself runs inside it. */
  readonly own?: boolean;
  /**
   * The types that the arguments are cast to, for functions over arrays of any element or values of one type; `null` kinds stand for
   * literals without a type. Undefined where the types do not go together.
   */
  together?(types: readonly SqlType[]): readonly SqlType[] | undefined;
  readonly doc: string;
  /** A constant expression and its value as text. */
  readonly example?: readonly [expr: string, value: string];
}
