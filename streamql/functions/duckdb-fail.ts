import type { ErrorCode } from '../../src/lib/errors.ts';

/** An error of ours as a text on its way through DuckDB, which knows nothing else. */
export const markedError = (code: ErrorCode, message: string): string => `[streamline ${code}] ${message}`;

/** Where a spelling for DuckDB has to fail as the function itself does. */
export const duckdbFail = (code: ErrorCode, message: string): string =>
  `error('${markedError(code, message).replaceAll("'", "''")}')`;
