import { StreamError } from '../../src/lib/errors.ts';
import { word } from './calls.ts';
import type { DialectToken } from './scan.ts';

/** ksqlDB's words for what StreamQL has: CREATE STREAM and TABLE with their options, windows after FROM, EMIT FINAL, pseudo columns. */
export function ksqlTokens(tokens: readonly DialectToken[]): DialectToken[] {
  const statements: DialectToken[][] = [[]];
  for (const token of tokens) {
    statements[statements.length - 1].push(token);
    if (token.kind === 'other' && token.text === ';') statements.push([]);
  }
  return statements.flatMap(statement);
}

const lower = (token: DialectToken | undefined): string =>
  token === undefined || token.kind === 'string' || token.kind === 'name' ? '' : token.text.toLowerCase();

const OPTIONS: Readonly<Record<string, string>> = {
  kafka_topic: 'topic',
  value_format: 'format',
  key_format: 'key_format',
  format: 'format',
  partitions: 'partitions',
  replicas: '',
};

const COLUMNS: Readonly<Record<string, string>> = {
  rowtime: '_timestamp',
  rowpartition: '_partition',
  rowoffset: '_offset',
  windowstart: 'window_start',
  windowend: 'window_end',
};
const TYPES: Readonly<Record<string, string>> = { string: 'varchar', double: 'double precision', bytes: 'bytea' };
const JOIN_WORDS = new Set(['join', 'inner', 'left', 'right', 'full', 'outer']);
/** Why a part of WINDOW has no translation, and what there is instead. */
const REASONS: Readonly<Record<string, string>> = {
  grace:
    "how late records may be is said with the source, for all that reads it: WATERMARK FOR _timestamp AS _timestamp - INTERVAL '10 minutes' and late = 'drop', in StreamQL",
  retention:
    'windows stay until the view is dropped; CREATE MATERIALIZED VIEW … WITH (ttl = …) in StreamQL lets old rows go',
};
const WINDOWS: Readonly<Record<string, string>> = { tumbling: 'tumble', hopping: 'hop', session: 'session' };

function statement(tokens: readonly DialectToken[]): DialectToken[] {
  const out = head(tokens);
  return windowed(out).map((token) => {
    const text = lower(token);
    return Object.hasOwn(COLUMNS, text) ? word(COLUMNS[text], token) : token;
  });
}

/** CREATE [OR REPLACE] STREAM | TABLE: a source, a table, or with AS SELECT a view. */
function head(tokens: readonly DialectToken[]): DialectToken[] {
  if (lower(tokens[0]) !== 'create') return [...tokens];
  const kind = tokens.findIndex((token) => lower(token) === 'stream' || lower(token) === 'table');
  if (kind < 0 || kind > 3) return [...tokens];
  const open = tokens.findIndex((token) => lower(token) === '(');
  const as = tokens.findIndex((token, i) => lower(token) === 'as' && lower(tokens[i + 1]) === 'select');
  const withAt = tokens.findIndex((token, i) => lower(token) === 'with' && lower(tokens[i + 1]) === '(');
  if (as >= 0) {
    if (withAt >= 0 && withAt < as)
      throw new StreamError('SQL_UNSUPPORTED', 'WITH of CREATE … AS SELECT is not translated', {
        at: tokens[withAt].at,
        hint: 'leave it out, and CREATE SINK … INTO TOPIC for the topic',
      });
    return [
      ...tokens.slice(0, kind),
      word('materialized', tokens[kind]),
      word('view', tokens[kind]),
      ...tokens.slice(kind + 1),
    ];
  }
  const isStream = lower(tokens[kind]) === 'stream';
  const key = tokens.findIndex((token, i) => lower(token) === 'key' && lower(tokens[i - 1]) !== 'primary' && i > open);
  if (isStream && key >= 0 && (withAt < 0 || key < withAt))
    throw new StreamError('SQL_UNSUPPORTED', 'a KEY column of a stream is not translated', {
      at: tokens[key].at,
      hint: 'leave the column out; the key of each record is the column _key',
    });
  const typed = tokens.map((token, i) => {
    const inColumns = i > open && open > 0 && (withAt < 0 || i < withAt);
    const type = inColumns && token.kind === 'word' ? TYPES[lower(token)] : undefined;
    return type === undefined ? token : { ...token, text: type };
  });
  const made = [...typed.slice(0, kind), word(isStream ? 'source' : 'table', tokens[kind]), ...typed.slice(kind + 1)];
  return withAt < 0 ? made : [...made.slice(0, withAt), ...options(made.slice(withAt))];
}

function options(tokens: readonly DialectToken[]): DialectToken[] {
  const out: DialectToken[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (lower(tokens[i + 1]) !== '=' || token.kind !== 'word') {
      out.push(token);
      continue;
    }
    const name = OPTIONS[lower(token)];
    if (name === undefined)
      throw new StreamError('SQL_UNSUPPORTED', `the option ${token.text} is not translated`, {
        at: token.at,
        hint: `translated are: ${Object.keys(OPTIONS).join(', ')}`,
      });
    const value = tokens[i + 2];
    if (name === '') {
      // One copy of everything is what there is; the comma before or after goes with it.
      if (lower(out[out.length - 1]) === ',') out.pop();
      else if (lower(tokens[i + 3]) === ',') i++;
    } else {
      const lowered =
        value.kind === 'string' && name !== 'topic' ? { ...value, text: value.text.toLowerCase() } : value;
      // Bare text is what our json keys take too.
      const text = name === 'key_format' && lowered.text === 'kafka' ? { ...lowered, text: 'json' } : lowered;
      out.push(word(name, token), tokens[i + 1], text);
    }
    i += 2;
  }
  return out;
}

/** FROM s WINDOW TUMBLING (SIZE 10 SECONDS) … GROUP BY k, by the record's time; and EMIT FINAL. */
function windowed(tokens: readonly DialectToken[]): DialectToken[] {
  const at = tokens.findIndex((token, i) => lower(token) === 'window' && Object.hasOwn(WINDOWS, lower(tokens[i + 1])));
  const final = tokens.findIndex((token, i) => lower(token) === 'emit' && lower(tokens[i + 1]) === 'final');
  if (at < 0) {
    if (final >= 0)
      throw new StreamError('SQL_UNSUPPORTED', 'EMIT FINAL is for windows', {
        at: tokens[final].at,
        hint: 'write EMIT CHANGES',
      });
    return [...tokens];
  }
  const near = tokens[at];
  const w = (text: string) => word(text, near);
  const s = (text: string): DialectToken => ({ kind: 'other', text, at: near.at });
  const from = tokens.findLastIndex((token, i) => i < at && lower(token) === 'from');
  const end = tokens.findIndex((token, i) => i > at && lower(token) === ')');
  const within = tokens.findIndex((token, i) => i > from && i < at && lower(token) === 'within');
  if (within >= 0)
    throw new StreamError('SQL_UNSUPPORTED', 'WINDOW after a join of two streams is not translated', {
      at: tokens[within].at,
      hint: 'make the join a stream with CREATE STREAM … AS SELECT, and window that',
    });
  // Of a stream joined with tables the rows have the stream's time, so the stream is windowed and then joined.
  const join = tokens.findIndex((token, i) => i > from && i < at && JOIN_WORDS.has(lower(token)));
  const itemEnd = join < 0 ? at : join;
  if (from < 0 || end < 0 || itemEnd - from > 4)
    throw new StreamError('SQL_UNSUPPORTED', 'WINDOW stands after something that is not translated', {
      at: near.at,
      hint: 'FROM stream [alias] [JOIN table ON …] WINDOW TUMBLING (SIZE …) GROUP BY …',
    });
  const kind = lower(tokens[at + 1]);
  const given = new Map<string, DialectToken>();
  const body = tokens.slice(at + 3, end);
  for (let i = 0; i < body.length; i++) {
    const text = lower(body[i]);
    if (text === ',') continue;
    const name =
      text === 'size'
        ? 'size'
        : text === 'advance' && lower(body[i + 1]) === 'by'
          ? 'advance'
          : kind === 'session' && given.size === 0
            ? 'size'
            : '';
    if (name === '')
      throw new StreamError('SQL_UNSUPPORTED', `${body[i].text.toUpperCase()} of a window is not translated`, {
        at: body[i].at,
        hint: Object.hasOwn(REASONS, text) ? REASONS[text] : 'SIZE and ADVANCE BY are',
      });
    if (text === 'size') i++;
    else if (text === 'advance') i += 2;
    given.set(name, { kind: 'string', text: `${body[i]?.text} ${body[i + 1]?.text}`, at: (body[i] ?? near).at });
    i++;
  }
  const size = given.get('size');
  if (size === undefined)
    throw new StreamError('SQL_SYNTAX', 'a window needs its SIZE', { at: near.at, hint: 'SIZE 10 SECONDS' });
  const advance = given.get('advance');
  const lengths = kind === 'hopping' ? [advance ?? size, size] : [size];
  const [name, ...alias] = tokens.slice(from + 1, itemEnd);
  const item = [
    w(WINDOWS[kind]),
    s('('),
    name,
    s(','),
    w('_timestamp'),
    ...lengths.flatMap((length) => [s(','), w('interval'), length]),
    s(')'),
    ...(alias.length > 0 ? alias : [w('as'), name]),
  ];
  const out = [...tokens.slice(0, from + 1), ...item, ...tokens.slice(itemEnd, at), ...tokens.slice(end + 1)];
  const by = out.findIndex((token, i) => i > from && lower(token) === 'by' && lower(out[i - 1]) === 'group');
  if (by < 0)
    throw new StreamError('SQL_UNSUPPORTED', 'a window without GROUP BY is not translated', {
      at: near.at,
      hint: 'group by a key',
    });
  out.splice(by + 1, 0, w('window_start'), s(','), w('window_end'), s(','));
  const emit = out.findIndex((token, i) => lower(token) === 'emit' && lower(out[i + 1]) === 'final');
  if (emit >= 0) out.splice(emit + 1, 1, w('on'), w('window'), w('close'));
  return out;
}
