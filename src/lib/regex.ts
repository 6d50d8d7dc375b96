import { RE2JS } from 're2js';
import { StreamError } from './errors.ts';
import { type ByteSearch, byteSearch } from './regex-bytes.ts';
import { type PlainPattern, plainPattern } from './regex-plain.ts';

/** Regular expressions whose time is linear in the text whatever the pattern says (RE2 syntax: no lookaround, no references back). */

export interface RegexOptions {
  readonly insensitive?: boolean;
  /** `^` and `$` also match at the ends of lines, and `.` does not match a line feed. */
  readonly lines?: boolean;
}

/** Where a match lies, in UTF-16 units; `groups[0]` is the whole of it, null a group that took no part. */
export interface RegexMatch {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly (string | null)[];
}

/** Longest pattern that is compiled. */
const MAX_PATTERN = 10_000;
/** Texts up to here may be searched by V8, some fifty times as fast as RE2 in JavaScript: at worst this squared is nothing to wait for. */
export const MAX_PLAIN_TEXT = 512;

export class Regex {
  readonly #re: RE2JS;
  readonly #plain: PlainPattern | undefined;

  /** VALUE_DOMAIN for a pattern that RE2 does not take. */
  constructor(source: string, { insensitive = false, lines = false }: RegexOptions = {}) {
    if (source.length > MAX_PATTERN) {
      throw new StreamError('VALUE_DOMAIN', `a regular expression is longer than ${MAX_PATTERN} characters`);
    }
    const flags = (insensitive ? RE2JS.CASE_INSENSITIVE : 0) | (lines ? RE2JS.MULTILINE : RE2JS.DOTALL);
    try {
      this.#re = RE2JS.compile(source, flags);
    } catch (thrown) {
      // RE2JS puts flags in front of the pattern, and says so.
      const added = `${lines ? '(?m)' : '(?s)'}${insensitive ? '(?i)' : ''}`;
      const why = (thrown as Error).message.replace(`\`${added}`, '`').slice(0, 200);
      throw new StreamError('VALUE_DOMAIN', `not a regular expression: ${why}`, {
        hint: 'the syntax is that of RE2: without lookaround and references back',
      });
    }
    this.#plain = insensitive || lines ? undefined : plainPattern(source);
  }

  /** Whether the pattern occurs anywhere in the text. */
  test(text: string): boolean {
    if (this.#lacksNeedle(text)) return false;
    if (this.#plain !== undefined && text.length <= MAX_PLAIN_TEXT) {
      this.#plain.regex.lastIndex = 0;
      return this.#plain.regex.test(text);
    }
    return this.#re.matcher(text).find();
  }

  /** Whether the pattern matches the text from its beginning to its end. */
  matches(text: string): boolean {
    return this.#re.matcher(text).matches();
  }

  /** Searches bytes of at most MAX_PLAIN_TEXT; undefined for patterns that are not plain. */
  bytes(): ByteSearch | undefined {
    return this.#plain && byteSearch(this.#plain);
  }

  /** The matches from left to right, none overlapping another; at most `limit`. */
  *matchesIn(text: string, limit = Number.POSITIVE_INFINITY): Generator<RegexMatch> {
    if (this.#lacksNeedle(text)) return;
    if (this.#plain !== undefined && text.length <= MAX_PLAIN_TEXT) {
      let from = 0;
      for (let count = 0; count < limit; count++) {
        const match = this.#plainMatch(text, from);
        if (match === undefined) return;
        yield match;
        from = match.end;
      }
      return;
    }
    const matcher = this.#re.matcher(text);
    for (let count = 0; count < limit && matcher.find(); count++) {
      const groups: (string | null)[] = [];
      for (let i = 0; i <= matcher.groupCount(); i++) groups.push(matcher.group(i));
      yield { start: matcher.start(), end: matcher.end(), groups };
    }
  }

  first(text: string): RegexMatch | undefined {
    if (this.#lacksNeedle(text)) return undefined;
    if (this.#plain !== undefined && text.length <= MAX_PLAIN_TEXT) return this.#plainMatch(text, 0);
    for (const match of this.matchesIn(text, 1)) return match;
    return undefined;
  }

  #lacksNeedle(text: string): boolean {
    return this.#plain !== undefined && this.#plain.needle !== '' && !text.includes(this.#plain.needle);
  }

  /** No match of a plain pattern is empty, so the next search begins where the last match ended. */
  #plainMatch(text: string, from: number): RegexMatch | undefined {
    const { regex } = this.#plain as PlainPattern;
    regex.lastIndex = from;
    const found = regex.exec(text);
    if (found === null) return undefined;
    const groups = Array.from(found, (group: string | undefined) => group ?? null);
    return { start: found.index, end: regex.lastIndex, groups };
  }
}

/** Patterns are nearly always constants: some stay compiled. */
const CACHE_SIZE = 256;
const cache = new Map<string, Regex>();

/** The pattern of the last call without options, which is usually that of the next. */
let last: { readonly source: string; readonly regex: Regex } | undefined;

/** As the constructor, with the last few patterns kept compiled. */
export function regexOf(source: string, options?: RegexOptions): Regex {
  if (options !== undefined) return cached(source, options);
  if (last?.source !== source) last = { source, regex: cached(source, {}) };
  return last.regex;
}

function cached(source: string, options: RegexOptions): Regex {
  const key = `${options.insensitive === true ? 'i' : ''}${options.lines === true ? 'n' : ''}/${source}`;
  let regex = cache.get(key);
  if (regex === undefined) {
    regex = new Regex(source, options);
    if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value as string);
    cache.set(key, regex);
  }
  return regex;
}
