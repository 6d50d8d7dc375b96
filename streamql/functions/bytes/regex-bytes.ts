import { MAX_PLAIN_TEXT, Regex, type RegexMatch, regexOf } from '../../../src/lib/regex.ts';
import type { ByteSearch } from '../../../src/lib/regex-bytes.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { BytesForm, TextScratch } from './bytes-form.ts';

/** A constant pattern that can be searched in bytes; longer texts take the way over strings, which bounds their time. */
function searchOf(pattern: Datum | undefined): ByteSearch | undefined {
  if (typeof pattern !== 'string') return undefined;
  try {
    // A search of its own: it holds the places of its last match.
    return new Regex(pattern).bytes();
  } catch {
    // What is no pattern fails row by row, as everywhere.
    return undefined;
  }
}

/** A group of the first match: `groupOf` says which of a pattern with so many groups, −1 for none there is. NULL without a match. */
export const groupForm =
  (
    groupOf: (literals: readonly (Datum | undefined)[], groups: number) => number,
    pick: (match: RegexMatch, group: number) => string | null,
  ): BytesForm =>
  (literals) => {
    const [, pattern] = literals;
    const search = searchOf(pattern);
    if (search === undefined) return undefined;
    const group = groupOf(literals, search.starts.length - 1);
    if (group < 0 || group >= search.starts.length) return undefined;
    return {
      yields: 'text',
      call: (scratch: TextScratch, b: Buffer, start: number, end: number): number => {
        if (end - start > MAX_PLAIN_TEXT) {
          const match = regexOf(pattern as string).first(b.utf8Slice(start, end));
          const found = match === undefined ? null : pick(match, group);
          return found === null ? -1 : scratch.write(found);
        }
        if (!search.find(b, start, end) || search.starts[group] < 0) return -1;
        return scratch.copy(b, search.starts[group], search.ends[group]);
      },
    };
  };

/** Whether there is a match. */
export const matchForm: BytesForm = ([, pattern]) => {
  const search = searchOf(pattern);
  return (
    search && {
      yields: 'datum',
      call: (_: TextScratch, b: Buffer, start: number, end: number) =>
        end - start > MAX_PLAIN_TEXT
          ? regexOf(pattern as string).test(b.utf8Slice(start, end))
          : search.find(b, start, end),
    }
  );
};
