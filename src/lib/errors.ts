/** Every error a user may meet is a row here and a line in docs/reference/errors.md (tests/tidy.test.ts compares them). */

/** Who has to act: the user, the operator of something outside, or us. */
export type Fault = 'user' | 'external' | 'internal';

export const ERRORS = {
  SQL_SYNTAX: { fault: 'user', http: 400, retry: false },
  SQL_BIND: { fault: 'user', http: 400, retry: false },
  SQL_TYPE: { fault: 'user', http: 400, retry: false },
  SQL_UNSUPPORTED: { fault: 'user', http: 400, retry: false },
  SQL_LIMIT: { fault: 'user', http: 400, retry: false },
  OPTION_INVALID: { fault: 'user', http: 400, retry: false },
  REQUEST_INVALID: { fault: 'user', http: 400, retry: false },
  NOT_FOUND: { fault: 'user', http: 404, retry: false },
  ALREADY_EXISTS: { fault: 'user', http: 409, retry: false },
  IN_USE: { fault: 'user', http: 409, retry: false },
  TOO_LARGE: { fault: 'user', http: 413, retry: false },
  TIMEOUT: { fault: 'user', http: 408, retry: true },
  CANCELLED: { fault: 'user', http: 499, retry: true },
  OVERLOADED: { fault: 'external', http: 503, retry: true },
  // A value that cannot be computed for one row: it becomes a dead letter in a view, an error in a pull query.
  VALUE_OVERFLOW: { fault: 'user', http: 400, retry: false },
  VALUE_DIVISION_BY_ZERO: { fault: 'user', http: 400, retry: false },
  VALUE_CAST: { fault: 'user', http: 400, retry: false },
  VALUE_DOMAIN: { fault: 'user', http: 400, retry: false },
  RECORD_MALFORMED: { fault: 'user', http: 400, retry: false },
  RECORD_LATE: { fault: 'user', http: 400, retry: false },
  DATA_DIR_LOCKED: { fault: 'user', http: 500, retry: false },
  STORAGE_FAILED: { fault: 'external', http: 503, retry: true },
  SINK_UNAVAILABLE: { fault: 'external', http: 503, retry: true },
  SINK_REJECTED: { fault: 'user', http: 400, retry: false },
  PIPELINE_FAILED: { fault: 'internal', http: 500, retry: false },
  INVARIANT: { fault: 'internal', http: 500, retry: false },
} as const satisfies Record<string, { fault: Fault; http: number; retry: boolean }>;

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

  constructor(code: ErrorCode, detail: string, more: { at?: Position; hint?: string; cause?: unknown } = {}) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'StreamError';
    this.code = code;
    this.at = more.at;
    this.hint = more.hint;
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
  return new StreamError('INVARIANT', message, { cause: thrown });
}
