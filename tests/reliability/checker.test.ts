import { describe, expect, test } from 'vitest';
import { ANOMALIES, type Anomaly, check, sendOf } from './checker.ts';
import { cycles } from './cycles.ts';
import type { History, Op, Step } from './history.ts';

let time = 0;

/** An operation that begins after all before it ended. */
function op(process: string, steps: readonly Step[], more: Partial<Op> = {}): Op {
  time += 2;
  return { process, start: time, end: time + 1, outcome: 'ok', steps, ...more };
}

const send = (value: string, offset?: number, key = 'x') => sendOf(key, value, offset);
const poll = (...records: readonly (readonly [offset: number, value: string, key?: string])[]): Step => ({
  kind: 'poll',
  records: records.map(([offset, value, key = 'x']) => ({ key, offset, value })),
});
const history = (ops: readonly Op[], more: Partial<History> = {}): History => ({ ops, caughtUp: true, ...more });

/** Three values at 0, 1, 2, each sent by a client of its own. */
const three = (): Op[] => ['a', 'b', 'c'].map((value, at) => op(`writer ${value}`, [send(value, at)]));
/** Together: concurrent transactions. */
const together = { start: 0, end: 1e9 };

/** For each anomaly one history that has it, alone, and one that comes close but has none. */
const CASES: Record<Anomaly, { readonly with: History; readonly without: History }> = {
  'inconsistent-offsets': {
    with: history([
      op('w', [send('a', 0)]),
      op('w', [send('b')], { outcome: 'unknown' }),
      op('r', [poll([0, 'a'])]),
      op('s', [poll([0, 'b'])]),
    ]),
    without: history([op('w', [send('a', 0)]), op('r', [poll([0, 'a'])]), op('s', [poll([0, 'a'])])]),
  },
  duplicate: {
    with: history([op('w', [send('a', 0)]), op('r', [poll([0, 'a'])]), op('s', [poll([7, 'a'])])]),
    // An offset with an answer that nobody got, and two values that differ.
    without: history([op('w', [send('a')]), op('w', [send('b', 7)]), op('r', [poll([0, 'a'], [7, 'b'])])]),
  },
  G1a: {
    with: history([op('w', [send('a')], { outcome: 'failed' }), op('r', [poll([0, 'a'])])]),
    without: history([
      op('w', [send('a')], { outcome: 'failed' }),
      op('w', [send('b')], { outcome: 'unknown' }),
      op('r', [poll([3, 'b'])]),
    ]),
  },
  'lost-write': {
    with: history([...three(), op('r', [poll([0, 'a'])]), op('s', [poll([2, 'c'])])]),
    without: history([...three(), op('r', [poll([0, 'a'], [1, 'b'], [2, 'c'])])]),
  },
  unseen: {
    with: history([...three(), op('r', [poll([0, 'a'], [1, 'b'])])]),
    without: history([...three(), op('r', [poll([0, 'a'], [1, 'b'])])], { caughtUp: false }),
  },
  'poll-skip': {
    with: history([
      ...three(),
      op('r', [poll([0, 'a'])]),
      op('r', [poll([2, 'c'])]),
      op('s', [poll([0, 'a'], [1, 'b'], [2, 'c'])]),
    ]),
    without: history([
      ...three(),
      op('r', [poll([0, 'a'])]),
      op('r', [{ kind: 'moved', keys: ['x'] }, poll([2, 'c'])]),
      op('s', [poll([0, 'a'], [1, 'b'], [2, 'c'])]),
    ]),
  },
  'nonmonotonic-poll': {
    with: history([...three(), op('r', [poll([0, 'a'], [1, 'b'])]), op('r', [poll([1, 'b'], [2, 'c'])])]),
    without: history([
      ...three(),
      op('r', [poll([0, 'a'], [1, 'b'])]),
      op('r', [{ kind: 'moved' }]),
      op('r', [poll([1, 'b'], [2, 'c'])]),
    ]),
  },
  'int-poll-skip': {
    with: history([...three(), op('r', [poll([0, 'a'], [2, 'c'])]), op('s', [poll([1, 'b'])])]),
    // Offsets may have gaps: control records, compaction.
    without: history([op('w', [send('a', 0)]), op('w', [send('c', 2)]), op('r', [poll([0, 'a'], [2, 'c'])])]),
  },
  'int-nonmonotonic-poll': {
    with: history([...three(), op('r', [poll([0, 'a'], [1, 'b']), poll([1, 'b'], [2, 'c'])])]),
    without: history([...three(), op('r', [poll([0, 'a'], [1, 'b']), poll([2, 'c'])])]),
  },
  'int-send-skip': {
    with: history([
      op('w', [send('a', 0), send('c', 2)], { ...together, batch: true }),
      op('v', [send('b', 1)], together),
      op('r', [poll([0, 'a'], [1, 'b'], [2, 'c'])]),
    ]),
    // A transaction of two batches: others may write between them.
    without: history([
      op('w', [send('a', 0), send('c', 2)], together),
      op('v', [send('b', 1)], together),
      op('r', [poll([0, 'a'], [1, 'b'], [2, 'c'])]),
    ]),
  },
  'nonmonotonic-send': {
    with: history([
      op('w', [send('b', 1)], { start: 1, end: 9 }),
      op('w', [send('a', 0)], { start: 2, end: 9 }),
      op('r', [poll([0, 'a'], [1, 'b'])]),
    ]),
    // The first outcome is not known: its request may have been delivered late.
    without: history([
      op('w', [send('b')], { outcome: 'unknown' }),
      op('w', [send('a', 0)]),
      op('r', [poll([0, 'a'], [1, 'b'])]),
    ]),
  },
  'precommitted-read': {
    with: history([op('t', [send('a', 0), poll([0, 'a'])])]),
    without: history([op('t', [send('a', 0)]), op('t', [poll([0, 'a'])])]),
  },
  G0: {
    // The second transaction ended before the first began, yet stands behind it.
    with: history([
      op('t', [send('b', 1)], { start: 1, end: 2 }),
      op('u', [send('a', 0)], { start: 3, end: 4 }),
      op('r', [poll([0, 'a'], [1, 'b'])]),
    ]),
    without: history([
      op('t', [send('a', 0), send('b', 1, 'y')], together),
      op('u', [send('c', 1), send('d', 0, 'y')], together),
      op('r', [poll([0, 'a'], [1, 'c'], [0, 'd', 'y'], [1, 'b', 'y'])]),
    ]),
  },
  G1c: {
    with: history([
      op('t', [send('a', 0), poll([0, 'b', 'y'])], together),
      op('u', [send('b', 0, 'y'), poll([0, 'a'])], together),
    ]),
    without: history([
      op('t', [send('a', 0)], together),
      op('u', [send('b', 0, 'y'), poll([0, 'a'])], together),
      op('r', [poll([0, 'b', 'y'])]),
    ]),
  },
  'no-progress': {
    with: history([op('w', [send('a', 0)]), op('r', [poll([0, 'a'])])], { healedAt: 1e9, alive: ['w'] }),
    without: history([op('w', [send('a', 0)]), op('r', [poll([0, 'a'])])], { healedAt: 0, alive: ['w', 'r'] }),
  },
};

describe('the checker', () => {
  test.each(ANOMALIES)('%s: found where it is, alone, and not where it is not', (anomaly) => {
    const wrong = check(CASES[anomaly].with);
    expect(wrong.found.map((one) => one.anomaly)).toEqual([anomaly]);
    expect(wrong.counts[anomaly]).toBe(1);
    expect(check(CASES[anomaly].without).found).toEqual([]);
  });

  test('writes of concurrent transactions may interleave and follow each other in a circle: counted apart', () => {
    expect(check(CASES.G0.without).concurrentCycles).toBe(1);
    expect(check(CASES['int-send-skip'].without).interleavedTransactions).toBe(1);
  });

  test('what was aborted may be read uncommitted, and committed reads go over it', () => {
    const ops = [
      op('w', [send('a', 0)]),
      op('t', [send('b')], { outcome: 'aborted', transaction: true }),
      op('u', [send('c')], { outcome: 'unknown', transaction: true }),
      op('w', [send('d', 3)]),
    ];
    const uncommitted = (...records: (readonly [offset: number, value: string])[]): Step => ({
      kind: 'poll',
      records: records.map(([offset, value]) => ({ key: 'x', offset, value })),
      uncommitted: true,
    });
    const dirty = op('d', [uncommitted([0, 'a'], [1, 'b'], [2, 'c'], [3, 'd'])]);
    expect(check(history([...ops, dirty, op('r', [poll([0, 'a'], [3, 'd'])])])).found).toEqual([]);
    // The outcome of u shows when a committed read sees it: then the other reader left it out.
    const found = check(
      history([...ops, dirty, op('r', [poll([0, 'a'], [3, 'd'])]), op('s', [poll([0, 'a'], [2, 'c'], [3, 'd'])])]),
    );
    expect(found.found.map(({ anomaly }) => anomaly)).toEqual(['int-poll-skip']);
    expect(check(history([...ops, op('r', [poll([0, 'a'], [1, 'b'], [3, 'd'])])])).counts.G1a).toBe(1);
    expect(check(history([...ops, dirty, op('d', [uncommitted([3, 'd'], [2, 'c'])])])).found.length).toBeGreaterThan(0);
  });

  test('what nobody wrote was not to be read', () => {
    expect(check(history([op('r', [poll([0, 'a'])])])).counts.G1a).toBe(1);
  });

  test('a history that writes a value twice proves nothing', () => {
    expect(() => check(history([op('w', [send('a')]), op('w', [send('a')])]))).toThrow('twice');
  });

  test('circles: the strongly connected components of more than one node', () => {
    expect(cycles([[1], [2], [0], [2], [4]]).map((circle) => circle.sort())).toEqual([[0, 1, 2]]);
    expect(cycles([[1], [0, 2], [3], [2]])).toHaveLength(2);
    const long = Array.from({ length: 50_000 }, (_, at) => [(at + 1) % 50_000]);
    expect(cycles(long)[0]).toHaveLength(50_000);
  });
});
