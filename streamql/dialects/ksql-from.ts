import { StreamError } from '../../src/lib/errors.ts';
import type { DialectToken } from './scan.ts';

type Tokens = readonly DialectToken[];

/** A stream or table of FROM: as written, and the name that its columns have. */
interface Side {
  readonly tokens: Tokens;
  readonly label: DialectToken;
}

interface Length {
  readonly at: DialectToken;
  /** As an interval: `'10 MINUTES'`. */
  readonly text: DialectToken;
}

interface Within {
  readonly before: Length;
  readonly after: Length;
  readonly grace: Length | null;
}

interface Join {
  /** LEFT OUTER JOIN and the like. */
  readonly words: Tokens;
  readonly side: Side;
  /** Null of a join with a table. */
  readonly within: Within | null;
  readonly on: Tokens;
}

interface Window {
  readonly at: DialectToken;
  readonly kind: keyof typeof WINDOWS;
  readonly size: Length;
  readonly advance: Length | null;
  readonly grace: Length | null;
}

const WINDOWS = { tumbling: 'tumble', hopping: 'hop', session: 'session' } as const;
const JOIN_WORDS = new Set(['join', 'inner', 'left', 'right', 'full', 'outer']);
/** What may follow FROM's items and conditions. */
const CLAUSES = new Set(['window', 'where', 'group', 'partition', 'having', 'emit', 'limit', ';']);

const lower = (token: DialectToken | undefined): string =>
  token === undefined || token.kind === 'string' || token.kind === 'name' ? '' : token.text.toLowerCase();

function refused(what: string, { at }: DialectToken, hint: string): StreamError {
  return new StreamError('SQL_UNSUPPORTED', `${what} is not translated`, { at, hint });
}

/** StreamQL with what is given put in between, all at the place of `near`. */
const written =
  (near: DialectToken) =>
  (texts: TemplateStringsArray, ...parts: readonly (DialectToken | Tokens)[]): DialectToken[] =>
    texts.flatMap((text, i) => {
      const words = text.match(/\w+|>=|\S/g) ?? [];
      const tokens = words.map(
        (one): DialectToken => ({ kind: /\w/.test(one) ? 'word' : 'other', text: one, at: near.at }),
      );
      const part = parts[i];
      return part === undefined ? tokens : [...tokens, ...('kind' in part ? [part] : part)];
    });

/** Where the tokens up to a clause, or a word of `until`, end; parentheses are passed over. */
function endOf(tokens: Tokens, from: number, until: ReadonlySet<string>): number {
  let depth = 0;
  for (let i = from; i < tokens.length; i++) {
    const text = lower(tokens[i]);
    if (text === '(') depth++;
    else if (text === ')') depth--;
    else if (depth === 0 && until.has(text)) return i;
  }
  return tokens.length;
}

/**
 * FROM and WINDOW of a ksqlDB query. Time is the records' own: windows are over `_timestamp`, WITHIN bounds the distance of both timestamps, and GRACE
 * leaves out rows that come when their partition's stream time (`_stream_time`) is that far past the end of the window.
 */
export function fromTranslated(tokens: Tokens): DialectToken[] {
  const from = endOf(tokens, 0, new Set(['from']));
  const final = tokens.findIndex((token, i) => lower(token) === 'emit' && lower(tokens[i + 1]) === 'final');
  const reader = new FromReader(tokens, from + 1);
  const isPlain = from === tokens.length || lower(tokens[from - 1]) === 'delete';
  const parsed = isPlain ? null : reader.read();
  if (parsed?.window == null && final >= 0)
    throw refused('EMIT FINAL without a window', tokens[final], 'write EMIT CHANGES');
  if (parsed === null || (parsed.window === null && !parsed.joins.some(({ within }) => within !== null)))
    return [...tokens];
  const { first, joins, window } = parsed;
  const rest = new Rest(tokens.slice(reader.pos));
  let item: Tokens = first.tokens;
  const streams = [first, ...joins.flatMap(({ side, within }) => (within === null ? [] : [side]))];
  let select: Tokens = tokens.slice(0, from + 1);
  if (window !== null && streams.length === 1) item = windowedItem(first, window, rest);
  else if (window !== null) select = groupedByTime(select, streams, window, rest);
  const out = [...select, ...item, ...joinsTranslated(first, joins, rest)];
  return [...out, ...rest.tokens];
}

/** The clauses behind FROM. */
class Rest {
  #tokens: Tokens;

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  get tokens(): Tokens {
    const at = this.#tokens.findIndex((token, i) => lower(token) === 'emit' && lower(this.#tokens[i + 1]) === 'final');
    if (at < 0) return this.#tokens;
    const close = written(this.#tokens[at])`ON WINDOW CLOSE`;
    return [...this.#tokens.slice(0, at + 1), ...close, ...this.#tokens.slice(at + 2)];
  }

  get isFinal(): boolean {
    return this.#tokens.some((token, i) => lower(token) === 'emit' && lower(this.#tokens[i + 1]) === 'final');
  }

  /** AND condition. */
  filter(near: DialectToken, condition: Tokens): void {
    const sql = written(near);
    if (lower(this.#tokens[0]) !== 'where') {
      this.#tokens = [...sql`WHERE ${condition}`, ...this.#tokens];
      return;
    }
    const end = endOf(this.#tokens, 1, CLAUSES);
    this.#tokens = [...sql`WHERE (${this.#tokens.slice(1, end)}) AND ${condition}`, ...this.#tokens.slice(end)];
  }

  groupBy(near: DialectToken, keys: Tokens): void {
    const by = endOf(this.#tokens, 0, new Set(['group'])) + 1;
    if (lower(this.#tokens[by]) !== 'by') throw refused('a window without GROUP BY', near, 'group by a key');
    this.#tokens = [...this.#tokens.slice(0, by + 1), ...written(near)`${keys},`, ...this.#tokens.slice(by + 1)];
  }

  replaceWords(words: Readonly<Record<string, Tokens>>): void {
    this.#tokens = replaced(this.#tokens, words);
  }
}

const replaced = (tokens: Tokens, words: Readonly<Record<string, Tokens>>): Tokens =>
  tokens.flatMap((token) => (Object.hasOwn(words, lower(token)) ? words[lower(token)] : [token]));

/** A stream, also joined with tables: each row once per window. The stream is windowed and then joined, as its rows have the stream's time. */
function windowedItem({ tokens, label }: Side, { at, kind, size, advance, grace }: Window, rest: Rest): Tokens {
  const sql = written(at);
  const slide = kind === 'hopping' ? sql`, INTERVAL ${(advance ?? size).text}` : [];
  rest.groupBy(at, sql`window_start, window_end`);
  if (grace !== null) {
    if (rest.isFinal)
      throw refused(
        'GRACE PERIOD with EMIT FINAL',
        grace.at,
        'what is final is decided by the watermark of the stream: declare WATERMARK FOR _timestamp AS _timestamp - INTERVAL … of that length with its columns, and leave GRACE PERIOD out',
      );
    rest.filter(grace.at, sql`${label}.window_end + INTERVAL ${grace.text} > ${label}._stream_time`);
  }
  const alias = tokens.length > 1 ? tokens.slice(1) : sql`AS ${label}`;
  return sql`${{ ...at, kind: 'word', text: WINDOWS[kind] }} (${tokens[0]}, _timestamp ${slide}, INTERVAL ${size.text}) ${alias}`;
}

/** A row of joined streams has the time of the later record. */
function groupedByTime(select: Tokens, streams: readonly Side[], window: Window, rest: Rest): Tokens {
  const { at, kind, size, advance, grace } = window;
  if (grace !== null)
    throw refused(
      'GRACE PERIOD of a window over joined streams',
      grace.at,
      'give it to the join: WITHIN 1 HOUR GRACE PERIOD 10 MINUTES',
    );
  const sql = written(at);
  const slide = kind === 'hopping' ? sql`, INTERVAL ${(advance ?? size).text}` : [];
  const args = sql`(${latest(streams, '_timestamp', at)} ${slide}, INTERVAL ${size.text})`;
  const call = (suffix: string): Tokens => [{ ...at, kind: 'word', text: WINDOWS[kind] + suffix }, ...args];
  rest.groupBy(at, call(''));
  const words = { windowstart: call('_start'), windowend: call('_end') };
  rest.replaceWords(words);
  return replaced(select, words);
}

function latest(streams: readonly Side[], column: string, near: DialectToken): Tokens {
  const sql = written(near);
  const all = streams.map(({ label }) => sql`${label}.${{ ...near, kind: 'word', text: column }}`);
  return all.length === 1 ? all[0] : sql`greatest(${all.flatMap((one, i) => (i === 0 ? one : sql`, ${one}`))})`;
}

function joinsTranslated(first: Side, joins: readonly Join[], rest: Rest): Tokens {
  const left = [first];
  return joins.flatMap(({ words, side, within, on }) => {
    const sql = written(words[0]);
    if (within === null) return [...words, ...side.tokens, ...on];
    const { before, after, grace } = within;
    const time = latest(left, '_timestamp', words[0]);
    const terms = [
      sql`${side.label}._timestamp BETWEEN ${time} - INTERVAL ${before.text} AND ${time} + INTERVAL ${after.text}`,
    ];
    if (grace !== null) {
      const kind = lower(words[0]);
      if (kind === 'full')
        throw refused(
          'GRACE PERIOD of a FULL JOIN',
          grace.at,
          'leave it out: rows that come late still find their match',
        );
      const ofLeft = sql`${time} + INTERVAL ${after.text} + INTERVAL ${grace.text} >= ${latest(left, '_stream_time', words[0])}`;
      const ofRight = sql`${side.label}._timestamp + INTERVAL ${before.text} + INTERVAL ${grace.text} >= ${side.label}._stream_time`;
      // What is late of the side that is kept whole is no row of the answer; of the other it is no match.
      if (kind === 'left') rest.filter(grace.at, ofLeft);
      else terms.push(ofLeft);
      if (kind === 'right') rest.filter(grace.at, ofRight);
      else terms.push(ofRight);
    }
    left.push(side);
    const bounds = terms.flatMap((term) => sql`AND ${term}`);
    return [...words, ...side.tokens, ...sql`ON (${on.slice(1)}) ${bounds}`];
  });
}

/** Reads FROM's items, joins and window. */
class FromReader {
  readonly #tokens: Tokens;
  pos: number;

  constructor(tokens: Tokens, pos: number) {
    this.#tokens = tokens;
    this.pos = pos;
  }

  /** Null for what is no ksqlDB query, which the parser will judge. */
  read(): { first: Side; joins: Join[]; window: Window | null } | null {
    const first = this.#side();
    if (first === null) return null;
    const joins: Join[] = [];
    while (JOIN_WORDS.has(this.#word())) {
      const join = this.#join();
      if (join === null) return null;
      joins.push(join);
    }
    const window = this.#word() === 'window' && Object.hasOwn(WINDOWS, this.#word(1)) ? this.#window() : null;
    return { first, joins, window };
  }

  #word(ahead = 0): string {
    return lower(this.#tokens[this.pos + ahead]);
  }

  #take(...words: readonly string[]): boolean {
    if (!words.every((one, i) => this.#word(i) === one)) return false;
    this.pos += words.length;
    return true;
  }

  #isName(ahead = 0): boolean {
    const token = this.#tokens[this.pos + ahead];
    const text = lower(token);
    return (
      token !== undefined &&
      (token.kind === 'name' || token.kind === 'word') &&
      !JOIN_WORDS.has(text) &&
      !CLAUSES.has(text) &&
      text !== 'on' &&
      text !== 'within'
    );
  }

  #side(): Side | null {
    if (!this.#isName()) return null;
    const start = this.pos++;
    if (this.#word() === 'as') this.pos++;
    if (this.#isName()) this.pos++;
    const tokens = this.#tokens.slice(start, this.pos);
    return { tokens, label: tokens[tokens.length - 1] };
  }

  #join(): Join | null {
    const start = this.pos;
    while (JOIN_WORDS.has(this.#word())) this.pos++;
    const words = this.#tokens.slice(start, this.pos);
    const side = this.#side();
    if (side === null) return null;
    const within = this.#word() === 'within' ? this.#within() : null;
    if (this.#word() !== 'on') return null;
    const on = this.pos;
    this.pos = endOf(this.#tokens, on + 1, new Set([...CLAUSES, ...JOIN_WORDS]));
    return { words, side, within, on: this.#tokens.slice(on, this.pos) };
  }

  /** WITHIN n UNIT, or (n UNIT, n UNIT), and GRACE PERIOD n UNIT. */
  #within(): Within {
    this.pos++;
    let before: Length;
    let after: Length;
    if (this.#take('(')) {
      before = this.#length();
      after = this.#take(',') ? this.#length() : before;
      if (!this.#take(')')) throw this.#expected('")"');
    } else {
      before = this.#length();
      after = before;
    }
    const grace = this.#take('grace', 'period') ? this.#length() : null;
    return { before, after, grace };
  }

  #window(): Window {
    const at = this.#tokens[this.pos];
    const kind = this.#word(1) as keyof typeof WINDOWS;
    this.pos += 2;
    if (!this.#take('(')) throw this.#expected('"("');
    const given: { size?: Length; advance?: Length; grace?: Length } = {};
    do {
      const { pos } = this;
      if (this.#take('size')) given.size = this.#length();
      else if (kind === 'hopping' && this.#take('advance', 'by')) given.advance = this.#length();
      else if (this.#take('grace', 'period')) {
        given.grace = this.#length();
        if (kind === 'session')
          throw refused(
            'GRACE PERIOD of a session',
            this.#tokens[pos],
            "which session a late row falls into depends on the others: say how late rows may be with the stream, WATERMARK FOR _timestamp AS … and late = 'drop'",
          );
      } else if (kind === 'session' && given.size === undefined && this.#word() !== 'retention')
        given.size = this.#length();
      else if (this.#word() === 'retention')
        throw refused(
          'RETENTION of a window',
          this.#tokens[pos],
          'leave it out: windows stay until the view is dropped; CREATE MATERIALIZED VIEW … WITH (ttl = …) in StreamQL lets old rows go',
        );
      else throw this.#expected('SIZE, ADVANCE BY or GRACE PERIOD');
    } while (this.#take(','));
    if (!this.#take(')')) throw this.#expected('")"');
    if (given.size === undefined)
      throw new StreamError('SQL_SYNTAX', 'a window needs its SIZE', { at: at.at, hint: 'SIZE 10 SECONDS' });
    return { at, kind, size: given.size, advance: given.advance ?? null, grace: given.grace ?? null };
  }

  /** 10 MINUTES. */
  #length(): Length {
    const [count, unit] = [this.#tokens[this.pos], this.#tokens[this.pos + 1]];
    if (count === undefined || !/^\d+$/.test(count.text) || unit?.kind !== 'word')
      throw this.#expected('a length as 10 MINUTES');
    this.pos += 2;
    return { at: count, text: { kind: 'string', text: `${count.text} ${unit.text}`, at: count.at } };
  }

  #expected(what: string): StreamError {
    const token = this.#tokens[this.pos] ?? this.#tokens[this.#tokens.length - 1];
    const found = this.pos < this.#tokens.length ? `"${token.text}"` : 'the end of the statement';
    return new StreamError('SQL_SYNTAX', `expected ${what}, found ${found}`, {
      at: token.at,
      hint: 'the forms are: WINDOW TUMBLING (SIZE 1 HOUR [, GRACE PERIOD 10 MINUTES]), HOPPING (SIZE …, ADVANCE BY …), SESSION (5 MINUTES), and JOIN … WITHIN 1 HOUR [GRACE PERIOD 10 MINUTES] ON',
    });
  }
}
