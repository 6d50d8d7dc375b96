import type { ErrorCode } from './errors.ts';

/** What each code means and what to do; docs/reference/errors.md prints it. */
export const ERROR_DOCS: Readonly<Record<ErrorCode, string>> = {
  SQL_SYNTAX: 'The statement does not follow the grammar; `position` shows where, `detail` what was expected.',
  SQL_BIND: 'A name in the statement is unknown, ambiguous or does not fit; the hint names what is close.',
  SQL_TYPE: 'Types do not go together; cast one side.',
  SQL_UNSUPPORTED: 'The statement is understood but this release cannot run it; the hint says what to do instead.',
  SQL_LIMIT: 'The statement is longer or deeper than a bound allows; split it.',
  OPTION_INVALID: 'A setting or a `WITH (…)` option is unknown or has a value that it cannot take.',
  REQUEST_INVALID: 'The request does not have the shape that `/openapi.json` describes.',
  NOT_FOUND: 'There is nothing of that name.',
  ALREADY_EXISTS: 'The name is taken; drop what has it, or take another.',
  IN_USE: 'Something else reads it; drop that first, or use CASCADE.',
  TOO_LARGE: 'The request or the answer is larger than its bound; ask for less or raise `maxRows`.',
  TIMEOUT: 'It took longer than `timeoutMs`; raise it or ask for less.',
  CANCELLED: 'The client went away, or what it followed was dropped.',
  OVERLOADED: 'Too much waits already, or a subscriber reads too slowly; try again.',
  VALUE_OVERFLOW: 'A result does not fit its type; cast to a wider one. In a view the row becomes a dead letter.',
  VALUE_DIVISION_BY_ZERO: 'A division by zero; guard it with NULLIF. In a view the row becomes a dead letter.',
  VALUE_CAST: 'A value cannot be converted; TRY_CAST gives NULL instead. In a view the row becomes a dead letter.',
  VALUE_DOMAIN: 'A value is outside what the function or column takes. In a view the row becomes a dead letter.',
  RECORD_MALFORMED: 'A record is not what the source declares; it stands in `<source>$errors` with its offset.',
  RECORD_LATE: "A row came behind the watermark of a source with `late = 'dead_letter'`; it stands in `<source>$late`.",
  DATA_DIR_LOCKED: 'Another process works on the data directory; stop it or take another directory.',
  STORAGE_FAILED:
    'The disk failed or is full, or a file is damaged; see the log. After a failed fsync a restart is needed.',
  SINK_UNAVAILABLE: 'A sink cannot reach its target now; it is tried again.',
  SINK_REJECTED: 'A sink cannot take what the query yields, or its target does not fit.',
  PIPELINE_FAILED: 'The view or sink stopped; `GET /api/v1/pipelines/<name>` has the reason. Drop and create it again.',
  INVARIANT: 'Streamline contradicts itself; please report it with the log.',
};
