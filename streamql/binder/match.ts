import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { SqlType } from '../../src/values/types.ts';
import type { AstExpr, MatchRecognize, Name, PatternAst } from '../parser/ast.ts';
import { compilePattern } from '../plan/match-program.ts';
import type { Match, MatchExpr, MatchRead, MatchSkip, Plan, RowPattern, SortKey } from '../plan/plan.ts';
import { columnRef } from '../plan/walk.ts';
import { settle } from './coerce.ts';
import type { BindContext } from './context.ts';
import { bindBoolean, bindExpr } from './expressions.ts';
import type { Bound } from './from.ts';
import { MatchReads } from './match-reads.ts';
import { suggestion } from './scope.ts';
import { intervalMicros } from './windows.ts';

const MAX_VARIABLES = 100;

/** Variables of the pattern and names of SUBSETs, with the variables that each stands for. */
export type VariableSets = ReadonlyMap<string, readonly number[]>;

/** MATCH_RECOGNIZE over a bound input. */
export function bindMatch(ref: MatchRecognize, input: Bound, context: BindContext): Plan {
  return new MatchBinder(ref, input, context).bind();
}

class MatchBinder {
  readonly #ref: MatchRecognize;
  readonly #input: Bound;
  readonly #context: BindContext;
  readonly #variables: string[] = [];

  constructor(ref: MatchRecognize, input: Bound, context: BindContext) {
    this.#ref = ref;
    this.#input = input;
    this.#context = context;
  }

  bind(): Plan {
    const ref = this.#ref;
    const pattern = this.#pattern(ref.pattern);
    if (compilePattern(pattern) === undefined) {
      throw new StreamError('SQL_LIMIT', 'the pattern is too long with its repetitions written out', {
        at: ref.pattern.at,
        hint: 'use smaller bounds in {n,m}, or * and a condition on COUNT(*)',
      });
    }
    const sets = this.#sets();
    const { plan } = this.#input;
    const partitionBy = ref.partitionBy.map((ast) => this.#column(ast, 'PARTITION BY'));
    const orderBy = ref.orderBy.map(
      ({ expr, descending, nullsFirst }): SortKey => ({
        column: this.#column(expr, 'ORDER BY'),
        descending,
        nullsFirst,
      }),
    );
    const reads = new MatchReads(this.#context, this.#input, sets, ref.rows === 'one', orderBy[0].column);
    const defines = this.#variables.map((name, variable): MatchExpr | null => {
      const found = ref.defines.filter((define) => define.name.text === name);
      if (found.length > 1) throw twice(found[1].name);
      return found.length === 0
        ? null
        : reads.bind(variable, (scope) => bindBoolean(found[0].condition, scope), `DEFINE ${name}`);
    });
    const measures = ref.measures.map(({ expr }) =>
      reads.bind(null, (scope) => settle(bindExpr(expr, scope)), 'MEASURES'),
    );
    const isAll = ref.rows !== 'one';
    const shown = isAll ? this.#input.scope.columns.filter((c) => !c.hidden && !c.merged).map((c) => c.index) : [];
    const isFirst = (column: number): boolean =>
      partitionBy.includes(column) || orderBy.some((key) => key.column === column);
    const rest = shown.filter((column) => !isFirst(column));
    const first = isAll
      ? [...partitionBy, ...orderBy.map((key) => key.column).filter((column) => !partitionBy.includes(column))]
      : partitionBy;
    // Only columns that mean something here are kept, since whole rows break ties.
    const used = new Set([...first, ...rest, ...orderBy.map((key) => key.column), ...reads.columnsUsed()]);
    const kept = [...used].filter((column) => column < plan.schema.length).sort((a, b) => a - b);
    const computed = reads.computed();
    const place = (column: number): number =>
      column < plan.schema.length ? kept.indexOf(column) : kept.length + column - plan.schema.length;
    const project: Plan = {
      op: 'project',
      input: plan,
      exprs: [...kept.map((column) => columnRef(plan.schema, column)), ...computed],
      schema: [
        ...kept.map((column) => plan.schema[column]),
        ...computed.map((expr, i): ColumnSchema => ({ name: `value_${i}`, type: expr.type, nullable: true })),
      ],
    };
    const placed = (measure: MatchExpr): MatchExpr => ({
      ...measure,
      reads: measure.reads.map((r) => moveRead(r, place)),
    });
    const shownAs = (column: number): ColumnSchema => {
      const { hidden: _, ...schema } = plan.schema[column];
      const name = this.#input.scope.columns.find(({ index }) => index === column)?.name ?? schema.name;
      return { ...schema, name };
    };
    return {
      op: 'match',
      input: project,
      partitionBy: partitionBy.map(place),
      orderBy: orderBy.map((key) => ({ ...key, column: place(key.column) })),
      variables: this.#variables,
      pattern,
      defines: defines.map((define) => (define === null ? null : placed(define))),
      measures: measures.map(placed),
      rows: ref.rows,
      rest: rest.map(place),
      skip: this.#skip(sets),
      withinMicros: this.#within(orderBy),
      schema: [
        ...first.map(shownAs),
        ...measures.map(
          ({ expr }, i): ColumnSchema => ({ name: ref.measures[i].name.text, type: expr.type, nullable: true }),
        ),
        ...rest.map(shownAs),
      ],
    } satisfies Match;
  }

  #column(ast: AstExpr, clause: string): number {
    if (ast.kind !== 'column') {
      throw new StreamError('SQL_UNSUPPORTED', `an expression in ${clause} of MATCH_RECOGNIZE is not supported`, {
        at: ast.at,
        hint: 'compute it in a subquery: FROM (SELECT …) MATCH_RECOGNIZE (…)',
      });
    }
    return this.#input.scope.resolve(ast.path).index;
  }

  #pattern(ast: PatternAst): RowPattern {
    switch (ast.kind) {
      case 'variable':
        return { op: 'row', variable: this.#variable(ast.name) };
      case 'repeat':
        return { op: 'repeat', item: this.#pattern(ast.item), min: ast.min, max: ast.max, reluctant: ast.reluctant };
      case 'exclude':
        return { op: 'exclude', item: this.#pattern(ast.item) };
      case 'permute': {
        const items = ast.items.map((item) => this.#pattern(item));
        return { op: 'choice', items: permutations(items).map((order) => ({ op: 'sequence', items: order })) };
      }
      case 'sequence':
      case 'choice':
        return { op: ast.kind, items: ast.items.map((item) => this.#pattern(item)) };
      default:
        return { op: ast.kind };
    }
  }

  #variable({ text, at }: Name): number {
    const known = this.#variables.indexOf(text);
    if (known >= 0) return known;
    if (this.#variables.length === MAX_VARIABLES) {
      throw new StreamError('SQL_LIMIT', `more than ${MAX_VARIABLES} variables in one pattern`, { at });
    }
    return this.#variables.push(text) - 1;
  }

  #sets(): VariableSets {
    const sets = new Map(this.#variables.map((name, i): [string, readonly number[]] => [name, [i]]));
    for (const { name } of this.#ref.defines) if (!sets.has(name.text)) throw noVariable(name, this.#variables);
    for (const { name, members } of this.#ref.subsets) {
      if (sets.has(name.text)) throw twice(name);
      sets.set(
        name.text,
        members.map((member) => {
          const variable = this.#variables.indexOf(member.text);
          if (variable < 0) throw noVariable(member, this.#variables);
          return variable;
        }),
      );
    }
    return sets;
  }

  #skip(sets: VariableSets): MatchSkip {
    const { skip } = this.#ref;
    if (this.#ref.rows === 'unmatched' && skip.to !== 'pastLast') {
      throw new StreamError('SQL_UNSUPPORTED', 'WITH UNMATCHED ROWS is not supported where matches may overlap', {
        at: this.#ref.at,
        hint: 'AFTER MATCH SKIP PAST LAST ROW, or leave WITH UNMATCHED ROWS out',
      });
    }
    if (skip.to !== 'first' && skip.to !== 'last') return { to: skip.to };
    const variables = sets.get(skip.variable.text);
    if (variables === undefined) throw noVariable(skip.variable, [...sets.keys()]);
    return { to: skip.to, variables };
  }

  #within(orderBy: readonly SortKey[]): number | null {
    const { within } = this.#ref;
    if (within === null) return null;
    const { schema } = this.#input.plan;
    const key = orderBy[0];
    if (key === undefined || key.descending || !isMoment(schema[key.column].type)) {
      throw new StreamError('SQL_TYPE', 'WITHIN needs ORDER BY a timestamp, ascending', {
        at: within.at,
        hint: 'the time between the first and the last row is taken from the first column of ORDER BY',
      });
    }
    return intervalMicros(within, this.#context, true);
  }
}

const isMoment = (type: SqlType): boolean => type.kind === 'timestamp' || type.kind === 'timestamptz';

/** In the order in which the items stand: PERMUTE (A, B) prefers A B to B A. */
function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
  );
}

function moveRead(read: MatchRead, place: (column: number) => number): MatchRead {
  if (read.kind === 'row') return read.column === null ? read : { ...read, column: place(read.column) };
  return read.kind === 'aggregate'
    ? { ...read, args: read.args.map((arg) => (arg === null ? null : place(arg))) }
    : read;
}

function noVariable({ text, at }: Name, names: readonly string[]): StreamError {
  return new StreamError('SQL_BIND', `the pattern has no variable "${text}"`, {
    at,
    hint: suggestion(text, names) ?? `its variables are: ${names.join(', ')}`,
  });
}

const twice = ({ text, at }: Name): StreamError =>
  new StreamError('SQL_BIND', `the variable "${text}" is defined twice`, { at });
