import type {
  Aggregate,
  AsofJoin,
  Expr,
  Join,
  Plan,
  Recursive,
  Scan,
  Session,
  Sort,
  TopN,
  Values,
  Window,
} from '../../streamql/plan/plan.ts';
import { assert } from '../lib/assert.ts';
import { StreamError } from '../lib/errors.ts';
import type { SqlType } from '../values/types.ts';
import { direction, printAggregate } from './duckdb-aggregates.ts';
import { type ExprScope, type ForeignCall, printExpr } from './duckdb-expr.ts';
import { printOver } from './duckdb-over.ts';
import { castTo, printLiteral } from './duckdb-types.ts';
import { printUnnest } from './duckdb-unnest.ts';

/** What the printer asks of whoever runs the text. */
export interface PrintScope {
  /** The FROM item of a scan: a relation or table function with columns c0, c1 … */
  nameOf(scan: Scan): string;
  /** The name under which DuckDB can call our own code. */
  foreign(call: ForeignCall): string;
}

/**
 * A plan as one SELECT for DuckDB. Every node is a subquery with the columns c0, c1 …, each of the type that duckdbType gives; a node
 * without columns has one, `z`. At most `maxRows` rows are asked for.
 */
export function printPlan(plan: Plan, scope: PrintScope, maxRows = Number.MAX_SAFE_INTEGER): string {
  const printer = new Printer(scope);
  const ordered = printer.ordered(plan);
  if (ordered === undefined) return `SELECT ${names(plan, 't')} FROM (${printer.node(plan)}) AS t LIMIT ${maxRows}`;
  const { text, keys } = ordered;
  return `SELECT ${names(plan, 't')} FROM (${text}) AS t ORDER BY ${keys.join(', ')} LIMIT ${maxRows}`;
}

const names = (plan: Plan, table: string): string =>
  plan.schema.length === 0 ? `${table}.z` : plan.schema.map((_, i) => `${table}.c${i}`).join(', ');

/** A subquery whose rows must come out in the order of its columns `keys`. */
interface Ordered {
  readonly text: string;
  /** ORDER BY items over the alias t. */
  readonly keys: readonly string[];
}

/** The columns of a scan, by their places in what it reads. */
const selected = (scan: Scan, from: string): string =>
  scan.columns.length === 0 ? '1 AS z' : scan.columns.map((column, i) => `${from}${column} AS c${i}`).join(', ');

class Printer {
  readonly #scope: PrintScope;
  #recursions = 0;

  constructor(scope: PrintScope) {
    this.#scope = scope;
  }

  #exprs(column: (index: number) => string): ExprScope {
    return { column, foreign: (call) => this.#scope.foreign(call) };
  }

  /** One input under the alias t. */
  readonly #overOne: ExprScope = { column: (index) => `t.c${index}`, foreign: (call) => this.#scope.foreign(call) };

  #from(plan: Plan): string {
    return `FROM (${this.node(plan)}) AS t`;
  }

  /** `exprs` as c0, c1 …, cast to the schema's types. */
  #select(exprs: readonly string[], types: readonly SqlType[]): string {
    return exprs.length === 0 ? '1 AS z' : exprs.map((text, i) => `${castTo(text, types[i])} AS c${i}`).join(', ');
  }

  node(plan: Plan): string {
    switch (plan.op) {
      case 'scan':
        return `SELECT ${names(plan, 't')} FROM ${this.#scope.nameOf(plan)} AS t`;
      case 'values':
        return printValues(plan);
      case 'filter':
        return `SELECT * ${this.#from(plan.input)} WHERE ${printExpr(plan.predicate, this.#overOne)}`;
      case 'project':
        return `SELECT ${this.#project(plan.exprs)} ${this.#from(plan.input)}`;
      case 'window':
        return plan.kind === 'cumulate' ? this.#cumulate(plan) : this.#window(plan);
      case 'expire':
        throw new StreamError('SQL_UNSUPPORTED', 'which rows have expired is known only to the view');
      case 'nowFilter': {
        const micros = 'epoch_us(now())';
        const terms = [
          ...plan.from.map(({ column, plusMicros }) => `${micros} >= epoch_us(t.c${column}) + ${plusMicros}`),
          ...plan.until.map(({ column, plusMicros }) => `${micros} < epoch_us(t.c${column}) + ${plusMicros}`),
        ];
        return `SELECT * ${this.#from(plan.input)} WHERE ${terms.join(' AND ')}`;
      }
      case 'close':
        throw new StreamError('SQL_UNSUPPORTED', 'what has been emitted on window close is known only to a view');
      case 'session':
        return this.#session(plan);
      case 'unnest':
        return printUnnest(plan, this.node(plan.input), this.#scope);
      case 'aggregate':
        return this.#aggregate(plan);
      case 'join':
        return this.#join(plan);
      // A query that is answered once looks up once.
      case 'lookup':
        return this.#join({ ...plan, op: 'join' });
      case 'asof':
        return this.#asof(plan);
      case 'recursive':
        return this.#recursive(plan);
      case 'union':
        return plan.inputs.map((input) => `(${this.node(input)})`).join(' UNION ALL ');
      case 'setOp':
        return `(${this.node(plan.left)}) ${plan.kind.toUpperCase()}${plan.all ? ' ALL' : ''} (${this.node(plan.right)})`;
      case 'distinct':
        return `SELECT DISTINCT * ${this.#from(plan.input)}`;
      case 'topn':
        return this.#topN(plan);
      case 'over':
        return printOver(plan, this.node(plan.input), this.#scope);
      case 'match':
        throw new StreamError('INVARIANT', 'MATCH_RECOGNIZE is to be answered before DuckDB is asked');
      case 'sort':
        return `SELECT * ${this.#from(plan.input)} ${orderAndCut(plan)}`;
    }
  }

  #project(exprs: readonly Expr[]): string {
    return this.#select(
      exprs.map((expr) => printExpr(expr, this.#overOne)),
      exprs.map((expr) => expr.type),
    );
  }

  /** The plan when a Sort is its root or stands under Projects only: the sort columns are carried along as k0, k1 … */
  ordered(plan: Plan): Ordered | undefined {
    if (plan.op === 'sort') {
      if (plan.orderBy.length === 0) return undefined;
      const carried = plan.orderBy.map(({ column }, i) => `t.c${column} AS k${i}`);
      const isCut = plan.limit !== null || plan.offset > 0;
      return {
        text: `SELECT *, ${carried.join(', ')} ${this.#from(plan.input)}${isCut ? ` ${orderAndCut(plan)}` : ''}`,
        keys: plan.orderBy.map((key, i) => `t.k${i} ${direction(key)}`),
      };
    }
    if (plan.op !== 'project') return undefined;
    const inner = this.ordered(plan.input);
    if (inner === undefined) return undefined;
    const carried = inner.keys.map((_, i) => `t.k${i}`);
    return {
      text: `SELECT ${this.#project(plan.exprs)}, ${carried.join(', ')} FROM (${inner.text}) AS t`,
      keys: inner.keys,
    };
  }

  /**
   * A row at t lies in the windows that start at t − d, d = (t − offset) mod slide, + slide, + 2 slide … below size. The remainder
   * is made positive twice over, for moments before 1970.
   */
  #window(plan: Window): string {
    const { timeColumn, sizeMicros, slideMicros, offsetMicros, input } = plan;
    const { type } = input.schema[timeColumn];
    assert(type.kind === 'timestamp' || type.kind === 'timestamptz', 'a window is over a moment');
    const micros = `epoch_us(t.c${timeColumn})`;
    const rest = `(((${micros} - ${offsetMicros}) % ${slideMicros} + ${slideMicros}) % ${slideMicros})`;
    const inner =
      `SELECT *, ${micros} - unnest(range(CAST(${rest} AS BIGINT), CAST(${sizeMicros} AS BIGINT), ` +
      `CAST(${slideMicros} AS BIGINT))) AS s ${this.#from(input)} WHERE t.c${timeColumn} IS NOT NULL`;
    return this.#withBounds(plan, inner, ['t.s', `t.s + ${sizeMicros}`, `t.s + ${sizeMicros - 1000}`]);
  }

  /** A row d after the start of the greatest window around it lies in those that end at start + the next step after d, and each step on. */
  #cumulate(plan: Window): string {
    const { timeColumn, sizeMicros, slideMicros, offsetMicros, input } = plan;
    const micros = `epoch_us(t.c${timeColumn})`;
    const rest = `(((${micros} - ${offsetMicros}) % ${sizeMicros} + ${sizeMicros}) % ${sizeMicros})`;
    const least = `${rest} - ${rest} % ${slideMicros} + ${slideMicros}`;
    const inner =
      `SELECT *, ${micros} - ${rest} AS s, unnest(range(CAST(${least} AS BIGINT), CAST(${sizeMicros + 1} AS BIGINT), ` +
      `CAST(${slideMicros} AS BIGINT))) AS d ${this.#from(input)} WHERE t.c${timeColumn} IS NOT NULL`;
    return this.#withBounds(plan, inner, ['t.s', 't.s + t.d', 't.s + t.d - 1000']);
  }

  /** A session begins where the row before is further away than the gap; the sessions are then numbered and their ends found. */
  #session(plan: Session): string {
    const { timeColumn, partitionBy, gapMicros, input } = plan;
    const micros = `epoch_us(t.c${timeColumn})`;
    const keys = partitionBy.map((column) => `t.c${column}`);
    const by = keys.length === 0 ? '' : `PARTITION BY ${keys.join(', ')} `;
    const before = `lag(${micros}) OVER (${by}ORDER BY ${micros})`;
    const starts =
      `SELECT *, CASE WHEN ${micros} - ${before} <= ${gapMicros} THEN 0 ELSE 1 END AS b ` +
      `${this.#from(input)} WHERE t.c${timeColumn} IS NOT NULL`;
    const numbered = `SELECT *, sum(t.b) OVER (${by}ORDER BY ${micros} RANGE UNBOUNDED PRECEDING) AS n FROM (${starts}) AS t`;
    const one = `OVER (PARTITION BY ${[...keys, 't.n'].join(', ')})`;
    const inner = `SELECT *, min(${micros}) ${one} AS s, max(${micros}) ${one} + ${gapMicros} AS e FROM (${numbered}) AS t`;
    return this.#withBounds(plan, inner, ['t.s', 't.e', 't.e - 1000']);
  }

  #withBounds({ input, timeColumn }: Window | Session, inner: string, bounds: readonly string[]): string {
    const make = input.schema[timeColumn].type.kind === 'timestamp' ? 'make_timestamp' : 'make_timestamptz';
    const width = input.schema.length;
    const added = bounds.map((text, i) => `${make}(CAST(${text} AS BIGINT)) AS c${width + i}`);
    return `SELECT ${[...input.schema.map((_, i) => `t.c${i}`), ...added].join(', ')} FROM (${inner}) AS t`;
  }

  /** Two levels: sums and counts first, then the exact quotients of averages over them, one per group, by our own code. */
  #aggregate(plan: Aggregate): string {
    const groups = plan.groupBy.map((column) => `t.c${column}`);
    const inner = groups.map((text, i) => `${text} AS g${i}`);
    const outer = groups.map((_, i) => `t.g${i}`);
    const inputTypes = plan.input.schema.map((column) => column.type);
    plan.aggregates.forEach((call, i) => {
      const { parts, result } = printAggregate(call, inputTypes, i, this.#scope);
      inner.push(...parts);
      outer.push(result);
    });
    if (inner.length === 0) return 'SELECT 1 AS z';
    const grouping = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`;
    const types = plan.schema.map((column) => column.type);
    return `SELECT ${this.#select(outer, types)} FROM (SELECT ${inner.join(', ')} ${this.#from(plan.input)}${grouping}) AS t`;
  }

  #join(plan: Join): string {
    const width = plan.left.schema.length;
    const isHalf = plan.kind === 'semi' || plan.kind === 'anti';
    const columns = plan.schema.map((_, i) => `${i < width ? `l.c${i}` : `r.c${i - width}`} AS c${i}`);
    const scope = this.#exprs((index) => (index < width ? `l.c${index}` : `r.c${index - width}`));
    const conditions = plan.keys.map(
      ([left, right]) => `l.c${left} ${plan.nullSafe ? 'IS NOT DISTINCT FROM' : '='} r.c${right}`,
    );
    if (plan.residual !== null) conditions.push(printExpr(plan.residual, scope));
    const on = conditions.length === 0 ? 'TRUE' : conditions.join(' AND ');
    const select = columns.length === 0 ? '1 AS z' : columns.join(', ');
    if (isHalf) {
      const exists = `EXISTS (SELECT 1 FROM (${this.node(plan.right)}) AS r WHERE ${on})`;
      return `SELECT ${select} FROM (${this.node(plan.left)}) AS l WHERE ${plan.kind === 'anti' ? 'NOT ' : ''}${exists}`;
    }
    const kind = { inner: 'JOIN', left: 'LEFT JOIN', full: 'FULL JOIN' }[plan.kind as 'inner'];
    return `SELECT ${select} FROM (${this.node(plan.left)}) AS l ${kind} (${this.node(plan.right)}) AS r ON ${on}`;
  }

  /** Of right rows of one key and time the one that decides is chosen first: DuckDB takes any. From 64 left rows on it also has a match for a NULL time. */
  #asof(plan: AsofJoin): string {
    const width = plan.left.schema.length;
    const hasTime = `l.c${plan.leftTime} IS NOT NULL`;
    const right = (i: number): string => (plan.kind === 'left' ? `CASE WHEN ${hasTime} THEN r.c${i} END` : `r.c${i}`);
    const columns = plan.schema.map((_, i) => `${i < width ? `l.c${i}` : right(i - width)} AS c${i}`);
    const conditions = plan.keys.map(([left, right]) => `l.c${left} = r.c${right}`);
    conditions.push(`l.c${plan.leftTime} ${plan.cmp} r.c${plan.rightTime}`);
    const isBackward = plan.cmp === '>=' || plan.cmp === '>';
    const ties = [...new Set([...plan.ties, ...plan.right.schema.map((_, i) => i)])];
    const order = ties.map((c) => `t.c${c} ${isBackward ? 'DESC NULLS FIRST' : 'ASC NULLS LAST'}`).join(', ');
    const moment = [...plan.keys.map(([, right]) => right), plan.rightTime].map((c) => `t.c${c}`).join(', ');
    const nearest =
      `SELECT * ${this.#from(plan.right)} WHERE t.c${plan.rightTime} IS NOT NULL ` +
      `QUALIFY row_number() OVER (PARTITION BY ${moment} ORDER BY ${order}) = 1`;
    const join = `FROM (${this.node(plan.left)}) AS l ${plan.kind === 'left' ? 'ASOF LEFT JOIN' : 'ASOF JOIN'} (${nearest}) AS r`;
    const timed = plan.kind === 'left' ? '' : ` WHERE ${hasTime}`;
    return `SELECT ${columns.join(', ')} ${join} ON ${conditions.join(' AND ')}${timed}`;
  }

  /** The step reads its inputs where they stand, and the rows of the last round by the name of the common table. */
  #recursive(plan: Recursive): string {
    const name = `rec${++this.#recursions}`;
    const inStep = new Printer({
      foreign: (call) => this.#scope.foreign(call),
      nameOf: (scan) =>
        scan.relation === plan.self ? `(SELECT ${selected(scan, `${name}.c`)} FROM ${name})` : this.#input(plan, scan),
    });
    const columns = plan.schema.map((_, i) => `c${i}`).join(', ');
    const union = plan.all ? 'UNION ALL' : 'UNION';
    const parts = `(${this.node(plan.base)}) ${union} (${inStep.node(plan.step)})`;
    return `SELECT * FROM (WITH RECURSIVE ${name}(${columns}) AS (${parts}) SELECT * FROM ${name}) AS t`;
  }

  #input(plan: Recursive, scan: Scan): string {
    const input = plan.inputs[Number(scan.relation.slice('$input '.length))];
    return `(SELECT ${selected(scan, 'i.c')} FROM (${this.node(input)}) AS i)`;
  }

  #topN(plan: TopN): string {
    const unlimited = plan.limit >= Number.MAX_SAFE_INTEGER;
    const order = [
      ...plan.orderBy.map((key) => `t.c${key.column} ${direction(key)}`),
      ...plan.input.schema.map((_, i) => `t.c${i} ASC NULLS LAST`),
    ].join(', ');
    if (!plan.rank && unlimited) return this.node(plan.input);
    const ordering = order === '' ? '' : `ORDER BY ${order}`;
    if (!plan.rank && plan.partitionBy.length === 0) {
      return `SELECT * ${this.#from(plan.input)} ${ordering} LIMIT ${plan.limit}`;
    }
    const partition =
      plan.partitionBy.length === 0 ? '' : `PARTITION BY ${plan.partitionBy.map((c) => `t.c${c}`).join(', ')} `;
    const numbered = `SELECT *, row_number() OVER (${partition}${ordering}) AS n ${this.#from(plan.input)}`;
    const columns = plan.input.schema.map((_, i) => `t.c${i}`);
    if (plan.rank) columns.push(`CAST(t.n AS BIGINT) AS c${columns.length}`);
    const select = columns.length === 0 ? '1 AS z' : columns.join(', ');
    return `SELECT ${select} FROM (${numbered}) AS t${unlimited ? '' : ` WHERE t.n <= ${plan.limit}`}`;
  }
}

function orderAndCut({ orderBy, limit, offset }: Sort): string {
  const parts: string[] = [];
  if (orderBy.length > 0)
    parts.push(`ORDER BY ${orderBy.map((key) => `t.c${key.column} ${direction(key)}`).join(', ')}`);
  if (limit !== null) parts.push(`LIMIT ${limit}`);
  if (offset > 0) parts.push(`OFFSET ${offset}`);
  return parts.join(' ');
}

function printValues({ rows, schema }: Values): string {
  if (schema.length === 0) return `SELECT 1 AS z FROM range(${rows.length})`;
  if (rows.length === 0) {
    return `SELECT ${schema.map(({ type }, i) => `${castTo('NULL', type)} AS c${i}`).join(', ')} WHERE FALSE`;
  }
  const printed = rows.map(
    (row) => `(${row.map((value, i) => castTo(printLiteral(value, schema[i].type), schema[i].type)).join(', ')})`,
  );
  return `SELECT * FROM (VALUES ${printed.join(', ')}) AS t(${schema.map((_, i) => `c${i}`).join(', ')})`;
}
