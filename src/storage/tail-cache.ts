/** Recently appended batches of all logs, within one budget; the oldest go first whichever log they belong to. */
export class TailCacheBudget {
  readonly #limitBytes: number;
  #bytes = 0;
  #queue: CacheEntry[] = [];
  #head = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @internal */
  admit(entry: CacheEntry): void {
    this.#queue.push(entry);
    this.#bytes += entry.data.length;
    while (this.#bytes > this.#limitBytes && this.#head < this.#queue.length) {
      const oldest = this.#queue[this.#head++]!;
      if (oldest.owner) oldest.owner.dropFirst();
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  /** @internal */
  release(entry: CacheEntry): void {
    entry.owner = undefined;
    this.#bytes -= entry.data.length;
    entry.data = NOTHING;
  }
}

interface CacheEntry {
  owner: TailCache | undefined;
  readonly baseOffset: number;
  readonly lastOffset: number;
  data: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** The end of one log as the buffers it was appended in, without gaps, so that consumers who keep up never touch the disk. */
export class TailCache {
  readonly #budget: TailCacheBudget;
  #entries: CacheEntry[] = [];
  #head = 0;

  constructor(budget: TailCacheBudget) {
    this.#budget = budget;
  }

  /** The buffer must not change any more. */
  add(baseOffset: number, lastOffset: number, data: Buffer): void {
    const entry: CacheEntry = { owner: this, baseOffset, lastOffset, data };
    this.#entries.push(entry);
    this.#budget.admit(entry);
  }

  /** As PartitionLog.read; undefined when the batch with `offset` is not here. */
  read(offset: number, maxBytes: number, maxOffset: number): Buffer | undefined {
    const count = this.#entries.length;
    if (this.#head === count || this.#entries[this.#head]!.baseOffset > offset) return undefined;
    let low = this.#head;
    for (let high = count - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.lastOffset >= offset) high = middle;
      else low = middle + 1;
    }
    const first = this.#entries[low]!;
    if (first.lastOffset < offset || first.lastOffset >= maxOffset) return undefined;
    let bytes = first.data.length;
    let end = low + 1;
    while (end < count && this.#entries[end]!.lastOffset < maxOffset) {
      if (bytes + this.#entries[end]!.data.length > maxBytes) break;
      bytes += this.#entries[end++]!.data.length;
    }
    if (end === low + 1) return first.data;
    const whole = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (let index = low; index < end; index++) {
      whole.set(this.#entries[index]!.data, at);
      at += this.#entries[index]!.data.length;
    }
    return whole;
  }

  /** @internal called by the budget: the oldest entry goes. */
  dropFirst(): void {
    this.#budget.release(this.#entries[this.#head++]!);
    if (this.#head > 256 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Forgets what was appended at or after the offset: it did not reach the disk. */
  dropFrom(offset: number): void {
    while (this.#entries.length > this.#head && this.#entries.at(-1)!.baseOffset >= offset) {
      this.#budget.release(this.#entries.pop()!);
    }
  }

  /** Forgets what lies wholly below the offset: the log holds it in another form now. */
  dropBelow(offset: number): void {
    while (this.#head < this.#entries.length && this.#entries[this.#head]!.lastOffset < offset) this.dropFirst();
  }

  clear(): void {
    this.dropFrom(0);
    this.#entries = [];
    this.#head = 0;
  }
}
