import { markedError } from '../../streamql/functions/duckdb-fail.ts';
import { ERRORS, type ErrorCode, StreamError } from '../lib/errors.ts';

/** An error of our own code on its way through DuckDB, which knows only texts. */
const OWN = /\[streamline (\w+)\] (.*)/s;

export const foreignErrorText = (thrown: unknown): string =>
  thrown instanceof StreamError
    ? markedError(thrown.code, thrown.message)
    : markedError('INVARIANT', thrown instanceof Error ? thrown.message : String(thrown));

/** First match wins; DuckDB's texts begin with the kind of error. */
const KINDS: readonly { readonly pattern: RegExp; readonly code: ErrorCode }[] = [
  { pattern: /division by zero/i, code: 'VALUE_DIVISION_BY_ZERO' },
  { pattern: /^Out of Memory Error/i, code: 'OVERLOADED' },
  {
    pattern: /overflow|out of range for|out of the range|exceeds|not in (?:timestamp|date) range/i,
    code: 'VALUE_OVERFLOW',
  },
  { pattern: /^Out of Range Error: cannot take|logarithm|undefined/i, code: 'VALUE_DOMAIN' },
  { pattern: /out of range|^Out of Range Error|Could not cast value .* to DECIMAL/i, code: 'VALUE_OVERFLOW' },
  { pattern: /^Conversion Error/i, code: 'VALUE_CAST' },
  { pattern: /^Invalid Input Error/i, code: 'VALUE_DOMAIN' },
];

const TYPES: Readonly<Record<string, string>> = { INT16: 'smallint', INT32: 'integer', INT64: 'bigint' };
const typeOf = (duckDb: string): string =>
  TYPES[duckDb] ??
  duckDb
    .toLowerCase()
    .replace('decimal', 'numeric')
    .replace(/^(int|float|uint)\d+$/, 'a number');

/** What DuckDB says, in the words that the engine has for it. First match wins. */
const WORDS: readonly { readonly pattern: RegExp; readonly say: (match: readonly string[]) => string }[] = [
  {
    pattern: /^Overflow in \w+ of (\w+(?:\([\d, ]+\))?)/i,
    say: ([, type]) => `the result is out of range for ${typeOf(type)}`,
  },
  {
    pattern: /^Type \S+ with value (.+?) can't be cast because .* destination type (\w+(?:\([\d, ]+\))?)/i,
    say: ([, value, type]) => `${value} is out of range for ${typeOf(type)}`,
  },
  {
    pattern: /^Could not cast value (.+?) to (DECIMAL\([\d, ]+\))/i,
    say: ([, value, type]) => `${value} is out of range for ${typeOf(type)}`,
  },
  { pattern: /^Overflow (on|in) |^Cannot negate|overflow/i, say: () => 'the result is out of range for its type' },
  {
    pattern: /not in timestamp range|timestamp.*out of range/i,
    say: () => 'the result is out of range for timestamp',
  },
  { pattern: /not in date range|date.*out of range/i, say: () => 'the result is out of range for date' },
];

/** What DuckDB threw, as one of our errors. */
export function fromDuckDb(thrown: unknown): StreamError {
  if (thrown instanceof StreamError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const own = OWN.exec(text);
  if (own !== null && own[1] in ERRORS) return new StreamError(own[1] as ErrorCode, own[2].split('\n\nLINE ')[0]);
  const kind = KINDS.find(({ pattern }) => pattern.test(text));
  const its = text.split('\n')[0].replace(/^[A-Z][A-Za-z ]* Error: /, '');
  let detail = its;
  for (const { pattern, say } of kind === undefined ? [] : WORDS) {
    const match = pattern.exec(its);
    if (match === null) continue;
    detail = say(match);
    break;
  }
  if (kind?.code === 'OVERLOADED') {
    return new StreamError('OVERLOADED', 'the query needs more memory than queries may take', {
      hint: 'ask for fewer rows or columns, or raise the memory for queries',
      cause: thrown,
    });
  }
  return new StreamError(kind?.code ?? 'INVARIANT', detail, { cause: thrown });
}
