import { StreamError } from '../../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { BytesCall } from '../../functions/bytes/bytes-form.ts';
import { asDecimal } from '../../functions/casts.ts';
import { FUNCTIONS } from '../../functions/functions.ts';
import type { Expr } from '../../plan/plan.ts';
import { exactJson } from '../../plan/plan-key.ts';
import { type LikeBytes, likeBytes, MAX_CONSTANTS, survivesUtf8 } from './text-bytes.ts';

/** How one input column is held in a batch: decides what reading it costs. */
export interface ColumnForm {
  /** No row is NULL. */
  readonly total: boolean;
  /** Booleans in a Uint8Array are 0 and 1; in a plain array they are booleans. */
  readonly typed: boolean;
  /** Text of which no strings were made yet, and that some expression reads in its bytes: `b`, `s`, `e` instead of `c`. */
  readonly bytes: boolean;
  /** Not a column: a place in an array `row` of datums. */
  readonly row?: boolean;
}

/** Source text of a value: an expression without side effects, and whether it may be null. */
interface Piece {
  readonly text: string;
  readonly nullable: boolean;
}

/** A text as a range of bytes: source text of each part. NULL is a start below 0. */
export interface Span {
  /** Whose bytes: `b<n>` of a column, `pool` of the constants, or `scratch`, where functions write. */
  readonly home: string;
  readonly start: string;
  readonly end: string;
  readonly nullable: boolean;
}

const POOL = 'pool';
const SCRATCH = 'scratch';
const bytesOf = (home: string): string => (home === SCRATCH ? 'scratch.bytes' : home);
const rangeOf = ({ home, start, end }: Span): string => `${bytesOf(home)}, ${start}, ${end}`;
type Call = Expr & { op: 'call' };
const literalsOf = (args: readonly Expr[]): (Datum | undefined)[] =>
  args.map((arg) => (arg.op === 'literal' ? arg.value : undefined));
const isText = (expr: Expr): boolean => expr.type.kind === 'varchar';

/**
 * Writes JavaScript statements that compute expressions of row `i`. Columns are `c<n>` and `m<n>` (values and null marks),
 * constants `k<n>`; NULL is null. Only the branch that is chosen is evaluated, as in SQL. User text enters only as constants.
 */
export class Generator {
  readonly constants: unknown[] = [];
  /** Whether something that was generated can throw a VALUE_ error. */
  throws = false;
  /** Columns that were read in their bytes. */
  readonly inBytes = new Set<number>();
  /** Whether texts may stay bytes: then the code finds `pool` and `scratch`. */
  readonly #spans: boolean;
  readonly #homes = new Map<Expr, string | undefined>();
  readonly #bytesCalls = new Map<Call, BytesCall | undefined>();
  readonly #pooled: Buffer[] = [];
  #poolLength = 0;
  readonly #forms: readonly ColumnForm[];
  readonly #columns = new Map<number, Piece>();
  #lines: string[] = [];
  #names = 0;
  /** What was computed, by the expression's text: one map for each block of the generated code that is open, since a name holds in its block. */
  readonly #computed: Map<string, Piece | Span>[] = [new Map()];

  constructor(forms: readonly ColumnForm[], { spans = false }: { spans?: boolean } = {}) {
    this.#forms = forms;
    this.#spans = spans;
  }

  /** Constant texts, one after the other. */
  get pool(): Buffer {
    return Buffer.concat(this.#pooled);
  }

  /** The statements since the last call. */
  takeLines(): string {
    return this.#lines.splice(0).join('\n');
  }

  /** An expression that was computed before, where control has come through, is not computed again. */
  value(expr: Expr): Piece {
    if (expr.op === 'literal' || (expr.op === 'column' && !this.#forms[expr.index].bytes)) return this.#compute(expr);
    return this.#once(meaningOf(expr), () => this.#compute(expr));
  }

  #once<T extends Piece | Span>(key: string | undefined, compute: () => T): T {
    if (key === undefined) return compute();
    for (const block of this.#computed) {
      const known = block.get(key);
      if (known !== undefined) return known as T;
    }
    const made = compute();
    this.#computed[this.#computed.length - 1].set(key, made);
    return made;
  }

  /** A text in bytes; undefined where some part of it is made of strings. */
  span(expr: Expr): Span | undefined {
    const home = this.#homeOf(expr);
    if (home === undefined) return undefined;
    const key = expr.op === 'literal' ? undefined : meaningOf(expr);
    return this.#once(key && `bytes ${key}`, () => this.#spanOf(expr, home));
  }

  /** Of two texts that are compared: both in bytes, if one of them would have to become a string. */
  #spans2(left: Expr, right: Expr): [Span, Span] | undefined {
    const homes = [this.#homeOf(left), this.#homeOf(right)];
    if (homes.includes(undefined) || homes.every((home) => home === POOL)) return undefined;
    return [this.span(left) as Span, this.span(right) as Span];
  }

  /** Where an expression's bytes will be; undefined when it yields none. */
  #homeOf(expr: Expr): string | undefined {
    if (!this.#spans || !isText(expr)) return undefined;
    if (!this.#homes.has(expr)) this.#homes.set(expr, this.#findHome(expr));
    return this.#homes.get(expr);
  }

  #findHome(expr: Expr): string | undefined {
    switch (expr.op) {
      case 'column':
        return this.#forms[expr.index].bytes ? `b${expr.index}` : undefined;
      case 'literal':
        return expr.value === null || survivesUtf8(expr.value) ? POOL : undefined;
      case 'call': {
        const form = this.#bytesCall(expr);
        if (form === undefined || form.yields === 'datum') return undefined;
        return form.yields === 'part' ? this.#homeOf(expr.args[0]) : SCRATCH;
      }
      case 'case':
        return this.#commonHome([...expr.branches.map(({ then }) => then), expr.otherwise]);
      case 'coalesce':
        return this.#commonHome(expr.args);
      default:
        return undefined;
    }
  }

  #commonHome(exprs: readonly Expr[]): string | undefined {
    const homes = new Set(exprs.map((expr) => this.#homeOf(expr)));
    if (homes.has(undefined)) return undefined;
    return homes.size === 1 ? [...homes][0] : SCRATCH;
  }

  /** The form over bytes that a call takes: its texts are bytes, and not all constants. */
  #bytesCall(expr: Call): BytesCall | undefined {
    if (!this.#spans) return undefined;
    if (!this.#bytesCalls.has(expr)) this.#bytesCalls.set(expr, this.#makeBytesCall(expr));
    return this.#bytesCalls.get(expr);
  }

  #makeBytesCall({ fn, args, type }: Call): BytesCall | undefined {
    const row = FUNCTIONS.get(fn);
    if (row?.bytes === undefined) return undefined;
    const homes = args.filter(isText).map((arg) => this.#homeOf(arg));
    if (homes.includes(undefined)) return undefined;
    if (type.kind !== 'varchar' && homes.every((home) => home === POOL)) return undefined;
    const literals = literalsOf(args);
    if (!row.nullAware && literals.includes(null)) return undefined;
    return row.bytes(literals, [...args.map((arg) => arg.type), type]);
  }

  #spanOf(expr: Expr, home: string): Span {
    switch (expr.op) {
      case 'column': {
        const { index } = expr;
        const { total } = this.#forms[index];
        this.inBytes.add(index);
        const start = this.#keep(`${total ? '' : `m${index}[i] === 1 ? -1 : `}s${index}[i]`, !total);
        return { home, start: start.text, end: this.#keep(`e${index}[i]`, false).text, nullable: !total };
      }
      case 'literal':
        return this.#pooledText(expr.value as string | null);
      case 'call':
        return this.#spanCall(expr, home);
      case 'case':
        return this.#spanChoice(home, (assign) => {
          for (const { when, then } of expr.branches) {
            const condition = this.value(when);
            this.#open(`if (${condition.text} === true)`);
            assign(then);
            this.#close();
            this.#open('else');
          }
          assign(expr.otherwise);
          for (const _ of expr.branches) this.#close();
        });
      case 'coalesce':
        return this.#spanChoice(home, (assign, start) => {
          expr.args.forEach((arg, n) => {
            if (n > 0) this.#open(`if (${start} < 0)`);
            assign(arg);
          });
          for (let n = 1; n < expr.args.length; n++) this.#close();
        });
      default:
        throw new Error(`${expr.op} has no bytes`);
    }
  }

  #pooledText(text: string | null): Span {
    if (text === null) return { home: POOL, start: '-1', end: '0', nullable: true };
    const bytes = Buffer.from(text, 'utf8');
    const start = this.#poolLength;
    this.#pooled.push(bytes);
    this.#poolLength += bytes.length;
    return { home: POOL, start: String(start), end: String(this.#poolLength), nullable: false };
  }

  /** One of several texts; what lies elsewhere than in `home` is copied there, which is then the scratch. */
  #spanChoice(home: string, choose: (assign: (expr: Expr) => void, start: string) => void): Span {
    const start = this.#variable('-1');
    const end = this.#variable('0');
    choose((expr) => {
      const chosen = this.span(expr) as Span;
      if (chosen.home === home) this.#lines.push(`${start} = ${chosen.start}; ${end} = ${chosen.end};`);
      else {
        const copy = `${start} = scratch.copy(${rangeOf(chosen)}); ${end} = scratch.end;`;
        this.#lines.push(chosen.nullable ? `if (${chosen.start} >= 0) { ${copy} }` : copy);
      }
    }, start);
    return { home, start, end, nullable: true };
  }

  /** The call of a form over bytes, and what must hold for it. */
  #bytesArgs({ fn, args }: Call, form: BytesCall): { text: string; guards: string[] } {
    this.throws = true;
    const guards: string[] = [];
    const texts = args.map((arg) => {
      if (isText(arg)) {
        const span = this.span(arg) as Span;
        if (span.nullable) guards.push(`${span.start} >= 0`);
        return rangeOf(span);
      }
      const piece = this.value(arg);
      if (piece.nullable) guards.push(`${piece.text} !== null`);
      return piece.text;
    });
    const text = `${this.#pool(form.call)}(scratch, ${texts.join(', ')})`;
    return { text, guards: FUNCTIONS.get(fn)?.nullAware ? [] : guards };
  }

  #spanCall(expr: Call, home: string): Span {
    const { text, guards } = this.#bytesArgs(expr, this.#bytesCall(expr) as BytesCall);
    const start = this.#variable('-1');
    const end = this.#variable('0');
    const call = `${start} = ${text}; ${end} = scratch.end;`;
    this.#lines.push(guards.length === 0 ? call : `if (${guards.join(' && ')}) { ${call} }`);
    return { home, start, end, nullable: true };
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
          this.inBytes.add(index);
          if (this.#forms[index].total) return { text: String(expr.negated), nullable: false };
          return this.#keep(`m${index}[i] === ${expr.negated ? 0 : 1}`, false);
        }
        const span = this.#inBytes(expr.arg);
        if (span !== undefined) {
          if (!span.nullable) return { text: String(expr.negated), nullable: false };
          return this.#keep(`${span.start} ${expr.negated ? '>=' : '<'} 0`, false);
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

  /** The bytes of a text that would else become a string. */
  #inBytes(expr: Expr): Span | undefined {
    const home = this.#homeOf(expr);
    return home === undefined || home === POOL ? undefined : this.span(expr);
  }

  /** A test of a text that may be NULL. */
  #tested(span: Span, text: string, nullable = false): Piece {
    return this.#keep(span.nullable ? `${span.start} < 0 ? null : (${text})` : text, span.nullable || nullable);
  }

  #like({ args }: Call): Piece | undefined {
    const [arg, pattern] = args;
    if (pattern.op !== 'literal' || !survivesUtf8(pattern.value)) return undefined;
    const like: LikeBytes | undefined = likeBytes(pattern.value);
    const span = like && this.#inBytes(arg);
    return span && this.#tested(span, `likeInBytes(${rangeOf(span)}, ${this.#pool(like)})`);
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

  #call(expr: Call): Piece {
    const { fn, args, type } = expr;
    const like = fn === 'like' ? this.#like(expr) : undefined;
    if (like !== undefined) return like;
    const form = this.#bytesCall(expr);
    if (form?.yields === 'datum') {
      const { text, guards } = this.#bytesArgs(expr, form);
      return this.#keep(guards.length === 0 ? text : `${guards.join(' && ')} ? ${text} : null`, guards.length > 0);
    }
    const row = FUNCTIONS.get(fn);
    if (row === undefined) throw new Error(`there is no function ${fn}`);
    const pieces = args.map((arg) => this.value(arg));
    const types = [...args.map((arg) => arg.type), type];
    this.throws = true;
    const texts = pieces.map((piece) => piece.text);
    const inline = row.inline?.(texts, types, literalsOf(args));
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
    const spans = cmp === 'distinct' || cmp === 'notDistinct' ? undefined : this.#spans2(left, right);
    if (spans !== undefined) {
      const [x, y] = spans;
      const ranges = `${rangeOf(x)}, ${rangeOf(y)}`;
      const text =
        cmp === '=' || cmp === '<>'
          ? `${cmp === '=' ? '' : '!'}sameBytes(${ranges})`
          : `compareBytes(${ranges}) ${cmp} 0`;
      const guards = spans.filter(({ nullable }) => nullable).map(({ start }) => `${start} < 0`);
      return this.#keep(guards.length === 0 ? text : `${guards.join(' || ')} ? null : ${text}`, guards.length > 0);
    }
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
    const present = values.filter((value) => value !== null);
    const hasNull = present.length < values.length;
    const span = present.length <= MAX_CONSTANTS && present.every(survivesUtf8) ? this.#inBytes(arg) : undefined;
    if (span !== undefined) {
      const tests = present.map((one) => `sameBytes(${rangeOf(span)}, ${rangeOf(this.#pooledText(one as string))})`);
      const some = tests.join(' || ') || 'false';
      return this.#tested(span, hasNull ? `(${some}) ? ${!negated} : null` : negated ? `!(${some})` : some, hasNull);
    }
    const piece = this.value(arg);
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
      fixed &&= FUNCTIONS.get((part as Call).fn)?.deterministic !== false;
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
