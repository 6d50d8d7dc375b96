import type { RowPattern } from './plan.ts';

/**
 * A row pattern as instructions for a backtracking matcher: at a split the first way is tried before the second, which is SQL's order of
 * preference. Counted repetitions are written out.
 */
export interface MatchProgram {
  readonly op: Int32Array;
  /** row: the variable; split: the preferred way; jump: the target; mark, progress: which mark. */
  readonly a: Int32Array;
  /** row: 1 when the row is excluded; split: the other way. */
  readonly b: Int32Array;
  /** split: which split it is. */
  readonly c: Int32Array;
  readonly splits: number;
  readonly marks: number;
  /** `^` is there. */
  readonly usesStart: boolean;
}

export const Op = { row: 0, split: 1, jump: 2, start: 3, end: 4, mark: 5, progress: 6, match: 7 } as const;

/** Longest program; undefined beyond. */
const MAX_LENGTH = 20_000;

export function compilePattern(pattern: RowPattern): MatchProgram | undefined {
  const writer = new Writer();
  if (!writer.pattern(pattern, 0)) return undefined;
  writer.emit(Op.match);
  return writer.finish();
}

/** Whether the pattern can match without a row. */
function isNullable(pattern: RowPattern): boolean {
  switch (pattern.op) {
    case 'row':
      return false;
    case 'sequence':
      return pattern.items.every(isNullable);
    case 'choice':
      return pattern.items.some(isNullable);
    case 'repeat':
      return pattern.min === 0 || isNullable(pattern.item);
    case 'exclude':
      return isNullable(pattern.item);
    default:
      return true;
  }
}

class Writer {
  readonly #op: number[] = [];
  readonly #a: number[] = [];
  readonly #b: number[] = [];
  readonly #c: number[] = [];
  #splits = 0;
  #marks = 0;
  #usesStart = false;

  get #length(): number {
    return this.#op.length;
  }

  emit(op: number, a = 0, b = 0): number {
    this.#op.push(op);
    this.#a.push(a);
    this.#b.push(b);
    this.#c.push(op === Op.split ? this.#splits++ : 0);
    return this.#length - 1;
  }

  finish(): MatchProgram {
    return {
      op: Int32Array.from(this.#op),
      a: Int32Array.from(this.#a),
      b: Int32Array.from(this.#b),
      c: Int32Array.from(this.#c),
      splits: this.#splits,
      marks: this.#marks,
      usesStart: this.#usesStart,
    };
  }

  /** False when it becomes too long. */
  pattern(pattern: RowPattern, excluded: 0 | 1): boolean {
    if (this.#length > MAX_LENGTH) return false;
    switch (pattern.op) {
      case 'row':
        this.emit(Op.row, pattern.variable, excluded);
        return true;
      case 'empty':
        return true;
      case 'start':
        this.#usesStart = true;
        this.emit(Op.start);
        return true;
      case 'end':
        this.emit(Op.end);
        return true;
      case 'sequence':
        return pattern.items.every((item) => this.pattern(item, excluded));
      case 'exclude':
        return this.pattern(pattern.item, 1);
      case 'choice':
        return this.#choice(pattern.items, excluded);
      case 'repeat': {
        for (let i = 0; i < pattern.min; i++) if (!this.pattern(pattern.item, excluded)) return false;
        if (pattern.max === null) return this.#loop(pattern, excluded);
        return this.#upTo(pattern, pattern.max - pattern.min, excluded);
      }
    }
  }

  #choice(items: readonly RowPattern[], excluded: 0 | 1): boolean {
    const ends: number[] = [];
    for (let i = 0; i < items.length - 1; i++) {
      const split = this.emit(Op.split);
      this.#a[split] = this.#length;
      if (!this.pattern(items[i], excluded)) return false;
      ends.push(this.emit(Op.jump));
      this.#b[split] = this.#length;
    }
    if (!this.pattern(items[items.length - 1], excluded)) return false;
    for (const end of ends) this.#a[end] = this.#length;
    return true;
  }

  #loop({ item, reluctant }: Extract<RowPattern, { op: 'repeat' }>, excluded: 0 | 1): boolean {
    const split = this.emit(Op.split);
    const body = this.#length;
    if (!this.#iteration(item, excluded)) return false;
    this.emit(Op.jump, split);
    const exit = this.#length;
    this.#a[split] = reluctant ? exit : body;
    this.#b[split] = reluctant ? body : exit;
    return true;
  }

  /** One that is not demanded has to take a row, or it would be repeated for ever. */
  #iteration(item: RowPattern, excluded: 0 | 1): boolean {
    if (!isNullable(item)) return this.pattern(item, excluded);
    const mark = this.#marks++;
    this.emit(Op.mark, mark);
    if (!this.pattern(item, excluded)) return false;
    this.emit(Op.progress, mark);
    return true;
  }

  /** (item (item (…)?)?)?, `times` deep. */
  #upTo({ item, reluctant }: Extract<RowPattern, { op: 'repeat' }>, times: number, excluded: 0 | 1): boolean {
    const splits: number[] = [];
    for (let i = 0; i < times; i++) {
      const split = this.emit(Op.split);
      splits.push(split);
      (reluctant ? this.#b : this.#a)[split] = this.#length;
      if (!this.#iteration(item, excluded)) return false;
    }
    for (const split of splits) (reluctant ? this.#a : this.#b)[split] = this.#length;
    return true;
  }
}
