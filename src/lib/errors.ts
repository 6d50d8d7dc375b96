/** Every error a user may meet is a row here and a line in docs/reference/errors.md (tests/tidy.test.ts compares them). */

/** Who has to act: the user, the operator of something outside, or us. */
export type Fault = 'user' | 'external' | 'internal';

export const ERRORS = {
  SQL_SYNTAX: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'The statement does not follow the grammar; `position` shows where, `detail` what was expected.',
  },
  SQL_BIND: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'SHOW SOURCES, SHOW TABLES and SHOW VIEWS list what there is, DESCRIBE name its columns',
    doc: 'A name in the statement is unknown, ambiguous or does not fit; the hint names what is close.',
  },
  SQL_TYPE: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'CAST(value AS type) converts; DESCRIBE name shows the types of columns',
    doc: 'Types do not go together; cast one side.',
  },
  SQL_UNSUPPORTED: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'docs/reference/sql.md says what there is',
    doc: 'The statement is understood but this release cannot run it; the hint says what to do instead.',
  },
  SQL_LIMIT: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'split it: a view may read another view',
    doc: 'The statement is longer or deeper than a bound allows; split it.',
  },
  OPTION_INVALID: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'A setting or a `WITH (…)` option is unknown or has a value that it cannot take.',
  },
  REQUEST_INVALID: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'The request does not have the shape that `/openapi.json` describes.',
  },
  ORIGIN_REFUSED: {
    fault: 'user',
    http: 403,
    retry: false,
    doc: 'A browser sent the request from a page of another address, which may not; pages of this machine may.',
  },
  NOT_FOUND: { fault: 'user', http: 404, retry: false, doc: 'There is nothing of that name.' },
  ALREADY_EXISTS: {
    fault: 'user',
    http: 409,
    retry: false,
    doc: 'The name is taken; drop what has it, or take another.',
  },
  IN_USE: { fault: 'user', http: 409, retry: false, doc: 'Something else reads it; drop that first, or use CASCADE.' },
  TOO_LARGE: {
    fault: 'user',
    http: 413,
    retry: false,
    doc: 'The request or the answer is larger than its bound; ask for less or raise `maxRows`.',
  },
  TIMEOUT: {
    fault: 'user',
    http: 408,
    retry: true,
    hint: 'raise timeoutMs (statement_timeout on the Postgres wire), or keep the answer current in a view',
    doc: 'It took longer than `timeoutMs`; raise it or ask for less.',
  },
  CANCELLED: { fault: 'user', http: 499, retry: true, doc: 'The client went away, or what it followed was dropped.' },
  TRANSACTION_FAILED: {
    fault: 'user',
    http: 409,
    retry: false,
    doc: 'An earlier statement of the Postgres transaction block failed; ROLLBACK ends the block.',
  },
  OVERLOADED: {
    fault: 'external',
    http: 503,
    retry: true,
    doc: 'Too much waits already, or a subscriber reads too slowly; try again.',
  },
  STATE_LIMIT: {
    fault: 'user',
    http: 507,
    retry: false,
    doc: "A view's state is larger than its `max_state`; raise it with ALTER MATERIALIZED VIEW … SET, or bound the state as EXPLAIN STATE says.",
  },
  // A value that cannot be computed for one row: it becomes a dead letter in a view, an error in a pull query.
  VALUE_OVERFLOW: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'CAST an operand to a wider type: BIGINT, DECIMAL(38, 0) or DOUBLE PRECISION',
    doc: 'A result does not fit its type; cast to a wider one. In a view the row becomes a dead letter.',
  },
  VALUE_DIVISION_BY_ZERO: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'a / NULLIF(b, 0) is NULL instead',
    doc: 'A division by zero; guard it with NULLIF. In a view the row becomes a dead letter.',
  },
  VALUE_CAST: {
    fault: 'user',
    http: 400,
    retry: false,
    hint: 'TRY_CAST(value AS type) is NULL instead',
    doc: 'A value cannot be converted; TRY_CAST gives NULL instead. In a view the row becomes a dead letter.',
  },
  VALUE_DOMAIN: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'A value is outside what the function or column takes. In a view the row becomes a dead letter.',
  },
  VALUE_LIMIT: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'Computing a value took more work than a bound allows, such as a row pattern that can be read in too many ways. In a view the row becomes a dead letter.',
  },
  VALUE_FUNCTION: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'A function made with CREATE FUNCTION threw, ran too long or gave a value that is not of its type. In a view the row becomes a dead letter.',
  },
  RECORD_MALFORMED: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'A record is not what the source declares; it stands in `<source>$errors` with its offset.',
  },
  RECORD_LATE: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: "A row came behind the watermark of a source with `late = 'dead_letter'`; it stands in `<source>$late`.",
  },
  DATA_DIR_LOCKED: {
    fault: 'user',
    http: 500,
    retry: false,
    doc: 'Another process works on the data directory; stop it or take another directory.',
  },
  STORAGE_FAILED: {
    fault: 'external',
    http: 503,
    retry: true,
    doc: 'The disk failed or is full, or a file is damaged; see the log. After a failed fsync a restart is needed.',
  },
  SINK_UNAVAILABLE: {
    fault: 'external',
    http: 503,
    retry: true,
    doc: 'A sink cannot reach its target now; it is tried again.',
  },
  SINK_REJECTED: {
    fault: 'user',
    http: 400,
    retry: false,
    doc: 'A sink cannot take what the query yields, or its target does not fit.',
  },
  PIPELINE_FAILED: {
    fault: 'internal',
    http: 500,
    retry: false,
    doc: 'The view or sink stopped; `GET /api/v1/pipelines/<name>` has the reason. Drop and create it again.',
  },
  INVARIANT: {
    fault: 'internal',
    http: 500,
    retry: false,
    doc: 'Streamline contradicts itself; please report it with the log.',
  },
} as const satisfies Record<string, ErrorKind>;

interface ErrorKind {
  readonly fault: Fault;
  readonly http: number;
  readonly retry: boolean;
  readonly doc: string;
  /** The next step where whoever throws knows no better one. */
  readonly hint?: string;
}

export type ErrorCode = keyof typeof ERRORS;

/** A place in a statement; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export class StreamError extends Error {
  readonly code: ErrorCode;
  readonly at: Position | undefined;
  /** The next step to take, as a sentence. */
  readonly hint: string | undefined;
  /** SQLSTATE for the Postgres wire (PostgreSQL documentation, appendix A) where one code of ours covers several. */
  readonly sqlState: string | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    more: { at?: Position; hint?: string; cause?: unknown; sqlState?: string } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'StreamError';
    this.code = code;
    this.at = more.at;
    this.hint = more.hint ?? (ERRORS[code] as ErrorKind).hint;
    this.sqlState = more.sqlState;
  }

  /** Plain data that survives postMessage and JSON. */
  toJSON(): { code: ErrorCode; detail: string; at?: Position; hint?: string } {
    return {
      code: this.code,
      detail: this.message,
      ...(this.at ? { at: this.at } : {}),
      ...(this.hint ? { hint: this.hint } : {}),
    };
  }

  static from(plain: { code: ErrorCode; detail: string; at?: Position; hint?: string }): StreamError {
    return new StreamError(plain.code, plain.detail, plain);
  }
}

/** Whatever was thrown, as a StreamError; an unknown one is an internal contradiction. */
export function asStreamError(thrown: unknown): StreamError {
  if (thrown instanceof StreamError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const hint = DISK_ERRORS[(thrown as NodeJS.ErrnoException | undefined)?.code ?? ''];
  if (hint !== undefined) return new StreamError('STORAGE_FAILED', message, { cause: thrown, hint });
  return new StreamError('INVARIANT', message, { cause: thrown });
}

/** Errors of the system that are about the disk whatever was being done, and the next step to take. */
const DISK_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the quota of the disk is used up: free some space',
  EIO: 'the disk does not work: check it',
  EROFS: 'the disk is mounted read-only: check why',
};
