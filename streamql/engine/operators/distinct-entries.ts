import type { Column } from '../../../src/values/column.ts';
import { INTEGER, type SqlType } from '../../../src/values/types.ts';
import { Chains, NONE } from '../state/chains.ts';
import { ABSENT } from '../state/key-table.ts';
import { RowTable } from '../state/row-table.ts';
import { identity } from '../state/state-column.ts';

/** Which values a group has: one row per (group slot, value), and where groups are let go of, those of each group. */
export class DistinctEntries {
  readonly table: RowTable;
  /** Slots of the rows of the last `upsert`. */
  slots = new Int32Array(0);
  readonly #byGroup: Chains | null;

  /** `drops`: groups are let go of before all their values were taken back. */
  constructor(id: string, type: SqlType, values: readonly SqlType[], drops: boolean) {
    this.#byGroup = drops ? new Chains([INTEGER], true) : null;
    this.table = new RowTable(id, [INTEGER, type], values, {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => this.#byGroup?.arrays(visit),
    });
  }

  /** Returns how many entries are new: `table.keys.fresh`, brought by `freshRows`. */
  upsert(groups: Column, values: Column, count: number): number {
    if (this.slots.length < count) this.slots = new Int32Array(count);
    const made = this.table.upsert([groups, values], count, this.slots);
    const { fresh, freshRows } = this.table.keys;
    this.#byGroup?.link([groups], count, fresh, freshRows, made);
    return made;
  }

  release(slot: number): void {
    this.#byGroup?.unlink(slot);
    this.table.release(slot);
  }

  /** Lets go of a group's values, at the end of an epoch. */
  drop(group: number): void {
    this.table.ready();
    const chains = this.#byGroup!;
    const key = chains.keys.lookupOne([group]);
    if (key === ABSENT) return;
    const slots: number[] = [];
    for (let slot = chains.heads[key]; slot !== NONE; slot = chains.next[slot]) slots.push(slot);
    for (const slot of slots) this.release(slot);
  }

  #rebuild(): void {
    if (this.#byGroup === null) return;
    this.#byGroup.reset();
    const slots = this.table.aliveSlots();
    const groups = this.table.keys.columns[0].gather(slots, slots.length);
    this.#byGroup.link([groups], slots.length, slots, identity(slots.length), slots.length);
  }
}
