import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, ofSign } from '../../../src/values/batch.ts';
import type { Spread } from '../../plan/partitioning.ts';
import { type Peers, plainError, receive, type Waiting } from '../shards/peers.ts';
import { splitByShard } from '../shards/place.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/**
 * Brings every row to the shard where `spread` wants it. What stays goes on at once; the rest is sent at the end of the epoch, and what
 * others sent goes on then. Each sender's rows keep their order, so a row is never taken back before it came.
 */
export class ExchangeOperator extends OperatorBase {
  readonly #spread: Exclude<Spread, { to: 'any' }>;
  readonly #peers: Peers;
  readonly #channel: string;
  readonly #leaving: Batch[][];
  #sent = false;
  /** Set for an epoch: what was held back in several shards. What goes in one may have come in another. */
  #waiting: Batch[] | null = null;

  constructor(
    info: OperatorInfo,
    context: OperatorContext,
    spread: Exclude<Spread, { to: 'any' }>,
    peers: Peers,
    channel: string,
  ) {
    super(info, context);
    this.#spread = spread;
    this.#peers = peers;
    this.#channel = channel;
    this.#leaving = Array.from({ length: peers.count }, () => []);
  }

  /** In this epoch, rows that come go on before those that go, wherever they are from. */
  takeComingFirst(): void {
    this.#waiting = [];
  }

  push(_port: number, batch: Batch): void {
    const { index, count } = this.#peers;
    if (this.#spread.to === 'one') {
      if (index === 0) this.#pass(batch);
      else this.#leaving[0].push(batch);
      return;
    }
    const parts = splitByShard(batch, this.#spread, count);
    for (let shard = 0; shard < count; shard++) {
      const part = parts[shard];
      if (part === null) continue;
      if (shard === index) this.#pass(part);
      else this.#leaving[shard].push(part);
    }
  }

  /** The end of the epoch: `deliver` takes in what comes from the others. PIPELINE_FAILED when one of them failed. */
  *meet(deliver: (batch: Batch) => void): Waiting<void> {
    const { index, count } = this.#peers;
    this.#sent = true;
    for (let to = 0; to < count; to++) {
      if (to === index) continue;
      const batches = this.#leaving[to];
      this.#leaving[to] = [];
      this.#peers.send(to, this.#channel, { batches });
    }
    for (let from = 0; from < count; from++) {
      if (from === index) continue;
      const { batches, failure } = yield* receive(this.#peers, from, this.#channel);
      if (failure !== undefined) throw StreamError.from(failure as Parameters<typeof StreamError.from>[0]);
      for (const batch of batches ?? []) {
        if (this.#waiting === null) deliver(batch);
        else this.#waiting.push(batch);
      }
    }
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const sign of [1, -1]) for (const batch of waiting) deliver(ofSign(batch, sign));
    this.#sent = false;
  }

  #pass(batch: Batch): void {
    if (this.#waiting === null) this.emit(batch);
    else this.#waiting.push(batch);
  }

  /** What came from another shard goes on. */
  deliver(batch: Batch): void {
    this.emit(batch);
  }

  /** The query failed here: whoever waits for this shard in the present epoch is told instead. */
  giveUp(error: StreamError): void {
    if (this.#sent) return;
    const { index, count } = this.#peers;
    for (let to = 0; to < count; to++) {
      if (to !== index) this.#peers.send(to, this.#channel, { failure: plainError(error) });
    }
  }
}
