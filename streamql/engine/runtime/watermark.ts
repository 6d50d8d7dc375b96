import type { PartitionPosition } from './record-decoder.ts';

type Position = PartitionPosition & { readonly highWatermark: number };

/**
 * How far event time has come in a source: the least of its partitions' watermarks, leaving out those that are read to the end and got no
 * records for the idle timeout (0: none is ever idle); when all are idle, the greatest. It never goes back, and no partition stays behind it: what comes to one that was
 * left out, or is new, and is below the watermark is late there too. So views may take the watermark at its word.
 */
export class Watermark {
  readonly #delayMicros: number;
  readonly #idleTimeoutMs: number;
  readonly #seen = new Map<number, { next: number; atMs: number }>();
  /** When the next partition becomes idle if nothing comes; infinite when none will. At first it is to be found out. */
  #nextIdleMs = Number.NEGATIVE_INFINITY;
  micros: number | null;
  /** Partitions that were left out when it was last looked. */
  readonly idle = new Set<number>();

  constructor(delayMicros: number, idleTimeoutMs: number, from: number | null) {
    this.#delayMicros = delayMicros;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.micros = from;
  }

  /** By the clock of `update`. */
  get nextIdleMs(): number {
    return this.#nextIdleMs;
  }

  /**
   * The least time of the partitions that count, infinite when none does. After a step, and when a partition may have become idle;
   * `nowMs` is monotonic, and `all` how many partitions there are, with those that other shards read.
   */
  least(partitions: readonly Position[], nowMs: number, all: number): number {
    let least = Number.POSITIVE_INFINITY;
    this.#nextIdleMs = Number.POSITIVE_INFINITY;
    for (const { partition, next, maxTime, highWatermark } of partitions) {
      const seen = this.#seen.get(partition);
      if (seen === undefined || seen.next !== next || next < highWatermark) {
        this.#seen.set(partition, { next, atMs: nowMs });
        this.#expectIdle(nowMs, all);
      } else if (this.#idleTimeoutMs > 0 && nowMs - seen.atMs >= this.#idleTimeoutMs) {
        this.idle.add(partition);
        continue;
      } else {
        this.#expectIdle(seen.atMs, all);
      }
      this.idle.delete(partition);
      if (maxTime < least) least = maxTime;
    }
    return least;
  }

  /** The greatest time of the partitions, which counts when none holds the others back; −Infinity before the first. */
  greatest(partitions: readonly Position[]): number {
    return partitions.reduce((most, { maxTime }) => Math.max(most, maxTime), Number.NEGATIVE_INFINITY);
  }

  /** Moves on to what the least time of all partitions says; none of these is behind it from then on. */
  settle(partitions: readonly Position[], least: number): void {
    const micros = least - this.#delayMicros;
    if (Number.isFinite(micros) && (this.micros === null || micros > this.micros)) this.micros = micros;
    if (this.micros === null) return;
    const floor = this.micros + this.#delayMicros;
    for (const position of partitions) if (position.maxTime < floor) position.maxTime = floor;
  }

  /** One partition alone holds nobody back. */
  #expectIdle(sinceMs: number, partitions: number): void {
    if (this.#idleTimeoutMs === 0 || partitions < 2) return;
    this.#nextIdleMs = Math.min(this.#nextIdleMs, sinceMs + this.#idleTimeoutMs);
  }
}
