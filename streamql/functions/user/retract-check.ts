import { StreamError } from '../../../src/lib/errors.ts';
import { type Datum, type SqlType, VARCHAR } from '../../../src/values/types.ts';
import type { AggregateSteps } from '../aggregate-table.ts';
import { castDatum } from '../casts.ts';
import { changesOf } from './state-changes.ts';
import type { UserFunction } from './user-function.ts';

/** Tried as values of every type; what is none of a type is left out. Among them what doubles do not add exactly. */
const SAMPLES = [
  '0.1',
  '0.2',
  '1e16',
  '3',
  '-7',
  '1',
  'true',
  'false',
  '',
  'b',
  'ä',
  '2024-02-29',
  '1999-12-31',
  '12:30:00',
  '2024-02-29 10:00:00',
  '1 day',
  '00000000-0000-4000-8000-000000000001',
  '{"a":1}',
  '[2]',
  '\\x00ff',
  '{}',
  '{1,2}',
];
/** Of a type. Every pair of them is tried with every third. */
const MAX_SAMPLES = 5;

type Step = readonly [args: readonly Datum[], times: 1 | -1];

/**
 * A state is kept for as long as a group lives, so `retract` has to leave what was there before `accumulate`, to whatever else came, and in whatever order:
 * a view would drift from its definition unseen. Tried on sample values; calls that throw are passed over.
 */
export function checkRetract(fn: UserFunction, steps: AggregateSteps): void {
  const samples = samplesOf(fn);
  let compared = 0;
  let why = '';
  const resultOf = (taken: readonly Step[]): string | undefined => {
    try {
      return spelledResult(fn, steps, taken);
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || thrown.code !== 'VALUE_FUNCTION') throw thrown;
      why = thrown.message;
      return undefined;
    }
  };
  const compare = (left: readonly Step[], right: readonly Step[]): void => {
    const [a, b] = [resultOf(left), resultOf(right)];
    if (a === undefined || b === undefined) return;
    compared++;
    if (a === b) return;
    throw new StreamError(
      'SQL_BIND',
      `retract of "${fn.name}" does not undo accumulate: ${spelled(left)} gives ${a}, and ${spelled(right)} ${b}`,
      { hint: 'leave retract out: a group that changes is then computed from its rows' },
    );
  };
  for (const x of samples) {
    compare(
      [
        [x, 1],
        [x, -1],
      ],
      [],
    );
    for (const y of samples) {
      compare(
        [
          [x, 1],
          [y, 1],
          [x, -1],
        ],
        [[y, 1]],
      );
      compare(
        [
          [x, 1],
          [y, 1],
        ],
        [
          [y, 1],
          [x, 1],
        ],
      );
      compare(
        [
          [x, 1],
          [x, 1],
          [y, 1],
          [x, -1],
        ],
        [
          [x, 1],
          [y, 1],
        ],
      );
      // Within an epoch a row may go before it comes.
      compare(
        [
          [y, 1],
          [x, -1],
          [x, 1],
        ],
        [[y, 1]],
      );
      for (const z of samples)
        compare(
          [
            [x, 1],
            [y, 1],
            [z, 1],
            [y, -1],
          ],
          [
            [x, 1],
            [z, 1],
          ],
        );
    }
  }
  if (compared > 0) return;
  throw new StreamError('SQL_BIND', `whether retract of "${fn.name}" undoes accumulate cannot be tried: ${why}`, {
    hint: 'leave retract out: a group that changes is then computed from its rows',
  });
}

function samplesOf({ params }: UserFunction): Datum[][] {
  const columns = params.map(({ type }) => valuesOf(type));
  return Array.from({ length: Math.max(...columns.map(({ length }) => length)) }, (_, i) =>
    columns.map((values, c) => values[(i + c) % values.length]),
  );
}

function valuesOf(type: SqlType): Datum[] {
  const out = new Map<string, Datum>();
  for (const text of SAMPLES) {
    try {
      const datum = castDatum(text, VARCHAR, type);
      if (datum !== null && out.size < MAX_SAMPLES) out.set(String(datum), datum);
    } catch (thrown) {
      if (!(thrown instanceof StreamError)) throw thrown;
    }
  }
  return out.size === 0 ? [null] : [...out.values()];
}

function spelledResult({ params }: UserFunction, steps: AggregateSteps, taken: readonly Step[]): string {
  const types = params.map(({ type }) => type);
  const [state] = steps.advance([null], changesOf(taken, types));
  if (state instanceof StreamError) throw state;
  return JSON.stringify(steps.finish(state), (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v));
}

const spelled = (steps: readonly Step[]): string =>
  steps.length === 0
    ? 'nothing'
    : steps.map(([args, times]) => `${times > 0 ? '+' : '-'}(${args.map(String).join(', ')})`).join(' ');
