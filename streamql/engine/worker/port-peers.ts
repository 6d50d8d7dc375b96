import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { StreamError } from '../../../src/lib/errors.ts';
import { decodeBatch, type EncodedBatch, encodeBatch, transferables } from '../../../src/values/batch-codec.ts';
import { Inbox, type Message, type Peers, type Waiting } from '../shards/peers.ts';

/** How the threads of one engine reach each other: a port per pair, and words to wait on. */
export interface PeerLinks {
  readonly index: number;
  readonly count: number;
  /** By shard; null for oneself. */
  readonly ports: readonly (MessagePort | null)[];
  /** Per shard, how many messages were sent to it; behind them, 1 once a thread has ended. */
  readonly signals: Int32Array;
}

interface PortMessage {
  readonly round: number;
  readonly channel: string;
  readonly batches: readonly EncodedBatch[];
  readonly value: unknown;
  readonly failure: Message['failure'];
}

/** A wait looks up this often, should a wake-up ever be missed. */
const WAIT_MS = 1000;

/**
 * Shards in threads. Inside a round a thread takes messages without turning its event loop, and sleeps where it has to wait. When a thread ends no one
 * waits for it: the wait throws, and with it this thread ends too.
 */
export class PortPeers implements Peers {
  readonly index: number;
  readonly count: number;
  readonly #ports: readonly (MessagePort | null)[];
  readonly #signals: Int32Array;
  readonly #inbox = new Inbox();
  #round = 0;
  /** Messages sent to this shard when it last looked. */
  #seen = 0;

  constructor({ index, count, ports, signals }: PeerLinks) {
    this.index = index;
    this.count = count;
    this.#ports = ports;
    this.#signals = signals;
  }

  send(to: number, channel: string, { batches = [], value, failure }: Message): void {
    const encoded = batches.map(encodeBatch);
    const message: PortMessage = { round: this.#round, channel, batches: encoded, value, failure };
    this.#ports[to]!.postMessage(message, encoded.flatMap(transferables));
    Atomics.add(this.#signals, to, 1);
    Atomics.notify(this.#signals, to);
  }

  take(from: number, channel: string): Message | undefined {
    const message = this.#inbox.take(this.#round, from, channel);
    if (message !== undefined) return message;
    this.#seen = Atomics.load(this.#signals, this.index);
    for (let shard = 0; shard < this.count; shard++) this.#drain(shard);
    return this.#inbox.take(this.#round, from, channel);
  }

  endRound(): void {
    this.#inbox.forget(this.#round++);
  }

  /** Runs what waits for other shards; this thread sleeps meanwhile. PIPELINE_FAILED when another thread has ended. */
  run<T>(work: Waiting<T>): T {
    for (;;) {
      const { done, value } = work.next();
      if (done === true) return value;
      if (Atomics.load(this.#signals, this.count) !== 0) {
        throw new StreamError('PIPELINE_FAILED', 'another thread of the engine has ended');
      }
      Atomics.wait(this.#signals, this.index, this.#seen, WAIT_MS);
    }
  }

  #drain(from: number): void {
    const port = this.#ports[from];
    if (port === null) return;
    for (;;) {
      const received = receiveMessageOnPort(port);
      if (received === undefined) return;
      const { round, channel, batches, value, failure } = received.message as PortMessage;
      const message = { batches: batches.map(decodeBatch), value, ...(failure === undefined ? {} : { failure }) };
      this.#inbox.put(round, from, channel, message);
    }
  }
}

/** Tells every thread that one has ended. */
export function stopAll(signals: Int32Array): void {
  const last = signals.length - 1;
  Atomics.store(signals, last, 1);
  for (let shard = 0; shard < last; shard++) {
    Atomics.add(signals, shard, 1);
    Atomics.notify(signals, shard);
  }
}
