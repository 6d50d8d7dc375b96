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
