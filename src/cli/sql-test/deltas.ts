import type { StreamEngine, Subscription } from '../../ports/engine.ts';
import { type Batch, type ColumnSchema, weightAt } from '../../values/batch.ts';
import { rowText } from './row-text.ts';

/** The changes of one view since they were last taken: net per step of the test, so that epochs do not show. */
export class Deltas {
  readonly #columns: readonly ColumnSchema[];
  #subscription: Subscription | undefined;
  /** All rows, as the changes so far make them. */
  #rows = new Map<string, number>();
  #step = new Map<string, number>();
  #lines: string[] = [];
  #failure: string | undefined;

  private constructor(columns: readonly ColumnSchema[]) {
    this.#columns = columns;
  }

  static async follow(engine: StreamEngine, id: string, columns: readonly ColumnSchema[]): Promise<Deltas> {
    const deltas = new Deltas(columns);
    await deltas.followAgain(engine, id);
    return deltas;
  }

  /** Goes on with another engine: what it begins with is compared with the rows that were there. */
  async followAgain(engine: StreamEngine, id: string): Promise<void> {
    this.#subscription = await engine.subscribe(id, { snapshot: true }, (change) => {
      if (change.error !== undefined) {
        this.#failure = `${change.error.code}: ${change.error.detail}`;
        return;
      }
      if (change.snapshot) {
        for (const [text, weight] of this.#rows) this.#count(text, -weight);
      }
      this.#add(change.batch);
    });
  }

  #add(batch: Batch): void {
    for (let row = 0; row < batch.length; row++) this.#count(rowText(this.#columns, batch, row), weightAt(batch, row));
  }

  #count(text: string, weight: number): void {
    for (const counts of [this.#rows, this.#step]) {
      const sum = (counts.get(text) ?? 0) + weight;
      if (sum === 0) counts.delete(text);
      else counts.set(text, sum);
    }
  }

  /** A statement's effects are complete. Retractions come first, then rows by their text. */
  endStep(): void {
    for (const sign of ['-', '+'] as const) {
      for (const [text, weight] of [...this.#step].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const times = sign === '-' ? -weight : weight;
        for (let i = 0; i < times; i++) this.#lines.push(`${sign} ${text}`);
      }
    }
    this.#step = new Map();
  }

  take(): string[] {
    const lines = this.#failure === undefined ? this.#lines : [...this.#lines, `failed: ${this.#failure}`];
    this.#lines = [];
    return lines;
  }

  close(): void {
    this.#subscription?.close();
  }
}
