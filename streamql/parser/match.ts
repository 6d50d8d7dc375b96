import { StreamError } from '../../src/lib/errors.ts';
import type { AstExpr, MatchRecognize, Name, PatternAst, TableAlias, TableRef } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { inForm, MATCH_FORM } from './forms.ts';
import { parsePattern } from './pattern.ts';
import { parseOrderBy } from './primaries.ts';
import { parseNames } from './queries.ts';

/** What may follow `MATCH_RECOGNIZE (`, in the standard's order. */
const CLAUSES = ['partition', 'order', 'measures', 'one', 'all', 'after', 'pattern', 'within', 'subset', 'define'];

/** `input MATCH_RECOGNIZE (PARTITION BY … ORDER BY … MEASURES … PATTERN (…) DEFINE …) [AS alias]`. */
export function parseMatch(cursor: Cursor, input: TableRef, alias: () => TableAlias | null): MatchRecognize {
  const { at } = cursor.next();
  const outside = cursor.inMatch;
  cursor.inMatch = true;
  const body = inForm(MATCH_FORM, () => cursor.parenthesized(() => cursor.nested(() => parseBody(cursor))));
  cursor.inMatch = outside;
  return { kind: 'match', input, ...body, alias: alias(), at };
}

type Body = Omit<MatchRecognize, 'kind' | 'input' | 'alias' | 'at'>;

function parseBody(cursor: Cursor): Body {
  let partitionBy: AstExpr[] = [];
  if (cursor.takeWord('partition')) {
    cursor.expectWord('by');
    partitionBy = cursor.list(() => parseExpr(cursor));
  }
  const orderBy = parseOrderBy(cursor);
  const afterOrder = cursor.at;
  const measures = cursor.takeWord('measures') ? cursor.list(() => parseMeasure(cursor)) : [];
  const rows = parseRows(cursor);
  const skip = parseSkip(cursor);
  if (cursor.isWord('seek')) throw cursor.unsupported('SEEK', 'leave it out: every match is found');
  if (cursor.isWord('initial')) throw cursor.unsupported('INITIAL', 'begin the pattern with ^');
  if (!cursor.isWord('pattern')) throw cursor.expected('PATTERN (…)', CLAUSES);
  cursor.next();
  const pattern: PatternAst = parsePattern(cursor);
  const within = cursor.takeWord('within') ? parseExpr(cursor) : null;
  const subsets = cursor.takeWord('subset') ? cursor.list(() => parseSubset(cursor)) : [];
  const defines = cursor.takeWord('define') ? cursor.list(() => parseDefine(cursor)) : [];
  if (!cursor.isSign(')')) throw cursor.expected('")" or the next clause of MATCH_RECOGNIZE', CLAUSES);
  if (orderBy.length === 0) {
    throw new StreamError('SQL_SYNTAX', 'MATCH_RECOGNIZE needs ORDER BY: without it any order of the rows would do', {
      at: afterOrder,
      hint: 'ORDER BY ts, before MEASURES, says which row comes after which',
    });
  }
  return { partitionBy, orderBy, measures, rows, skip, pattern, within, subsets, defines };
}

function parseMeasure(cursor: Cursor): Body['measures'][number] {
  const expr = parseExpr(cursor);
  cursor.expectWord('as');
  return { expr, name: cursor.name('the name of the measure') };
}

function parseRows(cursor: Cursor): Body['rows'] {
  if (cursor.takeWord('one')) {
    cursor.expectWord('row', 'per', 'match');
    return 'one';
  }
  if (!cursor.takeWord('all')) return 'one';
  cursor.expectWord('rows', 'per', 'match');
  if (cursor.takeWord('omit')) {
    cursor.expectWord('empty', 'matches');
    return 'allButEmpty';
  }
  if (cursor.takeWord('with')) {
    cursor.expectWord('unmatched', 'rows');
    return 'unmatched';
  }
  if (cursor.takeWord('show')) cursor.expectWord('empty', 'matches');
  return 'all';
}

function parseSkip(cursor: Cursor): Body['skip'] {
  if (!cursor.takeWord('after')) return { to: 'pastLast' };
  cursor.expectWord('match', 'skip');
  if (cursor.takeWord('past')) {
    cursor.expectWord('last', 'row');
    return { to: 'pastLast' };
  }
  cursor.expectWord('to');
  if (cursor.takeWord('next', 'row')) return { to: 'nextRow' };
  const isFirst = cursor.isWord('first');
  const hasPlace = (isFirst || cursor.isWord('last')) && !cursor.isWord(cursor.token.text, 'pattern');
  if (hasPlace) cursor.next();
  return { to: hasPlace && isFirst ? 'first' : 'last', variable: cursor.name('a pattern variable') };
}

function parseSubset(cursor: Cursor): { name: Name; members: Name[] } {
  const name = cursor.name('the name of the subset');
  cursor.expectSign('=');
  return { name, members: parseNames(cursor) };
}

function parseDefine(cursor: Cursor): { name: Name; condition: AstExpr } {
  const name = cursor.name('a pattern variable');
  cursor.expectWord('as');
  return { name, condition: parseExpr(cursor) };
}
