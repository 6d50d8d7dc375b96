import { equalDatums } from '../../src/values/compare.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';

/** What an aggregate sees of a group: its rows that count, in order. `a` and `b` are the arguments; `b` is null where there is one. */
export interface GroupRows {
  /** Each row as often as it is there. */
  readonly count: number;
  /** `a` of the first and last row; undefined where there is none. */
  first(): Datum | undefined;
  last(): Datum | undefined;
  /** `a` of the row at a position from 0 to count − 1. */
  at(position: number): Datum;
  /** In order, equal rows together; stops when `visit` returns false. */
  each(visit: (a: Datum, b: Datum, times: number) => boolean): void;
}

/** Rows given as lists, already in order. `distinct`: equal ones, which stand together, count once. */
export class ListedRows implements GroupRows {
  readonly #a: readonly Datum[];
  readonly #b: readonly Datum[] | null;
  readonly #types: readonly SqlType[];

  constructor(a: readonly Datum[], b: readonly Datum[] | null, distinct: boolean, types: readonly SqlType[]) {
    this.#a = a;
    this.#b = b;
    this.#types = types;
    if (!distinct) return;
    const keep = (_: Datum, i: number): boolean => i === 0 || !this.#equal(i - 1, i);
    const kept = a.filter(keep);
    if (b !== null) this.#b = b.filter(keep);
    this.#a = kept;
  }

  get count(): number {
    return this.#a.length;
  }

  first(): Datum | undefined {
    return this.#a[0];
  }

  last(): Datum | undefined {
    return this.#a[this.#a.length - 1];
  }

  at(position: number): Datum {
    return this.#a[position];
  }

  each(visit: (a: Datum, b: Datum, times: number) => boolean): void {
    for (let from = 0; from < this.#a.length; ) {
      let to = from + 1;
      while (to < this.#a.length && this.#equal(from, to)) to++;
      if (!visit(this.#a[from], this.#b === null ? null : this.#b[from], to - from)) return;
      from = to;
    }
  }

  #equal(i: number, j: number): boolean {
    const [aType, bType] = this.#types;
    return (
      equalDatums(this.#a[i], this.#a[j], aType) && (this.#b === null || equalDatums(this.#b[i], this.#b[j], bType))
    );
  }
}
