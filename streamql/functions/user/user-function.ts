import { type SqlType, typeName } from '../../../src/values/types.ts';

/** What CREATE FUNCTION and CREATE AGGREGATE made. Plain JSON: the catalogue keeps it, and calls in plans carry it whole. */
export interface UserFunction {
  readonly kind: 'scalar' | 'aggregate' | 'table';
  readonly name: string;
  readonly language: 'js' | 'sql' | 'wasm';
  readonly params: readonly { readonly name: string; readonly type: SqlType }[];
  /** Null for a table function. */
  readonly returns: SqlType | null;
  /** Of a table function. */
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
  /** Of a module in WebAssembly: base64. */
  readonly source: string;
}

const PREFIX = 'user:';

/** What a call in a plan says in place of the id of a row of FUNCTIONS, AGGREGATES or TABLE_FUNCTIONS: equal for equal definitions. */
export const userFunctionId = (fn: UserFunction): string => PREFIX + JSON.stringify(fn);

function userFunctionOf(id: string): UserFunction | undefined {
  return id.startsWith(`${PREFIX}{`) ? (JSON.parse(id.slice(PREFIX.length)) as UserFunction) : undefined;
}

/** What a plan (or a part of one) calls. */
export function userFunctionsIn(plan: unknown): UserFunction[] {
  const ids = new Set<string>();
  JSON.stringify(plan, (key, value: unknown) => {
    if (key === 'fn' && typeof value === 'string' && value.startsWith(`${PREFIX}{`)) ids.add(value);
    return typeof value === 'bigint' ? `${value}` : value;
  });
  return [...ids].flatMap((id) => userFunctionOf(id) ?? []);
}

export function signatureOf({ kind, params, returns, columns }: UserFunction): string {
  const given = params.map(({ name, type }) => `${name} ${typeName(type)}`.trim()).join(', ');
  const result =
    kind === 'table'
      ? `TABLE(${columns.map((c) => `${c.name} ${typeName(c.type)}`).join(', ')})`
      : returns === null
        ? ''
        : typeName(returns);
  return `(${given}) → ${result}`;
}

/** A table of rows by id that also knows user functions, whose rows are made when they are first asked for. */
export class WithUserFunctions<Row> extends Map<string, Row> {
  readonly #make: (fn: UserFunction, id: string) => Row | undefined;
  readonly #made = new Map<string, Row>();

  constructor(rows: Iterable<readonly [string, Row]>, make: (fn: UserFunction, id: string) => Row | undefined) {
    super(rows);
    this.#make = make;
  }

  override get(id: string): Row | undefined {
    const known = super.get(id) ?? this.#made.get(id);
    if (known !== undefined) return known;
    const fn = userFunctionOf(id);
    const row = fn === undefined ? undefined : this.#make(fn, id);
    if (row !== undefined) this.#made.set(id, row);
    return row;
  }

  override has(id: string): boolean {
    return this.get(id) !== undefined;
  }
}
