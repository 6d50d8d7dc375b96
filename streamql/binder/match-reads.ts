import { type Position, StreamError } from '../../src/lib/errors.ts';
import { BIGINT, type SqlType, VARCHAR } from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import type { AstExpr, Name } from '../parser/ast.ts';
import type { Expr, MatchExpr, MatchRead } from '../plan/plan.ts';
import { columnsUsed, exprKey, remap, rewrite } from '../plan/walk.ts';
import { bindAggregate } from './aggregate-calls.ts';
import type { BindContext } from './context.ts';
import { bindExpr, type ExprScope } from './expressions.ts';
import type { Bound } from './from.ts';
import type { VariableSets } from './match.ts';
import { Scope, type ScopeColumn } from './scope.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;

/** Column positions from here on stand for reads until the expression is whole. */
const READ_BASE = 1 << 24;
const MAX_OFFSET = 1_000_000;

const STEPS = new Set(['prev', 'next']);
const ENDS = new Set(['first', 'last']);
const WHEN = new Set(['final', 'running']);

/** A column of the input as a variable's row has it. */
interface Argument {
  readonly variables: readonly number[] | null;
  /** Null: the variable's name. */
  readonly column: number | null;
  readonly type: SqlType;
}

/**
 * What the conditions and measures of one MATCH_RECOGNIZE read: `a.price`, `PREV(LAST(a.price, 1), 2)`, `SUM(a.price)`, `CLASSIFIER()`. Each
 * becomes a MatchRead; an argument that is more than a column is computed below the node.
 */
export class MatchReads {
  readonly #context: BindContext;
  readonly #input: Bound;
  readonly #scope: Scope;
  readonly #schema: ExprScope['schema'];
  /** By block of columns: what the name before the point stands for; the first block has none. */
  readonly #sets: readonly (readonly number[] | null)[];
  /** Columns of one block: the input's and, last, the name of the variable that took the row. */
  readonly #width: number;
  readonly #oneRow: boolean;
  readonly #time: number;
  readonly #computed: Expr[] = [];
  readonly #used = new Set<number>();
  /** Of the expression that is being bound. */
  #reads: MatchRead[] = [];
  #byKey = new Map<string, number>();
  /** The variable that is being defined; null for a measure. */
  #own: number | null = null;

  /** `time`: the first column of ORDER BY. */
  constructor(context: BindContext, input: Bound, sets: VariableSets, oneRow: boolean, time: number) {
    this.#time = time;
    this.#context = context;
    this.#input = input;
    this.#oneRow = oneRow;
    const { schema } = input.plan;
    this.#width = schema.length + 1;
    this.#sets = [null, ...sets.values()];
    const own = input.scope.columns.filter((column) => !column.merged);
    const blocks = [null, ...sets.keys()];
    this.#scope = new Scope(
      blocks.flatMap((table, block) =>
        own.map(
          (column): ScopeColumn => ({
            ...column,
            table,
            index: block * this.#width + column.index,
            merged: table !== null,
          }),
        ),
      ),
    );
    const block = [...schema, { type: VARCHAR, nullable: true }];
    this.#schema = blocks.flatMap(() => block);
  }

  /** Binds a condition of `own`, or a measure. */
  bind(own: number | null, bind: (scope: ExprScope) => Expr, clause: string): MatchExpr {
    this.#own = own;
    this.#reads = [];
    this.#byKey = new Map();
    const bound = bind(this.#scopeOf(clause, (call) => this.#call(call)));
    const expr = rewrite(bound, (part) => {
      if (part.op !== 'column') return undefined;
      const index = part.index >= READ_BASE ? part.index - READ_BASE : this.#column(part);
      return { ...part, index };
    });
    return { expr, reads: this.#reads };
  }

  /** Input positions; those behind the input's columns are of `computed`. */
  columnsUsed(): ReadonlySet<number> {
    return this.#used;
  }

  computed(): readonly Expr[] {
    return this.#computed;
  }

  #scopeOf(clause: string, call: NonNullable<ExprScope['call']>): ExprScope {
    return { context: this.#context, scope: this.#scope, schema: this.#schema, clause, call };
  }

  /** A bare `price` or `a.price`: of the last row so far. */
  #column({ index, type }: Extract<Expr, { op: 'column' }>): number {
    const argument = this.#argumentOf({ op: 'column', index, type }, null);
    return this.#row({ argument, from: 'last', offset: 0, shift: 0, final: this.#isFinal(null) });
  }

  #isFinal(word: string | null): boolean {
    return this.#own === null && (this.#oneRow || word === 'final');
  }

  #call(call: Call): Expr | undefined {
    const name = call.name.text;
    if (!WHEN.has(name) || call.args.length !== 1 || call.args[0].kind !== 'call') return this.#read(call, null);
    if (name === 'final' && this.#own !== null) {
      throw wrongUse('FINAL may not stand in DEFINE: the match is not complete there', call.at);
    }
    const inner = this.#read(call.args[0], name);
    if (inner !== undefined) return inner;
    throw wrongUse(`${name.toUpperCase()} goes with FIRST, LAST, CLASSIFIER or an aggregate`, call.at);
  }

  #read(call: Call, word: string | null): Expr | undefined {
    const name = call.name.text;
    const final = this.#isFinal(word);
    if (name === 'match_number') {
      if (call.args.length > 0) throw wrongUse('MATCH_NUMBER() takes no argument', call.at);
      return this.#ref(this.#add({ kind: 'number' }), BIGINT);
    }
    if (name === 'classifier') {
      const argument = this.#argumentOf(this.#classifier(call), call.at);
      return this.#refRow({ argument, from: 'last', offset: 0, shift: 0, final });
    }
    if (name === 'match_rowtime') return this.#rowTime(call, final);
    if (STEPS.has(name)) return this.#refRow(this.#step(call, final));
    if (ENDS.has(name)) return this.#refRow(this.#end(call, final));
    return AGGREGATES.has(name) ? this.#aggregate(call, final) : undefined;
  }

  /** Flink's: the time of the match's last row. */
  #rowTime(call: Call, final: boolean): Expr {
    const { length } = this.#input.plan.schema;
    const type = this.#time < length ? this.#input.plan.schema[this.#time].type : BIGINT;
    if (call.args.length > 0 || (type.kind !== 'timestamp' && type.kind !== 'timestamptz'))
      throw wrongUse('MATCH_ROWTIME() takes no argument, and goes with ORDER BY a timestamp', call.at);
    const argument = this.#argumentOf({ op: 'column', index: this.#time, type }, call.at);
    return this.#refRow({ argument, from: 'last', offset: 0, shift: 0, final });
  }

  /** PREV and NEXT: rows of the partition away from where their argument stands. */
  #step(call: Call, final: boolean): RowRead {
    const name = call.name.text;
    const [arg, offset] = argumentsOf(call);
    const by = offset === undefined ? 1 : this.#offset(offset, name);
    const shift = name === 'prev' ? -by : by;
    if (arg.kind === 'call' && ENDS.has(arg.name.text)) return { ...this.#end(arg, final), shift };
    return { argument: this.#argument(arg), from: 'last', offset: 0, shift, final };
  }

  #end(call: Call, final: boolean): RowRead {
    const name = call.name.text as 'first' | 'last';
    const [arg, offset] = argumentsOf(call);
    const by = offset === undefined ? 0 : this.#offset(offset, name);
    return { argument: this.#argument(arg), from: name, offset: by, shift: 0, final };
  }

  #offset(ast: AstExpr, name: string): number {
    const bound = bindExpr(ast, { context: this.#context, scope: new Scope([]), schema: [], clause: name });
    const value = bound.op === 'literal' ? bound.value : null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_OFFSET) return value;
    throw wrongUse(`the offset of ${name.toUpperCase()} must be a constant from 0 to ${MAX_OFFSET}`, ast.at);
  }

  /** The column behind the input's own. */
  #classifier(call: Call): Expr {
    const [arg] = call.args;
    let block = 0;
    if (arg !== undefined) {
      if (arg.kind !== 'column' || arg.path.length > 1 || call.args.length > 1)
        throw wrongUse('CLASSIFIER takes a variable or nothing', call.at);
      block = this.#blockOf(arg.path[0]);
    }
    return { op: 'column', index: block * this.#width + this.#width - 1, type: VARCHAR };
  }

  #blockOf({ text, at }: Name): number {
    const column = this.#scope.columns.find(({ table }) => table === text);
    if (column === undefined) throw wrongUse(`the pattern has no variable "${text}"`, at);
    return Math.floor(column.index / this.#width);
  }

  /** The argument of a navigation: an expression over the columns of one variable's row. */
  #argument(ast: AstExpr): Argument {
    return this.#argumentOf(bindExpr(ast, this.#scopeOf('the argument of a navigation', this.#inArgument)), ast.at);
  }

  readonly #inArgument = (call: Call): Expr | undefined => {
    const { text } = call.name;
    if (text === 'classifier') return this.#classifier(call);
    if (!STEPS.has(text) && !ENDS.has(text) && !WHEN.has(text) && !AGGREGATES.has(text)) return undefined;
    throw new StreamError('SQL_BIND', `${text.toUpperCase()} may not stand inside another navigation or aggregate`, {
      at: call.at,
      hint: 'only FIRST and LAST may, directly inside PREV and NEXT',
    });
  };

  #argumentOf(bound: Expr, at: Position | null): Argument {
    const blocks = new Set([...columnsUsed(bound)].map((column) => Math.floor(column / this.#width)));
    if (blocks.size > 1) {
      throw new StreamError('SQL_BIND', 'the argument of a navigation or aggregate names more than one variable', {
        ...(at === null ? {} : { at }),
        hint: 'all its columns must be of one variable, or without a variable',
      });
    }
    const [block = 0] = blocks;
    const expr = remap(bound, (column) => column % this.#width);
    return { variables: this.#sets[block], column: this.#place(expr, at), type: expr.type };
  }

  #place(expr: Expr, at: Position | null): number | null {
    const { length } = this.#input.plan.schema;
    if (expr.op === 'column' && expr.index === length) return null;
    if (columnsUsed(expr).has(length)) {
      throw new StreamError('SQL_UNSUPPORTED', 'an expression over CLASSIFIER inside a navigation is not supported', {
        ...(at === null ? {} : { at }),
        hint: 'navigate first: compare LAST(CLASSIFIER()) itself',
      });
    }
    for (const column of columnsUsed(expr)) this.#used.add(column);
    if (expr.op === 'column') return expr.index;
    const key = exprKey(expr);
    const known = this.#computed.findIndex((other) => exprKey(other) === key);
    return length + (known >= 0 ? known : this.#computed.push(expr) - 1);
  }

  #aggregate(call: Call, final: boolean): Expr {
    const [star] = call.args;
    const pending = bindAggregate(call, this.#scopeOf(`the argument of ${call.name.text}`, this.#inArgument));
    const row = AGGREGATES.get(pending.fn);
    const isBasic = ['count', 'sum', 'avg', 'min', 'max'].includes(pending.fn);
    if (pending.distinct || pending.filter !== null || pending.orderBy.length > 0 || !(isBasic || row?.finish)) {
      throw new StreamError('SQL_UNSUPPORTED', `this form of ${call.name.text} in MATCH_RECOGNIZE is not supported`, {
        at: call.at,
        hint: 'COUNT, SUM, AVG, MIN, MAX and aggregates without DISTINCT, FILTER and an order of their own are',
      });
    }
    const args = pending.args.map((arg) => this.#argumentOf(arg, call.at));
    let variables = (args.find((arg) => arg.variables !== null) ?? args[0])?.variables ?? null;
    if (args.some((arg) => arg.variables !== variables)) {
      throw wrongUse('the arguments of an aggregate must be of one variable', call.at);
    }
    if (star?.kind === 'star' && star.table !== null) variables = this.#sets[this.#blockOf(star.table)];
    const { fn, params, type } = pending;
    const read: MatchRead = {
      kind: 'aggregate',
      fn,
      variables,
      args: args.map((arg) => arg.column),
      params,
      type,
      final,
    };
    return this.#ref(this.#add(read), type);
  }

  #refRow(read: RowRead): Expr {
    return this.#ref(this.#row(read), read.argument.type);
  }

  #row({ argument, from, offset, shift, final }: RowRead): number {
    const { variables, column } = argument;
    // The row in question is the one that the variable would take.
    const isPresent =
      from === 'last' && offset === 0 && (variables === null || (this.#own !== null && variables.includes(this.#own)));
    return this.#add({
      kind: 'row',
      from: isPresent ? 'present' : from,
      variables: isPresent ? null : variables,
      offset,
      shift,
      column,
      final,
    });
  }

  #add(read: MatchRead): number {
    const key = JSON.stringify(read, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
    let at = this.#byKey.get(key);
    if (at === undefined) {
      at = this.#reads.push(read) - 1;
      this.#byKey.set(key, at);
    }
    return at;
  }

  #ref(at: number, type: SqlType): Expr {
    return { op: 'column', index: READ_BASE + at, type };
  }
}

interface RowRead {
  readonly argument: Argument;
  readonly from: 'first' | 'last';
  readonly offset: number;
  readonly shift: number;
  readonly final: boolean;
}

function argumentsOf(call: Call): readonly [arg: AstExpr, offset: AstExpr | undefined] {
  const [arg, offset] = call.args;
  if (arg === undefined || call.args.length > 2)
    throw wrongUse(`${call.name.text.toUpperCase()} takes a value and maybe an offset`, call.at);
  return [arg, offset];
}

const wrongUse = (message: string, at: Position): StreamError => new StreamError('SQL_BIND', message, { at });
