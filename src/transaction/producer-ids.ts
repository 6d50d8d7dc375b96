/** Where reserved producer ids are written down. */
export interface ProducerIdStore {
  /** Resolves once it is durable that ids below `end` may be in use. */
  reserve(end: number): Promise<void>;
}

/** Ids reserved at a time: one durable write per so many producers. What a stop leaves of a block is never used. Kafka's size. */
const BLOCK = 1000;

/**
 * Gives producers their ids (KIP-98). An id is given once for the life of the data directory, whatever stops the process: a
 * second producer with the id of a first would have its batches taken for the first one's repeats.
 */
export class ProducerIds {
  readonly #store: ProducerIdStore;
  #next: number;
  #end: number;
  #reserving: Promise<void> | undefined;

  /** `reserved` is the highest end that the store was ever told. */
  constructor(store: ProducerIdStore, reserved: number) {
    this.#store = store;
    this.#next = reserved;
    this.#end = reserved;
  }

  /** Rejects when no further id can be written down as reserved; the next call tries again. */
  async next(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#reserving ??= this.#reserve();
      await this.#reserving;
    }
    return this.#next++;
  }

  async #reserve(): Promise<void> {
    const end = this.#end + BLOCK;
    try {
      await this.#store.reserve(end);
      this.#end = end;
    } finally {
      this.#reserving = undefined;
    }
  }
}
