import type { StreamError } from '../../../src/lib/errors.ts';
import type { Batch } from '../../../src/values/batch.ts';

/** What one shard tells another in one round: rows, or plain data that structured clone carries. */
export interface Message {
  readonly batches?: readonly Batch[];
  readonly value?: unknown;
  /** The query that the message is for failed over there. */
  readonly failure?: { readonly code: string; readonly detail: string };
}

/**
 * The shards of one engine, as one of them sees them. All run the same rounds (an epoch is one) in step, and in a round each sends every other exactly one
 * message per channel it has, in any order; a channel's name means the same everywhere.
 */
export interface Peers {
  readonly index: number;
  readonly count: number;
  send(to: number, channel: string, message: Message): void;
  /** Undefined while it has not come. */
  take(from: number, channel: string): Message | undefined;
  /** The round is over: messages of it that nobody took are forgotten. */
  endRound(): void;
}

/**
 * Code that waits for other shards is a generator: it yields whenever it can not go on before another has. A thread blocks at a yield (worker/port-peers.ts), and shards
 * in one thread take turns (`runTogether`).
 */
export type Waiting<T> = Generator<undefined, T>;

/** Runs what has nobody to wait for. */
export function runAlone<T>(work: Waiting<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}

/** Runs one piece of work per shard, in turns; the results by shard. */
export function runTogether<T>(works: readonly Waiting<T>[]): T[] {
  const results = new Array<T>(works.length);
  const left = new Set(works.keys());
  while (left.size > 0) {
    for (const i of left) {
      const { done, value } = works[i].next();
      if (done !== true) continue;
      results[i] = value;
      left.delete(i);
    }
  }
  return results;
}

export function* receive(peers: Peers, from: number, channel: string): Waiting<Message> {
  for (;;) {
    const message = peers.take(from, channel);
    if (message !== undefined) return message;
    yield;
  }
}

/** Everybody's value, by shard, in all shards. */
export function* gather<T>(peers: Peers, channel: string, mine: T): Waiting<T[]> {
  const all = new Array<T>(peers.count);
  all[peers.index] = mine;
  for (let to = 0; to < peers.count; to++) if (to !== peers.index) peers.send(to, channel, { value: mine });
  for (let from = 0; from < peers.count; from++) {
    if (from !== peers.index) all[from] = (yield* receive(peers, from, channel)).value as T;
  }
  return all;
}

export const plainError = (error: StreamError): { code: string; detail: string } => {
  const { code, detail } = error.toJSON();
  return { code, detail };
};

/** Peers in one thread. */
export function localPeers(count: number): Peers[] {
  const boxes = Array.from({ length: count }, () => new Inbox());
  return boxes.map((box, index) => {
    let round = 0;
    return {
      index,
      count,
      send: (to, channel, message) => boxes[to].put(round, index, channel, message),
      take: (from, channel) => box.take(round, from, channel),
      endRound: () => box.forget(round++),
    };
  });
}

/** Messages that have come, by round: a shard may be a round ahead of another. */
export class Inbox {
  readonly #rounds = new Map<number, Map<string, Message>>();

  put(round: number, from: number, channel: string, message: Message): void {
    let messages = this.#rounds.get(round);
    if (messages === undefined) {
      messages = new Map();
      this.#rounds.set(round, messages);
    }
    messages.set(`${from} ${channel}`, message);
  }

  take(round: number, from: number, channel: string): Message | undefined {
    const messages = this.#rounds.get(round);
    const key = `${from} ${channel}`;
    const message = messages?.get(key);
    if (message !== undefined) messages?.delete(key);
    return message;
  }

  forget(round: number): void {
    this.#rounds.delete(round);
  }
}
