/** Fewer records are not worth a batch. */
const LEAST = 16;
/** To begin with: nobody knows yet what is done with a record. */
const FIRST = 64;

/**
 * How many records a reader takes at a time. A batch is not interrupted, so what costs a millisecond a record (a function of a user, a join with many matches) takes
 * few at a time, lest everything else stands still meanwhile.
 */
export class Pace {
  readonly #most: number;
  #records: number;

  constructor(most: number) {
    this.#most = most;
    this.#records = Math.min(FIRST, most);
  }

  get records(): number {
    return this.#records;
  }

  /** That many took so long, of a slice that should take `sliceMs`. */
  took(ms: number, sliceMs: number): void {
    // What is a little long may have been another process's turn, or the collector's.
    if (ms > 4 * sliceMs) {
      const fewer = Math.floor((this.#records * 2 * sliceMs) / ms);
      this.#records = Math.max(Math.min(LEAST, this.#most), fewer);
    } else if (ms < sliceMs / 2) this.#records = Math.min(this.#most, this.#records * 2);
  }
}
