import { addInterval } from '../../src/values/interval.ts';
import { BOOLEAN, type Interval } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

type Time = number | bigint;

/** Whether two periods share a moment; each goes from its earlier end up to, and without, its later one, and a period of no length is its moment. */
function overlap(a: Time, b: Time, c: Time, d: Time): boolean {
  const [start, end] = a <= b ? [a, b] : [b, a];
  const [from, to] = c <= d ? [c, d] : [d, c];
  if (start === from) return true;
  return start < from ? from < end : start < to;
}

/** With one of the ends NULL it may be known nevertheless; like the other functions here it is then NULL. */
const rows = (kind: 'timestamp' | 'timestamptz'): ScalarFunction[] => {
  const doc =
    'Whether two periods share a moment. Written (from, to) OVERLAPS (from, to); an end may be the length, as an interval.';
  const end = (from: Time, to: Time | Interval): Time => (typeof to === 'object' ? addInterval(from, to) : to);
  const call: ScalarFunction['call'] = ([a, b, c, d]) => overlap(a, end(a, b), c, end(c, d));
  const example =
    kind === 'timestamp'
      ? (["(date '2001-02-16', date '2001-12-21') OVERLAPS (date '2001-10-30', date '2002-10-30')", 'true'] as const)
      : undefined;
  return [
    own(`overlaps(${kind}, ${kind}, ${kind}, ${kind})`, BOOLEAN, doc, call, example),
    own(`overlaps(${kind}, interval, ${kind}, interval)`, BOOLEAN, doc, call),
    own(`overlaps(${kind}, ${kind}, ${kind}, interval)`, BOOLEAN, doc, call),
    own(`overlaps(${kind}, interval, ${kind}, ${kind})`, BOOLEAN, doc, call),
  ];
};

export const PERIODS: readonly ScalarFunction[] = [
  ...rows('timestamp'),
  ...rows('timestamptz'),
  own('overlaps(time, time, time, time)', BOOLEAN, 'The same of times of day.', ([a, b, c, d]) => overlap(a, b, c, d)),
];
