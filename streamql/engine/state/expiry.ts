import { timeBoundsOf } from '../../plan/event-time.ts';
import type { Over, Plan, TopN } from '../../plan/plan.ts';
import type { HasArrays, Visit } from './arrays.ts';
import type { KeyTable } from './key-table.ts';
import { TimeQueue } from './time-queue.ts';

/** A column of state that says until when its entry can still change. */
export interface ExpiryColumn {
  readonly column: number;
  readonly lagMicros: number;
}

/** Of a node's output columns one whose time lets go of all state about it, since no late row can come; null when there is none. */
export function expiryOf(plan: Plan): ExpiryColumn | null {
  for (const [column, { lagMicros, firm }] of timeBoundsOf(plan)) if (firm) return { column, lagMicros };
  return null;
}

/** The same among the partition columns of a node; `column` is a position in `partitionBy`. */
export function partitionExpiry(plan: TopN | Over): ExpiryColumn | null {
  for (const [column, { lagMicros, firm }] of timeBoundsOf(plan)) {
    const at = plan.partitionBy.indexOf(column);
    if (firm && at >= 0) return { column: at, lagMicros };
  }
  return null;
}

/**
 * Finds the entries of a table that no row can change any more: those whose time is below the watermark, which is the least of those
 * of the inputs. 16 bytes per entry; derived, never saved.
 */
export class Expiry implements HasArrays {
  readonly #keys: KeyTable;
  readonly #expiry: ExpiryColumn;
  readonly #watermarks: (number | null)[];
  #queue = new TimeQueue();

  /** `expiry.column` is one of the table's columns. `inputs`: how many of the operator's inputs have watermarks. */
  constructor(keys: KeyTable, expiry: ExpiryColumn, inputs = 1) {
    this.#keys = keys;
    this.#expiry = expiry;
    this.#watermarks = new Array<null>(inputs).fill(null);
  }

  arrays(visit: Visit): void {
    this.#queue.arrays(visit);
  }

  advance(port: number, micros: number): void {
    this.#watermarks[port] = micros;
  }

  /** Entries that are new to the table. One without a time stays. */
  add(slots: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const time = this.#timeOf(slots[i]);
      if (!Number.isNaN(time)) this.#queue.push(time, slots[i]);
    }
  }

  /** After a load. */
  rebuild(): void {
    this.#queue = new TimeQueue();
    const slots = this.#keys.aliveSlots();
    this.add(slots, slots.length);
  }

  /** The entries to let go of, each once. */
  due(): number[] {
    const due = new Set<number>();
    let watermark = Number.POSITIVE_INFINITY;
    for (const micros of this.#watermarks) {
      if (micros === null) return [];
      if (micros < watermark) watermark = micros;
    }
    while (this.#queue.next < watermark) {
      const time = this.#queue.next;
      const slot = this.#queue.pop();
      // The entry may have gone in between, and its slot be another's.
      if (this.#keys.alive(slot) && this.#timeOf(slot) === time) due.add(slot);
    }
    return [...due];
  }

  #timeOf(slot: number): number {
    const value = this.#keys.columns[this.#expiry.column].get(slot);
    return value === null ? Number.NaN : Number(value) + this.#expiry.lagMicros;
  }
}
