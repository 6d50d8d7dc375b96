import { ERRORS, StreamError } from '../../lib/errors.ts';
import { parseTimestamp } from '../../values/datetime.ts';
import { parseInterval } from '../../values/interval.ts';
import type { Interval } from '../../values/types.ts';

/** One step of a test file; `line` (from 1) is where it begins, `sqlLine` where its SQL does. */
export type Step = { readonly line: number } & (
  | { readonly kind: 'sql'; readonly sql: string; readonly sqlLine: number; readonly error: string | null }
  | { readonly kind: 'assert'; readonly sql: string; readonly sqlLine: number }
  | { readonly kind: 'verify'; readonly sql: string; readonly sqlLine: number }
  | { readonly kind: 'setTime'; readonly ms: number }
  | { readonly kind: 'advance'; readonly by: Interval }
  | ({ readonly kind: 'query'; readonly sql: string; readonly sqlLine: number; readonly ordered: boolean } & Expected)
  | ({ readonly kind: 'deltas'; readonly view: string } & Expected)
);

/** Expected rows and the lines (index from 0, end exclusive) that hold them, for `--update`. */
export interface Expected {
  readonly expected: readonly string[];
  readonly from: number;
  readonly to: number;
}

const SEPARATOR = '----';

/** SQL_SYNTAX with the line of the file. */
export function parseTestFile(text: string): Step[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const steps: Step[] = [];
  let at = 0;
  /** Lines from `at` up to one that `ends`, which is not taken. */
  const take = (ends: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && !ends(lines[at])) at++;
    return lines.slice(from, at);
  };
  const blank = (line: string): boolean => line.trim() === '';
  const expected = (): Expected => {
    if (lines[at]?.trim() !== SEPARATOR) throw bad(at, `expected ${SEPARATOR} and then the rows`);
    const from = ++at;
    return { expected: take(blank), from, to: at };
  };
  while (at < lines.length) {
    const first = lines[at].trim();
    const line = at + 1;
    if (first === '' || first.startsWith('#') || first.startsWith('--')) {
      at++;
      continue;
    }
    const words = first.split(/\s+/);
    if (words[0] === 'statement') {
      const error = words[1] === 'error' ? (words[2] ?? '') : null;
      if ((words[1] !== 'ok' && error === null) || words.length > (error === null ? 2 : 3))
        throw bad(at, 'expected `statement ok` or `statement error CODE`');
      if (error !== null && !(error in ERRORS))
        throw bad(at, `\`statement error\` needs a code of docs/reference/errors.md, got "${error}"`);
      at++;
      steps.push({ kind: 'sql', line, sqlLine: line + 1, sql: take(blank).join('\n'), error });
    } else if (words[0] === 'query') {
      if (words.length > 2 || (words.length === 2 && words[1] !== 'ordered'))
        throw bad(at, 'expected `query` or `query ordered`');
      at++;
      const sql = take((one) => blank(one) || one.trim() === SEPARATOR).join('\n');
      steps.push({ kind: 'query', line, sqlLine: line + 1, sql, ordered: words.length === 2, ...expected() });
    } else if (words[0] === 'deltas') {
      if (words.length !== 2) throw bad(at, 'expected `deltas VIEW`');
      at++;
      steps.push({ kind: 'deltas', line, view: words[1], ...expected() });
    } else {
      const own = take((one) => /;\s*(?:--.*)?$/.test(one));
      if (at === lines.length) throw bad(line - 1, 'the statement does not end: put ; at the end of its last line');
      own.push(lines[at++]);
      steps.push(plain(own.join('\n'), line));
    }
  }
  return steps;
}

function plain(sql: string, line: number): Step {
  const time = /^\s*SET\s+TIME\s+'([^']*)'\s*;\s*$/i.exec(sql);
  if (time !== null) {
    const parsed = parseTimestamp(time[1]);
    if (parsed === undefined) throw bad(line - 1, `'${time[1]}' is not a timestamp`);
    return { kind: 'setTime', line, ms: Number(parsed.micros) / 1000 };
  }
  const advance = /^\s*ADVANCE\s+INTERVAL\s+'([^']*)'\s*([a-z]+)?\s*;\s*$/i.exec(sql);
  if (advance !== null) {
    const by = parseInterval(advance[1], advance[2] ?? null);
    if (by === undefined) throw bad(line - 1, `'${advance[1]}' is not an interval`);
    return { kind: 'advance', line, by };
  }
  const asserted = /^\s*ASSERT\s/i.exec(sql);
  // Blanks in its place, so that positions in errors stay true.
  if (asserted !== null)
    return { kind: 'assert', line, sqlLine: line, sql: ' '.repeat(asserted[0].length) + sql.slice(asserted[0].length) };
  const kind = /^\s*VERIFY\s+VIEW\s/i.test(sql) ? ('verify' as const) : null;
  if (kind !== null) return { kind, line, sqlLine: line, sql };
  return { kind: 'sql', line, sqlLine: line, sql, error: null };
}

const bad = (index: number, message: string): StreamError =>
  new StreamError('SQL_SYNTAX', message, { at: { line: index + 1, column: 1 } });
