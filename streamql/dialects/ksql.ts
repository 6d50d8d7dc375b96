import { StreamError } from '../../src/lib/errors.ts';
import { word } from './calls.ts';
import { fromTranslated } from './ksql-from.ts';
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
  from_key: 'from_key',
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
function statement(tokens: readonly DialectToken[]): DialectToken[] {
  const out = head(tokens);
  return fromTranslated(out).map((token) => {
    const text = lower(token);
    return Object.hasOwn(COLUMNS, text) ? word(COLUMNS[text], token) : token;
  });
}

const SHOWN: Readonly<Record<string, string>> = { streams: 'sources', queries: 'pipelines' };

/** What stands for ksqlDB's own commands, and what to do instead of others. */
const INSTEAD: Readonly<Record<string, string>> = {
  terminate: 'a query ends with its view: DROP MATERIALIZED VIEW name',
  print: 'SELECT * FROM "topic" shows its records',
  run: 'send the statements of the script',
};

/** SHOW and LIST, DESCRIBE … EXTENDED, DROP STREAM … DELETE TOPIC. */
function command(tokens: readonly DialectToken[]): DialectToken[] {
  const first = lower(tokens[0]);
  if (Object.hasOwn(INSTEAD, first))
    throw new StreamError('SQL_UNSUPPORTED', `${first.toUpperCase()} is not translated`, {
      at: tokens[0].at,
      hint: INSTEAD[first],
    });
  if (first === 'show' || first === 'list') {
    const what = lower(tokens[1]);
    return [
      word('show', tokens[0]),
      ...tokens.slice(1).map((token, i) => (i === 0 && Object.hasOwn(SHOWN, what) ? word(SHOWN[what], token) : token)),
    ];
  }
  if (first === 'describe') return tokens.filter((token, i) => i < 2 || lower(token) !== 'extended');
  if (first === 'drop' && lower(tokens[1]) === 'stream')
    return [tokens[0], word('source', tokens[1]), ...tokens.slice(2)];
  return [...tokens];
}

/** CREATE [OR REPLACE] STREAM | TABLE: a source, a table, or with AS SELECT a view. */
function head(tokens: readonly DialectToken[]): DialectToken[] {
  if (lower(tokens[0]) !== 'create') return command(tokens);
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
  if (isStream && key >= 0 && withAt > key) return head(keyToOption(tokens, key, withAt));
  const typed = tokens.map((token, i) => {
    const inColumns = i > open && open > 0 && (withAt < 0 || i < withAt);
    const type = inColumns && token.kind === 'word' ? TYPES[lower(token)] : undefined;
    return type === undefined ? token : { ...token, text: type };
  });
  const made = [...typed.slice(0, kind), word(isStream ? 'source' : 'table', tokens[kind]), ...typed.slice(kind + 1)];
  return withAt < 0 ? made : [...made.slice(0, withAt), ...options(made.slice(withAt))];
}

/** `name VARCHAR KEY` is a column that the record key holds: without KEY, and said in WITH. */
function keyToOption(tokens: readonly DialectToken[], key: number, withAt: number): DialectToken[] {
  const name = tokens[key - 2];
  const type = lower(tokens[key - 1]);
  if (type !== 'varchar' && type !== 'string')
    throw new StreamError('SQL_UNSUPPORTED', 'a KEY column of a stream that is no VARCHAR is not translated', {
      at: tokens[key].at,
      hint: 'declare it VARCHAR, and CAST it where it is used',
    });
  const other = (text: string): DialectToken => ({ kind: 'other', text, at: name.at });
  const text = name.kind === 'word' ? name.text.toLowerCase() : name.text;
  const said = [word('from_key', name), other('='), { ...name, kind: 'string' as const, text }, other(',')];
  return [...tokens.slice(0, key), ...tokens.slice(key + 1, withAt + 2), ...said, ...tokens.slice(withAt + 2)];
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
        hint:
          lower(token) === 'timestamp'
            ? 'declare the column TIMESTAMP (it reads milliseconds too), and take windows of it: FROM TUMBLE(stream, column, size) in StreamQL'
            : `translated are: ${Object.keys(OPTIONS)
                .filter((option) => option !== 'from_key')
                .join(', ')}`,
      });
    const value = tokens[i + 2];
    if (name === '') {
      // One copy of everything is what there is; the comma before or after goes with it.
      if (lower(out[out.length - 1]) === ',') out.pop();
      else if (lower(tokens[i + 3]) === ',') i++;
    } else {
      const lowered =
        value.kind === 'string' && name !== 'topic' && name !== 'from_key'
          ? { ...value, text: value.text.toLowerCase() }
          : value;
      // Bare text is what our json keys take too.
      const text = name === 'key_format' && lowered.text === 'kafka' ? { ...lowered, text: 'json' } : lowered;
      out.push(word(name, token), tokens[i + 1], text);
    }
    i += 2;
  }
  return out;
}
