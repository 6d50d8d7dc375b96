import { decodeChecked, encodeChecked } from './checked-file.ts';

/** Kafka keeps this many batches per producer; a client has at most as many in flight (max.in.flight.requests ≤ 5). */
const REMEMBERED_BATCHES = 5;
const LARGEST_SEQUENCE = 0x7fffffff;
/** producer.id.expiration.ms of Kafka: one day without a batch. */
const PRODUCER_EXPIRY_MS = 86_400_000;

export interface ProducerBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly timestampMs: number;
}

/** Never changed in place, so that a snapshot or an undo can keep it. */
export interface ProducerEntry {
  readonly epoch: number;
  /** Oldest first, at most five. */
  readonly batches: readonly ProducerBatch[];
  /** When a batch of this producer last came, by our clock. */
  readonly seenMs: number;
}

export interface Sequenced {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly lastOffsetDelta: number;
}

export type SequenceCheck = { readonly duplicateOf: ProducerBatch } | 'ok' | 'out of order' | 'old epoch';

/** What a repeated append was stored as the first time. */
export interface Duplicates {
  readonly first: ProducerBatch;
  readonly last: ProducerBatch;
}

/** Per producer what a partition must remember to store each batch once and in order (KIP-98, KIP-360). */
export class ProducerState {
  #entries: Map<number, ProducerEntry>;

  constructor(entries: Iterable<readonly [number, ProducerEntry]> = []) {
    this.#entries = new Map(entries);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#entries.get(producerId);
  }

  entries(): IterableIterator<[number, ProducerEntry]> {
    return this.#entries.entries();
  }

  /** A producer that is not known may begin anywhere: its state may have expired or been lost with a topic's old records. */
  check(batch: Sequenced): SequenceCheck {
    const entry = this.#entries.get(batch.producerId);
    if (!entry) return 'ok';
    if (batch.producerEpoch < entry.epoch) return 'old epoch';
    if (batch.baseSequence < 0) return 'ok';
    if (batch.producerEpoch > entry.epoch) return batch.baseSequence === 0 ? 'ok' : 'out of order';
    const lastSequence = sequenceAfter(batch.baseSequence, batch.lastOffsetDelta);
    for (const known of entry.batches) {
      if (known.firstSequence === batch.baseSequence && known.lastSequence === lastSequence)
        return { duplicateOf: known };
    }
    const last = entry.batches.at(-1);
    // Only a marker has raised the epoch since: sequences begin anew.
    if (last === undefined) return batch.baseSequence === 0 ? 'ok' : 'out of order';
    return batch.baseSequence === sequenceAfter(last.lastSequence, 1) ? 'ok' : 'out of order';
  }

  /** Judges batches that come in one append, each after the one before; changes nothing. Duplicates are all of them or an error. */
  checkAll(batches: readonly Sequenced[]): 'ok' | 'out of order' | 'old epoch' | Duplicates {
    if (batches.length === 1) {
      const verdict = batches[0]!.producerId < 0 ? 'ok' : this.check(batches[0]!);
      return typeof verdict === 'string' ? verdict : { first: verdict.duplicateOf, last: verdict.duplicateOf };
    }
    const tried: { readonly id: number; readonly before: ProducerEntry | undefined }[] = [];
    let duplicates: Duplicates | undefined;
    try {
      for (const [at, batch] of batches.entries()) {
        const verdict = batch.producerId < 0 ? 'ok' : this.check(batch);
        if (verdict === 'ok') {
          if (duplicates) return 'out of order';
          if (batch.producerId >= 0) tried.push({ id: batch.producerId, before: this.add(batch, 0, 0, 0) });
        } else if (typeof verdict === 'string') {
          return verdict;
        } else {
          if (at > 0 && !duplicates) return 'out of order';
          duplicates = { first: duplicates?.first ?? verdict.duplicateOf, last: verdict.duplicateOf };
        }
      }
      return duplicates ?? 'ok';
    } finally {
      for (const { id, before } of tried.reverse()) this.restore(id, before);
    }
  }

  /**
   * Takes a batch that was checked or is already in the log. Returns the entry before, for `restore`. A batch without sequence is a
   * coordinator's (a transaction's marker or offsets): it can only raise the epoch.
   */
  add(batch: Sequenced, baseOffset: number, timestampMs: number, nowMs: number): ProducerEntry | undefined {
    const before = this.#entries.get(batch.producerId);
    if (batch.baseSequence < 0) {
      const batches = before?.epoch === batch.producerEpoch ? before.batches : [];
      this.#entries.set(batch.producerId, { epoch: batch.producerEpoch, batches, seenMs: nowMs });
      return before;
    }
    const added: ProducerBatch = {
      firstSequence: batch.baseSequence,
      lastSequence: sequenceAfter(batch.baseSequence, batch.lastOffsetDelta),
      baseOffset,
      lastOffset: baseOffset + batch.lastOffsetDelta,
      timestampMs,
    };
    const kept = before?.epoch === batch.producerEpoch ? before.batches.slice(1 - REMEMBERED_BATCHES) : [];
    kept.push(added);
    this.#entries.set(batch.producerId, { epoch: batch.producerEpoch, batches: kept, seenMs: nowMs });
    return before;
  }

  /** Takes back an `add`; several are taken back newest first. */
  restore(producerId: number, before: ProducerEntry | undefined): void {
    if (before) this.#entries.set(producerId, before);
    else this.#entries.delete(producerId);
  }

  expire(nowMs: number): void {
    for (const [id, entry] of this.#entries) if (nowMs - entry.seenMs > PRODUCER_EXPIRY_MS) this.#entries.delete(id);
  }

  /** The state as it is now, unaffected by later batches. */
  copy(): ProducerState {
    return new ProducerState(this.#entries);
  }

  encode(): Buffer {
    const producers = [...this.#entries].map(([id, { epoch, seenMs, batches }]) => [
      id,
      epoch,
      seenMs,
      batches.map((batch) => [
        batch.firstSequence,
        batch.lastSequence,
        batch.baseOffset,
        batch.lastOffset,
        batch.timestampMs,
      ]),
    ]);
    return encodeChecked('producers', 1, JSON.stringify(producers));
  }

  /** STORAGE_FAILED when damaged; the log is scanned then. */
  static decode(content: Buffer, path: string): ProducerState {
    const producers = JSON.parse(decodeChecked('producers', 1, content, path)) as [
      number,
      number,
      number,
      number[][],
    ][];
    return new ProducerState(
      producers.map(([id, epoch, seenMs, rows]) => {
        const batches = rows.map(([firstSequence, lastSequence, baseOffset, lastOffset, timestampMs]) => ({
          firstSequence: firstSequence!,
          lastSequence: lastSequence!,
          baseOffset: baseOffset!,
          lastOffset: lastOffset!,
          timestampMs: timestampMs!,
        }));
        return [id, { epoch, seenMs, batches }] as const;
      }),
    );
  }
}

/** Sequences run from 0 to 2^31−1 and then begin again at 0. */
function sequenceAfter(sequence: number, steps: number): number {
  return sequence > LARGEST_SEQUENCE - steps ? steps - (LARGEST_SEQUENCE - sequence) - 1 : sequence + steps;
}
