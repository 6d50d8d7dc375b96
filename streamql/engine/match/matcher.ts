import { StreamError } from '../../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { compilePattern, type MatchProgram, Op } from '../../plan/match-program.ts';
import type { Match, MatchExpr, RowPattern } from '../../plan/plan.ts';
import { grown } from '../state/arrays.ts';
import { MatchPath, type MatchRows, type PreparedExpr } from './match-path.ts';

/**
 * How many steps one search may take where states cannot be remembered, some ten milliseconds. It is then given up, and those after it may
 * take half as many each time, until there is a match: that depends on the rows alone and not on how they came.
 */
const MAX_STEPS = 250_000;
const LEAST_STEPS = 1000;
/** Remembered states of one run, 4 bytes each; beyond, nothing is remembered and MAX_STEPS bounds the work. */
const MAX_STATES = 1 << 25;

/**
 * What a condition may depend on, and so how long a failure that was found holds: `row`: a row and its neighbours, so that no other search
 * need try again from the same place; `start`: also where the match began, so that only the same search need not; `path`: anything.
 */
type Depends = 'row' | 'start' | 'path';

type OnError = (code: StreamError['code'], reason: string, row: readonly Datum[]) => void;

/** Finds the preferred match from a row on: a backtracking search without recursion over one partition's rows. */
export class Matcher {
  /** Rows of the match that was found. */
  length = 0;
  /** The last search was given up. */
  gaveUp = false;
  /** No row with a time before this comes or goes any more. */
  settledMicros = Number.NEGATIVE_INFINITY;
  readonly #program: MatchProgram;
  readonly #conditions: readonly (PreparedExpr | null)[];
  readonly #path: MatchPath;
  readonly #depends: Depends;
  readonly #withinMicros: number | null;
  readonly #timeColumn: number;
  readonly #onError: OnError;
  /** Program counters by depth. */
  #pcs = new Int32Array(64);
  /** (pc, position) to go back to; (−1 − mark, value) to restore. */
  #stack = new Float64Array(128);
  #marks: Int32Array;
  /** By split and position: in which search it was tried last. */
  #tried = new Int32Array(0);
  #from = 0;
  #stamp = 0;
  #remembers = false;
  #maxSteps = MAX_STEPS;
  #isWhole = true;

  constructor(plan: Match, types: readonly SqlType[], onError: OnError) {
    const program = compilePattern(plan.pattern);
    if (program === undefined) throw new StreamError('SQL_LIMIT', 'the pattern is too long');
    this.#program = program;
    this.#path = new MatchPath(plan.variables, types);
    this.#conditions = plan.defines.map((define) => (define === null ? null : this.#path.prepare(define)));
    this.#marks = new Int32Array(program.marks);
    this.#withinMicros = plan.withinMicros;
    this.#timeColumn = plan.orderBy[0]?.column ?? -1;
    this.#depends = program.marks > 0 ? 'path' : dependsOn(plan);
    this.#onError = onError;
  }

  get usesStart(): boolean {
    return this.#program.usesStart;
  }

  /** One more than the highest position that the last search looked at. */
  get reach(): number {
    return this.#path.reach;
  }

  /** The program counter that took the row at `depth`; see `variableAt` and `isExcluded`. */
  variableAt(depth: number): number {
    return this.#program.a[this.#pcs[depth]];
  }

  isExcluded(depth: number): boolean {
    return this.#program.b[this.#pcs[depth]] === 1;
  }

  /** Before searches over rows from `from` on: what was remembered of other rows is forgotten. `isWhole`: no row before them was dropped. */
  begin(rows: MatchRows, from: number, isWhole: boolean): void {
    this.#path.rows = rows;
    this.#isWhole = isWhole;
    this.#from = from;
    const states = (rows.slots.length - from + 1) * this.#program.splits;
    this.#remembers = this.#depends !== 'path' && states <= MAX_STATES;
    if (this.#remembers && this.#tried.length < states) {
      this.#tried = new Int32Array(states * 2);
      this.#stamp = 0;
    }
    this.#forget();
  }

  #forget(): void {
    if (++this.#stamp < 0x7fffffff) return;
    this.#tried.fill(0);
    this.#stamp = 1;
  }

  /**
   * Whether there is a match that begins with the row at `start`; `number` is what its MATCH_NUMBER() would be, and `givenUp` how many searches were given up
   * since the last match.
   */
  find(start: number, number: number, givenUp: number): boolean {
    this.#maxSteps = Math.max(LEAST_STEPS, MAX_STEPS >>> Math.min(givenUp, 20));
    const path = this.#path;
    path.start = start;
    path.number = number;
    path.reach = start + 1;
    this.gaveUp = false;
    // Where only the rows count, what failed before fails again, unless a search before came to a match.
    if (this.#depends !== 'row' || this.#withinMicros !== null) this.#forget();
    const found = this.#search(start);
    if (found) this.#forget();
    return found;
  }

  #search(start: number): boolean {
    const { op, a, b, c, splits } = this.#program;
    const path = this.#path;
    const { length } = path.rows.slots;
    const until = this.#withinMicros === null ? null : this.#time(start) + this.#withinMicros;
    // Whatever comes yet comes too late for this search.
    const isClosed = until !== null && until <= this.settledMicros;
    let steps = 0;
    let top = 0;
    let pc = 0;
    let position = start;
    for (;;) {
      let fails = false;
      switch (op[pc]) {
        case Op.row: {
          if (!this.#remembers && ++steps > this.#maxSteps) return this.#giveUp(start);
          const depth = position - start;
          fails = position >= length || (until !== null && !(this.#time(position) < until));
          if (position >= path.reach && !(fails && isClosed)) path.reach = position + 1;
          if (!fails) {
            if (depth >= this.#pcs.length) this.#pcs = grown(this.#pcs, depth * 2);
            this.#pcs[depth] = pc;
            path.take(depth, a[pc]);
            fails = !this.#holds(a[pc], depth);
            position++;
            pc++;
          }
          break;
        }
        case Op.split: {
          if (this.#remembers) {
            const state = (position - this.#from) * splits + c[pc];
            if (this.#tried[state] === this.#stamp) {
              fails = true;
              break;
            }
            this.#tried[state] = this.#stamp;
          }
          if (top + 2 > this.#stack.length) this.#stack = grown(this.#stack, top * 2);
          this.#stack[top++] = b[pc];
          this.#stack[top++] = position;
          pc = a[pc];
          break;
        }
        case Op.jump:
          pc = a[pc];
          break;
        case Op.start:
          fails = position > 0 || !this.#isWhole;
          pc++;
          break;
        case Op.end:
          if (position >= path.reach) path.reach = position + 1;
          fails = position < length;
          pc++;
          break;
        case Op.mark:
          if (top + 2 > this.#stack.length) this.#stack = grown(this.#stack, top * 2);
          this.#stack[top++] = -1 - a[pc];
          this.#stack[top++] = this.#marks[a[pc]];
          this.#marks[a[pc]] = position;
          pc++;
          break;
        case Op.progress:
          fails = this.#marks[a[pc]] === position;
          pc++;
          break;
        default:
          this.length = position - start;
          return true;
      }
      if (!fails) continue;
      for (;;) {
        if (top === 0) return false;
        position = this.#stack[--top];
        pc = this.#stack[--top];
        if (pc >= 0) break;
        this.#marks[-1 - pc] = position;
      }
    }
  }

  #time(position: number): number {
    const { columns, slots } = this.#path.rows;
    // A row without a time is within nothing.
    const time = columns[this.#timeColumn].get(slots[position]);
    return time === null ? Number.NaN : Number(time);
  }

  #holds(variable: number, depth: number): boolean {
    const condition = this.#conditions[variable];
    if (condition === null) return true;
    try {
      return this.#path.evaluate(condition, depth, depth) === true;
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
      this.#onError(thrown.code, thrown.message, this.#row(this.#path.start + depth));
      return false;
    }
  }

  #row(position: number): Datum[] {
    const { columns, slots } = this.#path.rows;
    return columns.map((column) => column.get(slots[position]));
  }

  #giveUp(start: number): boolean {
    this.gaveUp = true;
    this.#onError(
      'VALUE_LIMIT',
      `MATCH_RECOGNIZE: from this row on the pattern can be read in so many ways that the search was given up`,
      this.#row(start),
    );
    return false;
  }
}

/** Measures of a match that was found. */
export class MatchMeasures {
  readonly #path: MatchPath;
  readonly #measures: readonly PreparedExpr[];
  readonly #onError: OnError;

  constructor(plan: Match, types: readonly SqlType[], onError: OnError) {
    this.#path = new MatchPath(plan.variables, types);
    this.#measures = plan.measures.map((measure: MatchExpr) => this.#path.prepare(measure));
    this.#onError = onError;
  }

  /** One more than the highest position that a measure looked at since `load`. */
  get reach(): number {
    return this.#path.reach;
  }

  load(rows: MatchRows, start: number, number: number, matcher: Matcher): void {
    const path = this.#path;
    path.rows = rows;
    path.start = start;
    path.number = number;
    path.reach = start;
    for (let depth = 0; depth < matcher.length; depth++) path.take(depth, matcher.variableAt(depth));
  }

  /** As the row at `depth` of `length` sees them. A measure that has no value is NULL. */
  values(depth: number, length: number): Datum[] {
    return this.#measures.map((measure) => {
      try {
        return this.#path.evaluate(measure, depth, length - 1);
      } catch (thrown) {
        if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
        this.#onError(thrown.code, thrown.message, []);
        return null;
      }
    });
  }
}

function dependsOn({ pattern, defines, variables }: Match): Depends {
  const heads = headOf(pattern, variables.length);
  let depends: Depends = 'row';
  for (const define of defines) {
    for (const read of define?.reads ?? []) {
      if (read.kind !== 'row' || read.column === null) return 'path';
      if (read.from === 'present') continue;
      if (read.variables === null || read.variables.some((variable) => !heads.has(variable))) return 'path';
      depends = 'start';
    }
  }
  return depends;
}

/** Variables that take one row each at the beginning of every match, and none later. */
function headOf(pattern: RowPattern, variables: number): ReadonlySet<number> {
  const times = new Array<number>(variables).fill(0);
  const count = (part: RowPattern): void => {
    if (part.op === 'row') times[part.variable]++;
    else if (part.op === 'sequence' || part.op === 'choice') part.items.forEach(count);
    else if (part.op === 'repeat' || part.op === 'exclude') count(part.item);
  };
  count(pattern);
  const heads = new Set<number>();
  for (const item of pattern.op === 'sequence' ? pattern.items : [pattern]) {
    if (item.op !== 'row' || times[item.variable] > 1) break;
    heads.add(item.variable);
  }
  return heads;
}

/** How far before a match's first row its conditions and measures may look. */
export function lookBehind({ defines, measures }: Match): number {
  let rows = 0;
  for (const expr of [...defines, ...measures]) {
    for (const read of expr?.reads ?? []) if (read.kind === 'row') rows = Math.max(rows, -read.shift);
  }
  return rows;
}

export const usesNumber = ({ measures, defines }: Match): boolean =>
  [...defines, ...measures].some((expr) => expr?.reads.some((read) => read.kind === 'number') === true);
