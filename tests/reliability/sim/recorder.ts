import type { History, Op, Step } from '../history.ts';

/** An operation under way. */
export interface Open {
  readonly process: string;
  readonly start: number;
}

/** Writes the history down. Its times are a count of beginnings and ends: what ended before another began has the smaller number. */
export class Recorder {
  readonly ops: Op[] = [];
  /** What is wrong beside the anomalies of a history: a commit that was forgotten, a producer id given twice. */
  readonly complaints: string[] = [];
  healedAt: number | undefined;
  /** Error codes of answers, counted: what the run went through. */
  readonly errors: Record<string, number> = {};
  readonly #producerIds = new Map<number, string>();
  #count = 0;

  tick(): number {
    return ++this.#count;
  }

  begin(process: string): Open {
    return { process, start: this.tick() };
  }

  end(
    { process, start }: Open,
    outcome: Op['outcome'],
    steps: readonly Step[],
    batch = false,
    transaction = false,
  ): void {
    this.ops.push({ process, start, end: this.tick(), outcome, steps, batch, transaction });
  }

  error(what: string): void {
    this.errors[what] = (this.errors[what] ?? 0) + 1;
  }

  gotProducerId(id: number, who: string): void {
    const other = this.#producerIds.get(id);
    if (other !== undefined && other !== who)
      this.complaints.push(`producer id ${id} was given to ${other} and ${who}`);
    this.#producerIds.set(id, who);
  }

  /** All writes, and what those readers read. */
  history(isReader: (process: string) => boolean, alive: readonly string[]): History {
    const ops = this.ops.filter(
      ({ process, steps }) => isReader(process) || steps.some((step) => step.kind === 'send'),
    );
    return {
      ops,
      caughtUp: true,
      ...(this.healedAt === undefined ? {} : { healedAt: this.healedAt }),
      alive,
    };
  }
}
