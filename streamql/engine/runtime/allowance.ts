/** How much may be done per second: a tenth of a second's worth at a time, so that what is limited stays even. */
export class Allowance {
  readonly perSecond: number;
  readonly #most: number;
  #left: number;
  #atMs: number | null = null;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.#most = Math.max(1, perSecond / 10);
    this.#left = this.#most;
  }

  /** Whole units that may be used now; `nowMs` is monotonic. */
  left(nowMs: number): number {
    if (this.#atMs !== null)
      this.#left = Math.min(this.#most, this.#left + ((nowMs - this.#atMs) * this.perSecond) / 1000);
    this.#atMs = nowMs;
    return Math.floor(this.#left);
  }

  use(units: number): void {
    this.#left -= units;
  }

  get isUsedUp(): boolean {
    return this.#left < 1;
  }

  /** Until all that may be used at a time can be. */
  get fullInMs(): number {
    return ((this.#most - this.#left) * 1000) / this.perSecond;
  }
}
