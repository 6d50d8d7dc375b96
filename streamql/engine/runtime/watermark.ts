import type { PartitionPosition } from './record-decoder.ts';

/**
 * How far event time has come in a source: the least of its partitions' watermarks, leaving out those without records for the idle
 * timeout (0: none is ever idle). It never goes back. What is late is decided per partition (record-decoder.ts), not by this.
 */
export class Watermark {
  readonly #delayMicros: number;
  readonly #idleTimeoutMs: number;
  readonly #seen = new Map<number, { next: number; atMs: number }>();
  micros: number | null;

  constructor(delayMicros: number, idleTimeoutMs: number, from: number | null) {
    this.#delayMicros = delayMicros;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.micros = from;
  }

  /** After a step, and when asked for: `nowMs` is monotonic. */
  update(partitions: readonly PartitionPosition[], nowMs: number): void {
    let least = Number.POSITIVE_INFINITY;
    for (const { partition, next, maxTime } of partitions) {
      const seen = this.#seen.get(partition);
      if (seen === undefined || seen.next !== next) this.#seen.set(partition, { next, atMs: nowMs });
      else if (this.#idleTimeoutMs > 0 && nowMs - seen.atMs >= this.#idleTimeoutMs) continue;
      if (maxTime < least) least = maxTime;
    }
    if (!Number.isFinite(least)) return;
    const micros = least - this.#delayMicros;
    if (this.micros === null || micros > this.micros) this.micros = micros;
  }
}
