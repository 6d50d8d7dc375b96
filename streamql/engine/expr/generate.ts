import { StreamError } from '../../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { asDecimal } from '../../functions/casts.ts';
import { FUNCTIONS } from '../../functions/functions.ts';
import type { Expr } from '../../plan/plan.ts';
import { exactJson } from '../../plan/plan-key.ts';
import { type ByteTest, byteTestOf } from './text-bytes.ts';

/** How one input column is held in a batch: decides what reading it costs. */
export interface ColumnForm {
  /** No row is NULL. */
  readonly total: boolean;
  /** Booleans in a Uint8Array are 0 and 1; in a plain array they are booleans. */
  readonly typed: boolean;
  /** Text of which no strings were made yet, and that some expression can test in its bytes: `b`, `s`, `e` instead of `c`. */
  readonly bytes: boolean;
  /** Not a column: a place in an array `row` of datums. */
  readonly row?: boolean;
}

/** Source text of a value: an expression without side effects, and whether it may be null. */
interface Piece {
  readonly text: string;
  readonly nullable: boolean;
}

/**
 * Writes JavaScript statements that compute expressions of row `i`. Columns are `c<n>` and `m<n>` (values and null marks),
 * constants `k<n>`; NULL is null. Only the branch that is chosen is evaluated, as in SQL. User text enters only as constants.
 */
export class Generator {
  readonly constants: unknown[] = [];
  /** Whether something that was generated can throw a VALUE_ error. */
  throws = false;
  readonly #forms: readonly ColumnForm[];
  readonly #columns = new Map<number, Piece>();
  #lines: string[] = [];
  #names = 0;
  /** What was computed, by the expression's text: one map for each block of the generated code that is open, since a name holds in its block. */
  readonly #computed: Map<string, Piece>[] = [new Map()];

  constructor(forms: readonly ColumnForm[]) {
    this.#forms = forms;
  }

  /** The statements since the last call. */
  takeLines(): string {
    return this.#lines.splice(0).join('\n');
  }

  /** An expression that was computed before, where control has come through, is not computed again. */
  value(expr: Expr): Piece {
    const key = expr.op === 'column' || expr.op === 'literal' ? undefined : meaningOf(expr);
    if (key === undefined) return this.#compute(expr);
    for (const block of this.#computed) {
      const known = block.get(key);
      if (known !== undefined) return known;
    }
    const piece = this.#compute(expr);
    this.#computed[this.#computed.length - 1].set(key, piece);
    return piece;
  }

  #open(text: string): void {
    this.#lines.push(`${text} {`);
    this.#computed.push(new Map());
  }

  #close(): void {
    this.#lines.push('}');
    this.#computed.pop();
  }

  #compute(expr: Expr): Piece {
    const test = byteTestOf(expr);
    if (test !== undefined && this.#forms[test.column].bytes) return this.#bytes(test);
    switch (expr.op) {
      case 'column':
        return this.#column(expr.index, expr.type);
      case 'outer':
        throw new StreamError('INVARIANT', 'a column of an outer query is left in a plan');
      case 'literal':
        return { text: this.#constant(expr.value), nullable: expr.value === null };
      case 'call':
        return this.#call(expr);
      case 'and':
      case 'or':
        return this.#logic(expr);
      case 'not': {
        const arg = this.value(expr.arg);
        return this.#keep(arg.nullable ? `${arg.text} === null ? null : !${arg.text}` : `!${arg.text}`, arg.nullable);
      }
      case 'isNull': {
        if (expr.arg.op === 'column' && this.#forms[expr.arg.index].bytes) {
          const { index } = expr.arg;
          if (this.#forms[index].total) return { text: String(expr.negated), nullable: false };
          return this.#keep(`m${index}[i] === ${expr.negated ? 0 : 1}`, false);
        }
        const arg = this.value(expr.arg);
        if (!arg.nullable) return { text: String(expr.negated), nullable: false };
        return this.#keep(`${arg.text} ${expr.negated ? '!==' : '==='} null`, false);
      }
      case 'compare':
        return this.#compare(expr);
      case 'case':
        return this.#case(expr);
      case 'coalesce':
        return this.#coalesce(expr);
      case 'in':
        return this.#in(expr);
      case 'cast':
        return this.#cast(expr);
    }
  }

  #bytes({ column: n, anyOf, like, negated, hasNull }: ByteTest): Piece {
    const { total } = this.#forms[n];
    const found =
      like === null
        ? (anyOf ?? []).map((one) => `sameBytes(b${n}, s${n}[i], e${n}[i], ${this.#pool(one)})`).join(' || ') || 'false'
        : `likeInBytes(b${n}, s${n}[i], e${n}[i], ${this.#pool(like)})`;
    const text = hasNull ? `(${found}) ? ${!negated} : null` : negated ? `!(${found})` : found;
    return this.#keep(total ? text : `m${n}[i] === 1 ? null : (${text})`, !total || hasNull);
  }

  /** Each column is read once, before any branch; a text in bytes where it is needed, for a filter may come before. */
  #column(index: number, type: SqlType): Piece {
    if (this.#forms[index].bytes) {
      const { total } = this.#forms[index];
      const read = `b${index}.toString('utf8', s${index}[i], e${index}[i])`;
      return this.#keep(total ? read : `m${index}[i] === 1 ? null : ${read}`, !total);
    }
    const known = this.#columns.get(index);
    if (known !== undefined) return known;
    const { total, typed, row } = this.#forms[index];
    if (row === true) {
      const piece = { text: `v${index}`, nullable: true };
      this.#columns.set(index, piece);
      this.columnReads.push(`const v${index} = row[${index}];`);
      return piece;
    }
    const read = type.kind === 'boolean' && typed ? `c${index}[i] === 1` : `c${index}[i]`;
    const piece = { text: `v${index}`, nullable: !total };
    this.#columns.set(index, piece);
    this.columnReads.push(`const v${index} = ${total ? read : `m${index}[i] === 1 ? null : ${read}`};`);
    return piece;
  }

  readonly columnReads: string[] = [];

  #constant(value: Datum): string {
    if (value === null) return 'null';
    if (typeof value === 'boolean') return String(value);
    if (typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0))
      return value < 0 ? `(${value})` : String(value);
    if (typeof value === 'bigint') return value < 0n ? `(${value}n)` : `${value}n`;
    return this.#pool(value);
  }

  #pool(value: unknown): string {
    return `k${this.constants.push(value) - 1}`;
  }

  #keep(text: string, nullable: boolean): Piece {
    const name = `t${this.#names++}`;
    this.#lines.push(`const ${name} = ${text};`);
    return { text: name, nullable };
  }

  #variable(initial: string): string {
    const name = `t${this.#names++}`;
    this.#lines.push(`let ${name} = ${initial};`);
    return name;
  }

  #call({ fn, args, type }: Expr & { op: 'call' }): Piece {
    const row = FUNCTIONS.get(fn);
    if (row === undefined) throw new Error(`there is no function ${fn}`);
    const pieces = args.map((arg) => this.value(arg));
    const types = [...args.map((arg) => arg.type), type];
    this.throws = true;
    const texts = pieces.map((piece) => piece.text);
    const inline = row.inline?.(texts, types);
    const text = inline ?? `${this.#pool(row.call)}([${texts.join(', ')}], ${this.#pool(types)})`;
    if (row.nullAware) return this.#keep(text, true);
    const guards = pieces.filter((piece) => piece.nullable).map((piece) => `${piece.text} !== null`);
    // Some functions have no value for some arguments and say so with null; pasted ones never do.
    const nullable = guards.length > 0 || inline === undefined;
    return this.#keep(guards.length === 0 ? text : `${guards.join(' && ')} ? ${text} : null`, nullable);
  }

  #logic({ op, args }: Expr & { op: 'and' | 'or' }): Piece {
    const decided = op === 'and' ? 'false' : 'true';
    const result = this.#variable(op === 'and' ? 'true' : 'false');
    const label = `l${this.#names++}`;
    this.#open(`${label}:`);
    let nullable = false;
    for (const arg of args) {
      const piece = this.value(arg);
      this.#lines.push(`if (${piece.text} === ${decided}) { ${result} = ${decided}; break ${label}; }`);
      if (piece.nullable) this.#lines.push(`if (${piece.text} === null) ${result} = null;`);
      nullable ||= piece.nullable;
    }
    this.#close();
    return { text: result, nullable };
  }

  #compare({ cmp, left, right }: Expr & { op: 'compare' }): Piece {
    const a = this.value(left);
    const b = this.value(right);
    if (cmp === 'distinct' || cmp === 'notDistinct') {
      const equal = this.#equal(a.text, b.text, left.type);
      const either =
        a.nullable || b.nullable
          ? `(${a.text} === null || ${b.text} === null ? ${a.text} === ${b.text} : ${equal})`
          : `(${equal})`;
      return this.#keep(cmp === 'distinct' ? `!${either}` : either, false);
    }
    const text =
      cmp === '='
        ? this.#equal(a.text, b.text, left.type)
        : cmp === '<>'
          ? `!(${this.#equal(a.text, b.text, left.type)})`
          : this.#ordered(cmp, a.text, b.text, left.type);
    return this.#guarded([a, b], text);
  }

  #guarded(pieces: readonly Piece[], text: string): Piece {
    const guards = pieces.filter((piece) => piece.nullable).map((piece) => `${piece.text} === null`);
    return this.#keep(guards.length === 0 ? text : `${guards.join(' || ')} ? null : ${text}`, guards.length > 0);
  }

  #equal(a: string, b: string, type: SqlType): string {
    switch (type.kind) {
      case 'real':
      case 'double':
        return `(${a} === ${b} || (${a} !== ${a} && ${b} !== ${b}))`;
      case 'bytea':
      case 'interval':
      case 'array':
        return `equalDatums(${a}, ${b}, ${this.#pool(type)})`;
      default:
        return `${a} === ${b}`;
    }
  }

  #ordered(cmp: '<' | '<=' | '>' | '>=', a: string, b: string, type: SqlType): string {
    switch (type.kind) {
      case 'varchar':
      case 'jsonb':
      case 'row':
      case 'map':
        return `compareText(${a}, ${b}) ${cmp} 0`;
      case 'real':
      case 'double':
        return `compareDouble(${a}, ${b}) ${cmp} 0`;
      case 'bytea':
      case 'interval':
      case 'array':
        return `compareDatums(${a}, ${b}, ${this.#pool(type)}) ${cmp} 0`;
      default:
        return `${a} ${cmp} ${b}`;
    }
  }

  #case({ branches, otherwise }: Expr & { op: 'case' }): Piece {
    const result = this.#variable('null');
    let nullable = false;
    for (const { when, then } of branches) {
      const condition = this.value(when);
      this.#open(`if (${condition.text} === true)`);
      const value = this.value(then);
      this.#lines.push(`${result} = ${value.text};`);
      this.#close();
      this.#open('else');
      nullable ||= value.nullable;
    }
    const last = this.value(otherwise);
    this.#lines.push(`${result} = ${last.text};`);
    for (const _ of branches) this.#close();
    return { text: result, nullable: nullable || last.nullable };
  }

  #coalesce({ args }: Expr & { op: 'coalesce' }): Piece {
    const result = this.#variable('null');
    let open = 0;
    let nullable = true;
    for (const arg of args) {
      const piece = this.value(arg);
      this.#lines.push(`${result} = ${piece.text};`);
      nullable = piece.nullable;
      if (!nullable) break;
      this.#open(`if (${result} === null)`);
      open++;
    }
    for (; open > 0; open--) this.#close();
    return { text: result, nullable };
  }

  #in({ arg, values, negated }: Expr & { op: 'in' }): Piece {
    const piece = this.value(arg);
    const present = values.filter((value) => value !== null);
    const hasNull = present.length < values.length;
    const simple = !['bytea', 'interval', 'array'].includes(arg.type.kind);
    const found = simple
      ? `${this.#pool(new Set(present))}.has(${piece.text})`
      : `${this.#pool(present)}.some((one) => equalDatums(one, ${piece.text}, ${this.#pool(arg.type)}))`;
    const missing = hasNull ? 'null' : String(negated);
    const text = `${found} ? ${!negated} : ${missing}`;
    return this.#keep(piece.nullable ? `${piece.text} === null ? null : ${text}` : text, piece.nullable || hasNull);
  }

  #cast({ arg, type, safe }: Expr & { op: 'cast' }): Piece {
    const piece = this.value(arg);
    const free = freeCast(piece.text, arg.type, type);
    if (free === undefined) this.throws = true;
    const text =
      free ?? `${safe ? 'tryCast' : 'castDatum'}(${piece.text}, ${this.#pool(arg.type)}, ${this.#pool(type)})`;
    return this.#keep(
      piece.nullable ? `${piece.text} === null ? null : ${text}` : text,
      // JSON's null may become NULL.
      piece.nullable || ((safe || arg.type.kind === 'jsonb') && free === undefined),
    );
  }
}

/** Equal for expressions that have one value; undefined for what may have another each time, such as random(). */
function meaningOf(expr: Expr): string | undefined {
  let fixed = true;
  const text = exactJson(expr, (_, part) => {
    if (typeof part === 'object' && part !== null && (part as Expr).op === 'call')
      fixed &&= FUNCTIONS.get((part as Expr & { op: 'call' }).fn)?.deterministic !== false;
    return part;
  });
  return fixed ? text : undefined;
}

const INTEGERS = ['smallint', 'integer', 'bigint'];

/** Casts that need no check, as text; undefined for all others. */
function freeCast(text: string, from: SqlType, to: SqlType): string | undefined {
  if (from.kind === 'null') return text;
  if (from.kind === 'timestamp' && to.kind === 'timestamptz') return text;
  if (from.kind === 'timestamptz' && to.kind === 'timestamp') return text;
  if (!INTEGERS.includes(from.kind)) return undefined;
  if (to.kind === 'double') return from.kind === 'bigint' ? `Number(${text})` : text;
  if (INTEGERS.includes(to.kind)) return INTEGERS.indexOf(to.kind) >= INTEGERS.indexOf(from.kind) ? text : undefined;
  if (to.kind !== 'decimal' || to.precision - to.scale < asDecimal(from).precision) return undefined;
  return to.scale === 0 ? text : `rescale(${text}, 0, ${to.scale})`;
}
