import { asStreamError, type ErrorCode, type Position } from '../../lib/errors.ts';

/** SQLSTATE of our codes where an error has none of its own; what is not listed is XX000. */
const SQLSTATES: Readonly<Partial<Record<ErrorCode, string>>> = {
  SQL_SYNTAX: '42601',
  SQL_BIND: '42703',
  SQL_TYPE: '42804',
  SQL_UNSUPPORTED: '0A000',
  SQL_LIMIT: '54000',
  OPTION_INVALID: '22023',
  REQUEST_INVALID: '08P01',
  NOT_FOUND: '42P01',
  ALREADY_EXISTS: '42P07',
  IN_USE: '2BP01',
  TOO_LARGE: '54000',
  TIMEOUT: '57014',
  CANCELLED: '57014',
  TRANSACTION_FAILED: '25P02',
  OVERLOADED: '53300',
  VALUE_OVERFLOW: '22003',
  VALUE_DIVISION_BY_ZERO: '22012',
  VALUE_CAST: '22P02',
  VALUE_DOMAIN: '22023',
  VALUE_LIMIT: '54000',
  VALUE_FUNCTION: '38000',
};

/** Where a piece of a query string stands in it: errors count from the piece, clients from the whole. */
export interface Piece {
  readonly whole: string;
  readonly from: number;
}

/** The fields of an ErrorResponse (PostgreSQL documentation, "Error and Notice Message Fields"). */
export function errorFields(
  thrown: unknown,
  severity: 'ERROR' | 'FATAL',
  piece: Piece | undefined,
): [code: string, value: string][] {
  const error = asStreamError(thrown);
  const fields: [string, string][] = [
    ['S', severity],
    ['V', severity],
    ['C', error.sqlState ?? SQLSTATES[error.code] ?? 'XX000'],
  ];
  if (error.at === undefined) {
    fields.push(['M', error.message]);
  } else if (piece === undefined) {
    fields.push(['M', located(error.message, error.at)]);
  } else {
    const at = piece.from + indexOf(piece.whole.slice(piece.from), error.at);
    const before = piece.whole.slice(0, at);
    const line = before.split('\n').length;
    const column = at - (before.lastIndexOf('\n') + 1) + 1;
    // Characters, not UTF-16 units, from 1.
    fields.push(['M', located(error.message, { line, column })], ['P', String([...before].length + 1)]);
  }
  if (error.hint !== undefined) fields.push(['H', error.hint]);
  return fields;
}

const located = (message: string, { line, column }: Position): string => `${message} (line ${line}, column ${column})`;

/** The index in a text of a place that counts lines and columns from 1. */
function indexOf(text: string, { line, column }: Position): number {
  let start = 0;
  for (let i = 1; i < line; i++) start = text.indexOf('\n', start) + 1;
  return Math.min(start + column - 1, text.length);
}
