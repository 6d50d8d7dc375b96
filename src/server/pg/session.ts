import { ok, type SqlResult } from '../../catalog/context.ts';
import { SqlSession } from '../../catalog/session.ts';
import { StreamError } from '../../lib/errors.ts';
import { batchOfRows, type ColumnSchema } from '../../values/batch.ts';
import { VARCHAR } from '../../values/types.ts';
import { VERSION } from '../../version.ts';
import { DEFAULT_TIMEOUT_MS } from '../routes/sql.ts';
import { bareText } from './sql-text.ts';

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
  max_identifier_length: { value: '63', reported: false },
};

/** Settings of a client's own comfort that change no answer: SET takes any value. */
const COMFORT =
  /^(application_name|extra_float_digits|client_min_messages|lock_timeout|idle_in_transaction_session_timeout)$/i;

/** What a setTimeout can hold: statement_timeout = 0 means none. */
const NO_TIMEOUT_MS = 0x7fffffff;
const UNIT_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** A statement that Parse named. `parameters` counts both declared and written ones. */
export interface Prepared {
  readonly sql: string;
  readonly parameterOids: readonly number[];
  readonly parameters: number;
}

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
    run: (session, [, name, value]) =>
      /^statement_timeout$/i.test(name)
        ? session.setTimeout(value)
        : /^(search_path|dialect)$/i.test(name)
          ? session.setOfLanguage(name, value)
          : set(name, value),
  },
  { pattern: /^reset\s+([\w.]+)$/i, run: (session, [, name]) => session.reset(name) },
  { pattern: /^discard\s+all$/i, run: (session) => session.discardAll() },
  { pattern: /^deallocate\s+(?:prepare\s+)?(\w+|"[^"]+")$/i, run: (session, [, name]) => session.deallocate(name) },
  {
    pattern: /^show\s+statement_timeout$/i,
    run: (session) => ({ column: 'statement_timeout', value: `${session.statementTimeoutMs}ms` }),
  },
  {
    pattern: /^show\s+(search_path|dialect)$/i,
    run: (session, [, name]) => ({ column: name.toLowerCase(), value: session.sql.get(name.toLowerCase()) }),
  },
  { pattern: /^show\s+transaction\s+isolation\s+level$/i, run: constant('transaction_isolation', 'read committed') },
  { pattern: /^show\s+([a-z]+_\w+|datestyle|timezone|intervalstyle)$/i, run: (_, [, name]) => show(name) },
];

/** Statements that leave rows behind. */
const WRITES = /^\s*(insert|update|delete|create|drop|alter|pause|resume)\b/i;

/**
 * The state of one client: whether it is in a transaction block, and whether that failed. Every statement is durable when it
 * answers, inside a block too: COMMIT has nothing left to do, and ROLLBACK of a block that wrote is an error rather than a lie.
 */
export class PgSession {
  /** How long a statement may take. */
  statementTimeoutMs = DEFAULT_TIMEOUT_MS;
  /** By name; '' is the unnamed one. */
  readonly prepared = new Map<string, Prepared>();
  /** What the language knows of the session. */
  readonly sql = new SqlSession();
  #block: 'none' | 'open' | 'failed' = 'none';
  #wrote = false;

  constructor() {
    const settings = Object.entries(PARAMETERS).map(([name, { value }]) => [name.toLowerCase(), value]);
    this.sql.settings = Object.fromEntries(settings);
  }

  /** The state that ReadyForQuery tells. */
  get status(): 'I' | 'T' | 'E' {
    return this.#block === 'none' ? 'I' : this.#block === 'open' ? 'T' : 'E';
  }

  /**
   * A parameter of StartupMessage. A time zone or date style that we do not have is answered by ParameterStatus with what holds (drivers send
   * their own unasked); everything else is taken or refused as SET does.
   */
  start(name: string, value: string): void {
    if (name === 'user') {
      if (this.sql.database === this.sql.user) this.sql.database = value;
      this.sql.user = value;
    } else if (name === 'database') {
      this.sql.database = value;
    } else if (name === 'options') {
      for (const [, option, given] of value.matchAll(/(?:-c\s*|--)([\w.]+)=(\S+)/g)) this.start(option, given);
    } else if (name === 'statement_timeout') {
      this.setTimeout(value);
    } else if (name === 'replication') {
      if (!/^(false|off|no|0)$/i.test(value))
        throw new StreamError('SQL_UNSUPPORTED', 'there is no replication over the Postgres wire', {
          hint: 'SUBSCRIBE over HTTP, or read the topic with a Kafka client',
        });
    } else if (/^(search_path|dialect)$/i.test(name)) {
      this.setOfLanguage(name, value);
    } else if (!/^(timezone|datestyle|intervalstyle)$/i.test(name)) {
      set(name, value);
    }
  }

  setTimeout(text: string): SessionAnswer {
    const wanted = unquoted(text);
    const match = /^(\d+)\s*(ms|s|min|h|d|)$/.exec(wanted);
    if (/^default$/i.test(wanted)) {
      this.statementTimeoutMs = DEFAULT_TIMEOUT_MS;
    } else if (match === null) {
      throw new StreamError('OPTION_INVALID', `statement_timeout cannot be ${wanted}`, {
        hint: "a number of milliseconds, or a number with its unit such as '5s'; 0 is none",
      });
    } else {
      const ms = Number(match[1]) * UNIT_MS[match[2]];
      this.statementTimeoutMs = ms === 0 ? NO_TIMEOUT_MS : Math.min(ms, NO_TIMEOUT_MS);
    }
    return { tag: 'SET' };
  }

  setOfLanguage(name: string, text: string): SessionAnswer {
    const values = /^default$/i.test(text.trim()) ? [] : text.split(',').map((value) => identifier(value.trim()));
    this.sql.set(name.toLowerCase(), values);
    return { tag: 'SET' };
  }

  reset(name: string): SessionAnswer {
    for (const setting of ['search_path', 'dialect'])
      if (name.toLowerCase() === setting || /^all$/i.test(name)) this.sql.set(setting, []);
    if (/^(search_path|dialect)$/i.test(name)) return { tag: 'RESET' };
    if (/^(statement_timeout|all)$/i.test(name)) this.statementTimeoutMs = DEFAULT_TIMEOUT_MS;
    else if (!COMFORT.test(name)) parameter(name);
    return { tag: 'RESET' };
  }

  discardAll(): SessionAnswer {
    this.prepared.clear();
    this.reset('all');
    return { tag: 'DISCARD ALL' };
  }

  deallocate(name: string): SessionAnswer {
    if (/^all$/i.test(name)) {
      this.prepared.clear();
      return { tag: 'DEALLOCATE ALL' };
    }
    const bare = name.startsWith('"') ? name.slice(1, -1) : name;
    if (!this.prepared.delete(bare))
      throw new StreamError('NOT_FOUND', `there is no prepared statement "${bare}"`, { sqlState: '26000' });
    return { tag: 'DEALLOCATE' };
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

/** A name or a string, folded unless it is in quotes. */
const identifier = (text: string): string =>
  /^(['"]).*\1$/s.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text.toLowerCase();

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
