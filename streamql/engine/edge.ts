import type { Operator } from './operator.ts';

/**
 * Event time on the way through a pipeline: the watermark of an operator's output is the least of those of its inputs that have one at
 * all (`bounded`, as plan/event-time.ts says). Watermarks run ahead of the rows within an epoch, and each operator is told of those of its inputs
 * once their rows have come.
 */
export class Edge {
  readonly #operator: Operator | null;
  readonly #inputs: readonly Edge[];
  readonly #bounded: boolean;
  readonly #consumers: Edge[] = [];
  /** By port, what the operator was told. */
  readonly #told: (number | null)[];
  micros: number | null = null;

  /** `operator` is null for a leaf, which `advance` moves. */
  constructor(operator: Operator | null, inputs: readonly Edge[], bounded: boolean) {
    this.#operator = operator;
    this.#inputs = inputs;
    this.#bounded = bounded;
    this.#told = inputs.map(() => null);
    for (const input of inputs) input.#consumers.push(this);
  }

  /** True when an operator further on will be told. */
  advance(micros: number): boolean {
    if (!this.#bounded || (this.micros !== null && micros <= this.micros)) return false;
    this.micros = micros;
    let isUsed = false;
    for (const consumer of this.#consumers) {
      if (consumer.#operator?.advance !== undefined) isUsed = true;
      const least = consumer.#least();
      if (least !== null && consumer.advance(least)) isUsed = true;
    }
    return isUsed;
  }

  #least(): number | null {
    let least: number | null = null;
    for (const input of this.#inputs) {
      if (!input.#bounded) continue;
      if (input.micros === null) return null;
      if (least === null || input.micros < least) least = input.micros;
    }
    return least;
  }

  /** Tells the operator what is new. */
  tell(): void {
    if (this.#operator?.advance === undefined) return;
    this.#inputs.forEach((input, port) => {
      if (input.micros === null || input.micros === this.#told[port]) return;
      this.#told[port] = input.micros;
      this.#operator!.advance!(port, input.micros);
    });
  }
}
