import { ok, type SqlResult } from '../../catalog/context.ts';
import { StreamError } from '../../lib/errors.ts';
import { batchOfRows, type ColumnSchema } from '../../values/batch.ts';
import { VARCHAR } from '../../values/types.ts';
import { VERSION } from '../../version.ts';

/** What a client is told at its start, and may SHOW. SET takes the same value again and refuses any other. */
export const PARAMETERS: Readonly<Record<string, { readonly value: string; readonly reported: boolean }>> = {
  server_version: { value: `15.0 (Streamline ${VERSION})`, reported: true },
  server_version_num: { value: '150000', reported: false },
  server_encoding: { value: 'UTF8', reported: true },
  client_encoding: { value: 'UTF8', reported: true },
  DateStyle: { value: 'ISO, MDY', reported: true },
  IntervalStyle: { value: 'postgres', reported: true },
  TimeZone: { value: 'UTC', reported: true },
  integer_datetimes: { value: 'on', reported: true },
  standard_conforming_strings: { value: 'on', reported: true },
  transaction_isolation: { value: 'read committed', reported: false },
  search_path: { value: '"$user", public', reported: false },
  max_identifier_length: { value: '63', reported: false },
};

/** Settings of a client's own comfort that change no answer: SET takes any value. */
const COMFORT =
  /^(application_name|extra_float_digits|client_min_messages|statement_timeout|lock_timeout|idle_in_transaction_session_timeout)$/i;

export type SessionAnswer = { readonly tag: string } | { readonly column: string; readonly value: string };

interface SessionRow {
  readonly pattern: RegExp;
  readonly run: (session: PgSession, match: RegExpExecArray) => SessionAnswer;
}

const constant =
  (column: string, value: string): SessionRow['run'] =>
  () => ({ column, value });

/** Statements about the session itself, which drivers send before and around the user's. They never reach the language. */
const STATEMENTS: readonly SessionRow[] = [
  {
    pattern: /^(begin|start)(\s+(work|transaction))?(\s+(isolation|read|not|deferrable).*)?$/is,
    run: (session) => session.begin(),
  },
  { pattern: /^(commit|end)(\s+(work|transaction))?$/i, run: (session) => session.commit() },
  { pattern: /^(rollback|abort)(\s+(work|transaction))?$/i, run: (session) => session.rollback() },
  { pattern: /^savepoint\s+"?\w+"?$/i, run: () => ({ tag: 'SAVEPOINT' }) },
  { pattern: /^release\s+(savepoint\s+)?"?\w+"?$/i, run: () => ({ tag: 'RELEASE' }) },
  { pattern: /^rollback\s+to\s+(savepoint\s+)?"?\w+"?$/i, run: (session) => session.rollbackTo() },
  { pattern: /^set\s+(session\s+characteristics|transaction)\b/i, run: () => ({ tag: 'SET' }) },
  {
    pattern: /^set\s+(?:session\s+|local\s+)?(?:time\s+zone|timezone\s*(?:=|to))\s*(.+)$/i,
    run: (_, [, value]) => set('TimeZone', value),
  },
  {
    pattern: /^set\s+(?:session\s+|local\s+)?([\w.]+)\s*(?:=|\s+to\s+)\s*(.+)$/i,
    run: (_, [, name, value]) => set(name, value),
  },
  { pattern: /^(reset\s+[\w.]+|discard\s+all)$/i, run: (_, [text]) => ({ tag: text.split(/\s/)[0].toUpperCase() }) },
  { pattern: /^show\s+transaction\s+isolation\s+level$/i, run: constant('transaction_isolation', 'read committed') },
  { pattern: /^show\s+([a-z]+_\w+|datestyle|timezone|intervalstyle)$/i, run: (_, [, name]) => show(name) },
  {
    pattern: /^select\s+(?:pg_catalog\.)?version\(\)$/i,
    run: constant('version', `PostgreSQL 15.0 (Streamline ${VERSION})`),
  },
  { pattern: /^select\s+(?:pg_catalog\.)?current_schema(?:\(\))?$/i, run: constant('current_schema', 'public') },
  {
    pattern: /^select\s+(?:pg_catalog\.)?current_database\(\)$/i,
    run: (session) => ({ column: 'current_database', value: session.database }),
  },
  {
    pattern: /^select\s+(current_user|session_user|user)$/i,
    run: (session, [, column]) => ({ column, value: session.user }),
  },
];

/** Statements that leave rows behind. */
const WRITES = /^\s*(insert|update|delete|create|drop)\b/i;

/**
 * The state of one client: whether it is in a transaction block, and whether that failed. Every statement is durable when it
 * answers, inside a block too: COMMIT has nothing left to do, and ROLLBACK of a block that wrote is an error rather than a lie.
 */
export class PgSession {
  user = 'streamline';
  database = 'streamline';
  #block: 'none' | 'open' | 'failed' = 'none';
  #wrote = false;

  /** The state that ReadyForQuery tells. */
  get status(): 'I' | 'T' | 'E' {
    return this.#block === 'none' ? 'I' : this.#block === 'open' ? 'T' : 'E';
  }

  /** The answer to a statement about the session; undefined for everything else. Refuses what a failed block may not run. */
  answer(sql: string): SessionAnswer | undefined {
    const bare = bareText(sql);
    if (this.#block === 'failed' && !/^(commit|end|rollback|abort)\b/i.test(bare)) {
      throw new StreamError('TRANSACTION_FAILED', 'an earlier statement of this transaction block failed', {
        hint: 'ROLLBACK',
      });
    }
    for (const { pattern, run } of STATEMENTS) {
      const match = pattern.exec(bare);
      if (match !== null) return run(this, match);
    }
    if (this.#block === 'open' && WRITES.test(bare)) this.#wrote = true;
    return undefined;
  }

  failed(): void {
    if (this.#block === 'open') this.#block = 'failed';
  }

  begin(): SessionAnswer {
    this.#block = 'open';
    return { tag: 'BEGIN' };
  }

  commit(): SessionAnswer {
    const failed = this.#block === 'failed';
    this.#leave();
    return { tag: failed ? 'ROLLBACK' : 'COMMIT' };
  }

  rollback(): SessionAnswer {
    const wrote = this.#wrote;
    this.#leave();
    if (!wrote) return { tag: 'ROLLBACK' };
    throw new StreamError(
      'SQL_UNSUPPORTED',
      'what this transaction block wrote cannot be taken back: each statement was durable when it answered',
      {
        hint: 'delete the rows, or use autocommit so that nothing looks as if it could be taken back',
      },
    );
  }

  /** What failed since the savepoint is over; what was written since it cannot be taken back either. */
  rollbackTo(): SessionAnswer {
    if (this.#wrote) return this.rollback();
    if (this.#block === 'failed') this.#block = 'open';
    return { tag: 'ROLLBACK' };
  }

  #leave(): void {
    this.#block = 'none';
    this.#wrote = false;
  }
}

/** Whether a statement is answered here. Only its words are looked at: nothing runs. */
export function isAboutSession(sql: string): boolean {
  const bare = bareText(sql);
  return STATEMENTS.some(({ pattern }) => pattern.test(bare));
}

/** The columns of such a statement, for Describe; undefined when it has no rows. */
export function sessionColumns(sql: string): readonly ColumnSchema[] | undefined {
  const bare = bareText(sql);
  if (!/^(show|select)\b/i.test(bare)) return undefined;
  const result = sessionResult(new PgSession().answer(sql) as SessionAnswer);
  return result.kind === 'rows' ? result.columns : undefined;
}

export function sessionResult(answer: SessionAnswer): SqlResult {
  if ('tag' in answer) return ok(answer.tag);
  const columns: readonly ColumnSchema[] = [{ name: answer.column, type: VARCHAR, nullable: false }];
  return { kind: 'rows', columns, batches: [batchOfRows([VARCHAR], [[answer.value]])] };
}

/** The statements of a text, without their semicolons: those within quotes, dollar quotes and comments divide nothing. */
export function splitStatements(sql: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  const tokens = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;/g;
  for (const { 0: token, index } of sql.matchAll(tokens)) {
    if (token !== ';') continue;
    pieces.push(sql.slice(from, index));
    from = index + 1;
  }
  pieces.push(sql.slice(from));
  return pieces.filter((piece) => piece.trim() !== '');
}

const bareText = (sql: string): string => sql.trim().replace(/;\s*$/, '').trim();

const unquoted = (text: string): string => text.trim().replace(/^'(.*)'$/s, '$1');

function parameter(name: string): { readonly value: string } {
  const found = Object.entries(PARAMETERS).find(([known]) => known.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found[1];
  throw new StreamError('OPTION_INVALID', `there is no setting ${name}`, {
    hint: `there are ${Object.keys(PARAMETERS).join(', ')}`,
  });
}

const show = (name: string): SessionAnswer => ({ column: name.toLowerCase(), value: parameter(name).value });

function set(name: string, text: string): SessionAnswer {
  if (COMFORT.test(name)) return { tag: 'SET' };
  const { value } = parameter(name);
  const wanted = unquoted(text).replaceAll('"', '');
  const same = value.replaceAll('"', '').toLowerCase().split(/,\s*/).includes(wanted.toLowerCase().split(/,\s*/)[0]);
  if (same || wanted.toLowerCase() === 'default' || /^utf-?8$/i.test(wanted)) return { tag: 'SET' };
  throw new StreamError('OPTION_INVALID', `${name} is ${value} and cannot be set to ${wanted}`);
}
