import { cycles } from './cycles.ts';
import type { History, Op, Seen, Send, Value } from './history.ts';

/** What can be wrong with a history, in the words of Jepsen's analyses of Kafka-like logs. */
export const ANOMALIES = [
  'inconsistent-offsets', // one offset of a log held two values
  'duplicate', // one value is at two offsets
  'G1a', // somebody read what was aborted or refused
  'lost-write', // an acknowledged value below the highest offset read was never read
  'unseen', // an acknowledged value was not read although readers caught up
  'poll-skip', // between two polls a process jumped over values
  'nonmonotonic-poll', // between two polls a process went back
  'int-poll-skip', // the same inside one operation
  'int-nonmonotonic-poll',
  'int-send-skip', // a foreign value stands between two sends of one batch
  'nonmonotonic-send', // a later send of a process or operation got a lower offset
  'precommitted-read', // a transaction read what it had itself written and not yet committed
  'G0', // writes of transactions follow each other in a circle
  'G1c', // reads and writes of transactions follow each other in a circle
  'no-progress', // a client got nothing done after the last fault was over
] as const;

export type Anomaly = (typeof ANOMALIES)[number];

export interface Verdict {
  readonly counts: Readonly<Record<Anomaly, number>>;
  /** Each anomaly in words. */
  readonly found: readonly { readonly anomaly: Anomaly; readonly text: string }[];
  /** Circles and interleavings among transactions that ran at the same time: Kafka promises no isolation of writes. */
  readonly concurrentCycles: number;
  readonly interleavedTransactions: number;
}

/** One log as all answers and reads together show it: its values in the order of their offsets. */
interface LogOrder {
  readonly offsets: readonly number[];
  readonly values: readonly Value[];
  readonly rank: ReadonlyMap<Value, number>;
  readonly highestRead: number;
}

/** Counts every anomaly of a history. It knows the clients' side only: what they sent, what they were told, what they read. */
export function check(history: History): Verdict {
  const judge = new Judge(history);
  return judge.verdict();
}

class Judge {
  readonly #history: History;
  readonly #counts = Object.fromEntries(ANOMALIES.map((name) => [name, 0])) as Record<Anomaly, number>;
  readonly #found: { anomaly: Anomaly; text: string }[] = [];
  /** With aborted values, as uncommitted polls see them, and without. */
  readonly #logs: Map<string, LogOrder>;
  readonly #committed: Map<string, LogOrder>;
  readonly #writer = new Map<Value, Op>();
  readonly #read = new Set<Value>();
  readonly #readCommitted = new Set<Value>();
  #concurrentCycles = 0;
  #interleaved = 0;

  constructor(history: History) {
    this.#history = history;
    for (const op of history.ops) {
      for (const step of op.steps) {
        if (step.kind === 'send') {
          if (this.#writer.has(step.value)) throw new Error(`the history writes ${step.value} twice`);
          this.#writer.set(step.value, op);
        } else if (step.kind === 'poll') {
          for (const { value } of step.records) {
            this.#read.add(value);
            if (!step.uncommitted) this.#readCommitted.add(value);
          }
        }
      }
    }
    this.#logs = this.#orders();
    this.#committed = new Map(
      [...this.#logs].map(([key, log]) => [key, without(log, (value) => !this.#isCommitted(value))]),
    );
  }

  verdict(): Verdict {
    this.#aborted();
    this.#lost();
    this.#between('poll');
    this.#between('send');
    for (const op of this.#history.ops) this.#within(op);
    this.#circles();
    this.#progress();
    return {
      counts: this.#counts,
      found: this.#found,
      concurrentCycles: this.#concurrentCycles,
      interleavedTransactions: this.#interleaved,
    };
  }

  #note(anomaly: Anomaly, text: string): void {
    this.#counts[anomaly]++;
    this.#found.push({ anomaly, text });
  }

  /** A transaction of unknown outcome is committed when a committed poll saw it. */
  #isCommitted(value: Value): boolean {
    const writer = this.#writer.get(value);
    if (writer === undefined || this.#readCommitted.has(value)) return true;
    return writer.outcome === 'ok' || (writer.outcome === 'unknown' && !writer.transaction);
  }

  #orders(): Map<string, LogOrder> {
    const at = new Map<string, Map<number, Set<Value>>>();
    const where = new Map<Value, Map<string, Set<number>>>();
    const highest = new Map<string, number>();
    const put = ({ key, offset, value }: Seen): void => {
      entry(entry(at, key, newMap<number, Set<Value>>), offset, newSet<Value>).add(value);
      entry(entry(where, value, newMap<string, Set<number>>), key, newSet<number>).add(offset);
    };
    for (const { outcome, steps } of this.#history.ops) {
      for (const step of steps) {
        if (step.kind === 'poll') {
          for (const seen of step.records) {
            put(seen);
            highest.set(seen.key, Math.max(highest.get(seen.key) ?? -1, seen.offset));
          }
        } else if (step.kind === 'send' && step.offset !== undefined && outcome === 'ok') {
          put({ key: step.key, offset: step.offset, value: step.value });
        }
      }
    }
    for (const [value, keys] of where) {
      const places = [...keys].flatMap(([key, offsets]) => [...offsets].map((offset) => `${key}@${offset}`));
      if (places.length > 1) this.#note('duplicate', `${value} is at ${places.join(' and ')}`);
    }
    const logs = new Map<string, LogOrder>();
    for (const [key, byOffset] of at) {
      const offsets = [...byOffset.keys()].sort((a, b) => a - b);
      const values: Value[] = [];
      const rank = new Map<Value, number>();
      for (const offset of offsets) {
        const here = [...byOffset.get(offset)!];
        if (here.length > 1) this.#note('inconsistent-offsets', `${key}@${offset} is ${here.join(' and ')}`);
        for (const value of here) if (!rank.has(value)) rank.set(value, values.length);
        values.push(here[0]!);
      }
      logs.set(key, { offsets, values, rank, highestRead: highest.get(key) ?? -1 });
    }
    return logs;
  }

  #aborted(): void {
    for (const op of this.#history.ops) {
      if (op.outcome !== 'failed' && op.outcome !== 'aborted') continue;
      const read = op.outcome === 'failed' ? this.#read : this.#readCommitted;
      for (const step of op.steps) {
        if (step.kind !== 'send' || !read.has(step.value)) continue;
        this.#note('G1a', `${op.process}: ${step.value} was read but is ${op.outcome}`);
      }
    }
    for (const value of this.#read) if (!this.#writer.has(value)) this.#note('G1a', `${value} was never written`);
  }

  #lost(): void {
    for (const op of this.#history.ops) {
      if (op.outcome !== 'ok') continue;
      for (const step of op.steps) {
        if (step.kind !== 'send' || this.#read.has(step.value)) continue;
        const highest = this.#logs.get(step.key)?.highestRead ?? -1;
        const text = `${step.value} at ${step.key}@${step.offset ?? '?'} was never read`;
        if (step.offset !== undefined && step.offset < highest) this.#note('lost-write', `${text}; ${highest} was`);
        else if (this.#history.caughtUp) this.#note('unseen', text);
      }
    }
  }

  /** Polls of a process must go on where its last one ended; sends of a process must come behind each other. */
  #between(kind: 'poll' | 'send'): void {
    const last = new Map<string, Map<string, Seen>>();
    for (const op of inOrder(this.#history.ops)) {
      if (kind === 'send' && op.outcome !== 'ok') continue;
      const mine = entry(last, op.process, newMap<string, Seen>);
      const first = new Map<string, readonly [seen: Seen, uncommitted: boolean]>();
      const end = new Map<string, Seen>();
      for (const step of op.steps) {
        if (step.kind === 'moved' && kind === 'poll') {
          for (const key of step.keys ?? [...mine.keys(), ...end.keys()]) {
            mine.delete(key);
            end.delete(key);
          }
          continue;
        }
        for (const seen of this.#seenIn(step, kind)) {
          const uncommitted = step.kind === 'poll' && step.uncommitted === true;
          if (!first.has(seen.key) && mine.has(seen.key)) first.set(seen.key, [seen, uncommitted]);
          end.set(seen.key, seen);
        }
      }
      for (const [key, [seen, uncommitted]] of first) {
        this.#compare(kind, op, mine.get(key)!, seen, false, uncommitted);
      }
      for (const [key, seen] of end) mine.set(key, seen);
    }
  }

  #within(op: Op): void {
    const polled = new Map<string, Seen>();
    const sent = new Map<string, Seen>();
    const own = new Set<Value>();
    let interleaved = false;
    for (const step of op.steps) {
      if (step.kind === 'moved') {
        for (const key of step.keys ?? [...polled.keys()]) polled.delete(key);
        continue;
      }
      for (const seen of this.#seenIn(step, 'poll')) {
        if (own.has(seen.value)) this.#note('precommitted-read', `${op.process} read its own ${seen.value}`);
        const before = polled.get(seen.key);
        if (before) this.#compare('poll', op, before, seen, true, step.kind === 'poll' && step.uncommitted === true);
        polled.set(seen.key, seen);
      }
      if (step.kind === 'send') own.add(step.value);
      if (op.outcome !== 'ok') continue;
      for (const seen of this.#seenIn(step, 'send')) {
        const before = sent.get(seen.key);
        if (before) interleaved = this.#compare('send', op, before, seen, true) || interleaved;
        sent.set(seen.key, seen);
      }
    }
    if (interleaved) this.#interleaved++;
  }

  #seenIn(step: Op['steps'][number], kind: 'poll' | 'send'): readonly Seen[] {
    if (kind === 'poll') return step.kind === 'poll' ? step.records : [];
    if (step.kind !== 'send') return [];
    const { key, value } = step;
    const log = this.#logs.get(key);
    const rank = log?.rank.get(value);
    const offset = step.offset ?? (rank === undefined ? undefined : log!.offsets[rank]);
    return offset === undefined ? [] : [{ key, value, offset }];
  }

  /** Whether a transaction's sends are interleaved with others', which is no anomaly. */
  #compare(kind: 'poll' | 'send', op: Op, before: Seen, after: Seen, inside: boolean, uncommitted = false): boolean {
    const logs = kind === 'poll' && !uncommitted ? this.#committed : this.#logs;
    const { rank, values } = logs.get(after.key)!;
    const step = rank.get(after.value)! - rank.get(before.value)!;
    const where = `${op.process}, ${after.key}: ${before.value}@${before.offset} then ${after.value}@${after.offset}`;
    if (step <= 0) {
      if (kind === 'send') this.#note('nonmonotonic-send', where);
      else this.#note(inside ? 'int-nonmonotonic-poll' : 'nonmonotonic-poll', where);
      return false;
    }
    if (step === 1) return false;
    const between = values.slice(rank.get(before.value)! + 1, rank.get(after.value));
    if (kind === 'poll') {
      this.#note(inside ? 'int-poll-skip' : 'poll-skip', `${where}, over ${between.slice(0, 5).join(', ')}`);
      return false;
    }
    if (!inside) return false;
    if (op.batch) this.#note('int-send-skip', `${where}, over ${between.slice(0, 5).join(', ')}`);
    return !op.batch;
  }

  /**
   * Edges: ww where one operation's value stands directly behind another's, wr where one read another's. An edge against time (what
   * had ended before the other began comes after it) closes a circle with the order of time; a circle of wr edges
   * alone is wrong too. Other circles are among operations that ran at the same time, and writes are not isolated.
   */
  #circles(): void {
    const ops = this.#history.ops.filter(({ outcome }) => outcome !== 'failed' && outcome !== 'aborted');
    const number = new Map(ops.map((op, at) => [op, at]));
    const ww: number[][] = ops.map(() => []);
    const wr: number[][] = ops.map(() => []);
    const name = (op: Op): string => `${op.process}[${op.start}–${op.end}]`;
    const edge = (edges: number[][], anomaly: Anomaly, from: Op | undefined, to: Op | undefined): void => {
      const a = from && number.get(from);
      const b = to && number.get(to);
      if (a === undefined || b === undefined || a === b) return;
      edges[a]!.push(b);
      const known = from!.outcome === 'ok' && to!.outcome === 'ok';
      if (known && to!.end < from!.start) this.#note(anomaly, `${name(to!)} comes after ${name(from!)}`);
    };
    for (const { values } of this.#committed.values()) {
      for (let at = 1; at < values.length; at++) {
        edge(ww, 'G0', this.#writer.get(values[at - 1]!), this.#writer.get(values[at]!));
      }
    }
    for (const op of ops) {
      for (const step of op.steps) {
        if (step.kind === 'poll') for (const { value } of step.records) edge(wr, 'G1c', this.#writer.get(value), op);
      }
    }
    for (const circle of cycles(wr)) {
      this.#note('G1c', `each read the one's before: ${circle.map((at) => name(ops[at]!)).join(' → ')}`);
    }
    this.#concurrentCycles = cycles(ww.map((to, at) => [...to, ...wr[at]!])).length;
  }

  #progress(): void {
    const { healedAt, alive = [], ops } = this.#history;
    if (healedAt === undefined) return;
    for (const process of alive) {
      const done = ops.some((op) => op.process === process && op.outcome === 'ok' && op.end > healedAt);
      if (!done) this.#note('no-progress', `${process} did nothing after ${healedAt}`);
    }
  }
}

function without(log: LogOrder, leaves: (value: Value) => boolean): LogOrder {
  const offsets: number[] = [];
  const values: Value[] = [];
  const rank = new Map<Value, number>();
  for (const [at, value] of log.values.entries()) {
    if (leaves(value)) continue;
    rank.set(value, values.length);
    offsets.push(log.offsets[at]!);
    values.push(value);
  }
  // Where one offset held two values, the second is where the first is.
  for (const [value, at] of log.rank) {
    if (!rank.has(value) && !leaves(value)) rank.set(value, rank.get(log.values[at]!) ?? 0);
  }
  return { offsets, values, rank, highestRead: log.highestRead };
}

/** Sends of one process count in the order in which they were begun. */
function inOrder(ops: readonly Op[]): Op[] {
  return [...ops].sort((a, b) => a.start - b.start);
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

const newMap = <K, V>(): Map<K, V> => new Map();
const newSet = <T>(): Set<T> => new Set();

export const sendOf = (key: string, value: Value, offset?: number): Send => ({
  kind: 'send',
  key,
  value,
  ...(offset === undefined ? {} : { offset }),
});
