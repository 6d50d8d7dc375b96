import type { Position } from '../../src/lib/errors.ts';
import { VARCHAR } from '../../src/values/types.ts';
import type { AstExpr } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parsePrimary } from './primaries.ts';
import { compareRows, rowIn, rowIsNull, valuesOf } from './row-values.ts';
import { parseLengthOfText, parseType } from './types.ts';

/** Postgres 4.1.6, loosest first. Comparison, BETWEEN/IN/LIKE and IS DISTINCT FROM do not associate. */
const OR = 1;
const AND = 2;
const NOT = 3;
const IS = 4;
const COMPARISON = 5;
const RANGE = 6;
const OTHER = 7;
const SUM = 8;
const PRODUCT = 9;
const POWER = 10;
const AT = 11;
const COLLATE = 12;
const SIGN = 13;
const SUBSCRIPT = 14;
const CAST = 15;

const SIGN_LEVEL: Readonly<Record<string, number>> = {
  '=': COMPARISON,
  '<>': COMPARISON,
  '<': COMPARISON,
  '>': COMPARISON,
  '<=': COMPARISON,
  '>=': COMPARISON,
  '+': SUM,
  '-': SUM,
  '*': PRODUCT,
  '/': PRODUCT,
  '%': PRODUCT,
  '^': POWER,
  '[': SUBSCRIPT,
  '::': CAST,
};
const NOT_AN_OPERATOR = new Set(['(', ')', ']', ':', ',', ';', '.', '=>']);
const WORD_LEVEL: Readonly<Record<string, number>> = {
  or: OR,
  and: AND,
  is: IS,
  isnull: IS,
  notnull: IS,
  between: RANGE,
  in: RANGE,
  like: RANGE,
  ilike: RANGE,
  similar: RANGE,
  overlaps: RANGE,
  at: AT,
  collate: COLLATE,
};
const AFTER_INFIX_NOT: ReadonlySet<string> = new Set(['between', 'in', 'like', 'ilike', 'similar']);

/** The whole of an expression, Postgres's a_expr. */
export const parseExpr = (cursor: Cursor): AstExpr => parseAbove(cursor, OR, false);

/** Postgres's b_expr: what may stand where a following AND or IN belongs to the construct around it. */
export const parseRestricted = (cursor: Cursor): AstExpr => parseAbove(cursor, IS, true);

/**
 * Reads operators that bind at least as tightly as `level`. `restricted` is Postgres's b_expr, the lower bound of BETWEEN:
 * no AND, OR, NOT, IN, LIKE, BETWEEN, IS NULL.
 */
function parseAbove(cursor: Cursor, level: number, restricted: boolean): AstExpr {
  let left = parsePrefix(cursor, restricted);
  let chain = 0;
  for (;;) {
    const operator = operatorLevel(cursor);
    if (operator < level) return left;
    if (restricted && isKeywordOperator(cursor)) return left;
    if (operator > AND) cursor.checkChain(++chain, cursor.at);
    left = parseInfix(cursor, left, operator, restricted);
  }
}

/** 0 when the coming token is no infix or postfix operator. */
function operatorLevel(cursor: Cursor): number {
  const { token } = cursor;
  if (token.kind === 'operator') return NOT_AN_OPERATOR.has(token.text) ? 0 : (SIGN_LEVEL[token.text] ?? OTHER);
  if (token.kind !== 'word') return 0;
  if (token.text === 'not')
    return AFTER_INFIX_NOT.has(cursor.peek(1).text) && cursor.peek(1).kind === 'word' ? RANGE : 0;
  if (token.text === 'at') return cursor.isWord('at', 'time', 'zone') || cursor.isWord('at', 'local') ? AT : 0;
  return Object.hasOwn(WORD_LEVEL, token.text) ? WORD_LEVEL[token.text] : 0;
}

function isKeywordOperator(cursor: Cursor): boolean {
  if (cursor.token.kind !== 'word' || cursor.token.text === 'at') return false;
  return !(cursor.isWord('is', 'distinct', 'from') || cursor.isWord('is', 'not', 'distinct', 'from'));
}

function parsePrefix(cursor: Cursor, restricted: boolean): AstExpr {
  const { at } = cursor;
  if (!restricted && cursor.isWord('not')) {
    cursor.next();
    const arg = cursor.nested(() => parseAbove(cursor, NOT, false));
    return { kind: 'unary', op: 'not', arg, at };
  }
  const { token } = cursor;
  if (token.kind !== 'operator' || token.text === '(' || token.text === '*') return parsePrimary(cursor);
  if (token.text === '-' || token.text === '+') {
    cursor.next();
    const arg = cursor.nested(() => parseAbove(cursor, SIGN, restricted));
    return { kind: 'unary', op: token.text, arg, at };
  }
  if (NOT_AN_OPERATOR.has(token.text) || Object.hasOwn(SIGN_LEVEL, token.text)) return parsePrimary(cursor);
  cursor.next();
  const arg = cursor.nested(() => parseAbove(cursor, OTHER + 1, restricted));
  return { kind: 'unary', op: token.text, arg, at };
}

function parseInfix(cursor: Cursor, left: AstExpr, level: number, restricted: boolean): AstExpr {
  const { at } = cursor;
  const operand = (above: number): AstExpr => cursor.nested(() => parseAbove(cursor, above, restricted));
  const token = cursor.next();
  switch (level) {
    case OR:
    case AND:
      return { kind: 'binary', op: token.text, left, right: operand(level + 1), at };
    case IS:
      return parseIs(cursor, left, token.text, at, operand);
    case COMPARISON: {
      if (token.text === '=' && (cursor.isWord('any') || cursor.isWord('some')) && !startsQuery(cursor, 1)) {
        cursor.next();
        const array = cursor.parenthesized(() => cursor.nested(() => parseExpr(cursor)));
        return call('= any', [left, array], at);
      }
      if (/^(<>|!=)$/.test(token.text) && cursor.isWord('all') && !startsQuery(cursor, 1)) {
        cursor.next();
        const array = cursor.parenthesized(() => cursor.nested(() => parseExpr(cursor)));
        return { kind: 'unary', op: 'not', arg: call('= any', [left, array], at), at };
      }
      if (cursor.isWord('any') || cursor.isWord('all') || cursor.isWord('some'))
        return parseQuantified(cursor, left, token.text as Comparison, at);
      const right = operand(COMPARISON + 1);
      refuseChain(cursor, COMPARISON, token.text);
      const rows = compareRows(token.text, left, right, at);
      if (rows !== null) return rows;
      return { kind: 'binary', op: token.text, left, right, at };
    }
    case RANGE:
      return parseRange(cursor, left, token.text, at, restricted);
    case AT: {
      if (!cursor.takeWord('time', 'zone')) throw cursor.unsupported('AT LOCAL', "use AT TIME ZONE 'name'", at);
      return call('timezone', [operand(AT + 1), left], at);
    }
    case COLLATE:
      throw cursor.unsupported('COLLATE', 'leave it out: text is ordered by its bytes', at);
    case SUBSCRIPT:
      return parseSubscript(cursor, left, at);
    case CAST:
      return parseCastTo(cursor, left, false, at);
    default:
      return { kind: 'binary', op: token.text, left, right: operand(level + 1), at };
  }
}

/** What is cast, at its type. VARCHAR(n) cuts, as in Postgres. */
export function parseCastTo(cursor: Cursor, arg: AstExpr, safe: boolean, at: Position): AstExpr {
  const length = parseLengthOfText(cursor);
  const type = length === null ? parseType(cursor, false) : VARCHAR;
  const cast: AstExpr = { kind: 'cast', arg, type, safe, at };
  return length === null ? cast : call('left', [cast, { kind: 'number', text: String(length), at }], at);
}

type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

const OPPOSITE: Readonly<Record<Comparison, Comparison>> = {
  '=': '<>',
  '<>': '=',
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
};

/** `arg < ANY (SELECT …)`. ALL of them compare so when not ANY compares the other way, whatever is NULL. */
function parseQuantified(cursor: Cursor, arg: AstExpr, written: Comparison, at: Position): AstExpr {
  if (!startsQuery(cursor, 1)) {
    const word = cursor.token.text.toUpperCase();
    throw cursor.unsupported(
      `${written} ${word} of an array`,
      `write ${written} ${word} (SELECT x FROM unnest(…) AS x), = ANY (array) or <> ALL (array)`,
    );
  }
  const all = cursor.next().text === 'all';
  const query = cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor)));
  const cmp = all ? OPPOSITE[written] : written;
  const any: AstExpr =
    cmp === '=' ? { kind: 'inQuery', arg, query, negated: false, at } : { kind: 'anyQuery', arg, cmp, query, at };
  return all ? { kind: 'unary', op: 'not', arg: any, at } : any;
}

/** `a[n]`, `a[m:n]`, `a[m:]`, `a[:n]` and `a[:]`, after the bracket. */
function parseSubscript(cursor: Cursor, left: AstExpr, at: Position): AstExpr {
  const bound = (): AstExpr =>
    cursor.isSign(':') || cursor.isSign(']') ? { kind: 'null', at: cursor.at } : cursor.nested(() => parseExpr(cursor));
  const first = bound();
  if (!cursor.takeSign(':')) {
    if (first.kind === 'null' && first.at === cursor.at) throw cursor.expected('an expression');
    cursor.expectSign(']');
    return call('[]', [left, first], at);
  }
  const last = bound();
  cursor.expectSign(']');
  return call('[:]', [left, first, last], at);
}

type Operand = (above: number) => AstExpr;

function parseIs(cursor: Cursor, arg: AstExpr, word: string, at: Position, operand: Operand): AstExpr {
  const isNull = (negated: boolean): AstExpr => rowIsNull(arg, negated, at) ?? { kind: 'isNull', arg, negated, at };
  if (word === 'isnull' || word === 'notnull') return isNull(word === 'notnull');
  const negated = cursor.takeWord('not');
  if (cursor.takeWord('null')) return isNull(negated);
  for (const [name, truth] of [
    ['true', true],
    ['false', false],
    ['unknown', null],
  ] as const) {
    if (cursor.takeWord(name)) return { kind: 'isTruth', arg, truth, negated, at };
  }
  if (cursor.takeWord('distinct')) {
    cursor.expectWord('from');
    const right = operand(COMPARISON);
    refuseChain(cursor, IS, 'IS DISTINCT FROM');
    const op = negated ? 'is not distinct from' : 'is distinct from';
    return compareRows(op, arg, right, at) ?? { kind: 'binary', op, left: arg, right, at };
  }
  if (cursor.takeWord('json')) {
    const kind = ['object', 'array', 'scalar'].find((one) => cursor.takeWord(one));
    cursor.takeWord('value');
    return isJson(arg, kind, negated, at);
  }
  if (cursor.isWord('document') || cursor.isWord('normalized')) {
    throw cursor.unsupported(
      `IS ${cursor.token.text.toUpperCase()}`,
      'compare with IS NULL, IS TRUE or IS DISTINCT FROM',
    );
  }
  throw cursor.expected('NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM after IS', [
    'null',
    'true',
    'false',
    'unknown',
    'distinct',
  ]);
}

/** IS JSON of a text: NULL for NULL, false for what is none. */
function isJson(arg: AstExpr, kind: string | undefined, negated: boolean, at: Position): AstExpr {
  const any = call('is_json', [arg], at);
  let is = any;
  if (kind !== undefined) {
    const type = call('jsonb_typeof', [call('parse_json', [arg], at)], at);
    const list = ['object', 'array'].map((value): AstExpr => ({ kind: 'string', value, at }));
    const right = list[kind === 'array' ? 1 : 0];
    const named: AstExpr =
      kind === 'scalar'
        ? { kind: 'in', arg: type, list, negated: true, at }
        : { kind: 'binary', op: '=', left: type, right, at };
    is = call('coalesce', [named, any], at);
  }
  return negated ? { kind: 'unary', op: 'not', arg: is, at } : is;
}

function parseRange(cursor: Cursor, arg: AstExpr, first: string, at: Position, restricted: boolean): AstExpr {
  const negated = first === 'not';
  const word = negated ? cursor.next().text : first;
  const operand = (): AstExpr => cursor.nested(() => parseAbove(cursor, RANGE + 1, restricted));
  switch (word) {
    case 'between': {
      const symmetric = cursor.takeWord('symmetric');
      cursor.takeWord('asymmetric');
      const low = cursor.nested(() => parseRestricted(cursor));
      cursor.expectWord('and');
      const high = operand();
      refuseChain(cursor, RANGE, 'BETWEEN');
      const between = (from: AstExpr, to: AstExpr): AstExpr => ({
        kind: 'between',
        arg,
        low: from,
        high: to,
        negated: false,
        at,
      });
      if (symmetric) {
        // Not by the least and the greatest bound, which pass over NULL.
        const [left, right] = [between(low, high), between(high, low)];
        const either: AstExpr = { kind: 'binary', op: 'or', left, right, at };
        return negated ? { kind: 'unary', op: 'not', arg: either, at } : either;
      }
      return { kind: 'between', arg, low, high, negated, at };
    }
    case 'in': {
      if (!cursor.isSign('(')) throw cursor.expected('"(" after IN');
      if (startsQuery(cursor)) {
        if (valuesOf(arg) !== null)
          throw cursor.unsupported(
            '(a, b) IN (SELECT …)',
            'write EXISTS (SELECT 1 FROM … WHERE x = a AND y = b)',
            arg.at,
          );
        const query = cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor)));
        return { kind: 'inQuery', arg, query, negated, at };
      }
      const list = cursor.parenthesized(() => cursor.nested(() => cursor.list(() => parseExpr(cursor))));
      return rowIn(arg, list, negated, at) ?? { kind: 'in', arg, list, negated, at };
    }
    case 'overlaps': {
      const other = operand();
      const [a, b] = [valuesOf(arg), valuesOf(other)];
      if (a?.length !== 2 || b?.length !== 2)
        throw cursor.unsupported('OVERLAPS of these', 'write (from, to) OVERLAPS (from, to)', at);
      return call('overlaps', [...a, ...b], at);
    }
    case 'similar': {
      cursor.expectWord('to');
      const similar = call('similar_to', [arg, operand()], at);
      refuseChain(cursor, RANGE, 'SIMILAR TO');
      return negated ? { kind: 'unary', op: 'not', arg: similar, at } : similar;
    }
    default: {
      const pattern = operand();
      if (cursor.isWord('escape')) throw cursor.unsupported('ESCAPE', 'the escape character is the backslash');
      refuseChain(cursor, RANGE, word.toUpperCase());
      return { kind: 'like', arg, pattern, insensitive: word === 'ilike', negated, at };
    }
  }
}

/** `a < b < c` is no expression in Postgres. */
function refuseChain(cursor: Cursor, level: number, written: string): void {
  if (operatorLevel(cursor) === level) {
    const error = cursor.expected(`AND, OR or the end of the expression after ${written} …`);
    throw Object.assign(error, {
      hint: 'such operators do not chain: use parentheses, or AND between two comparisons',
    });
  }
}

/** Whether the `(` at the cursor, or so many tokens ahead, holds a query rather than an expression or a join. */
export function startsQuery(cursor: Cursor, ahead = 0): boolean {
  let inner = ahead;
  while (cursor.isSign('(', inner)) inner++;
  const first = cursor.peek(inner);
  if (first.kind !== 'word' || !/^(?:select|with|values)$/.test(first.text)) return false;
  // Inside out: `((SELECT 1) UNION SELECT 2)` is a query, `((SELECT 1) + 1)` is not.
  for (let depth = inner - 1; depth > ahead; depth--) {
    const close = cursor.closingOf(cursor.pos + depth);
    if (close === undefined) return true;
    const after = cursor.tokens[close + 1];
    if (after.kind === 'operator' && after.text === ')') continue;
    return after.kind === 'word' && /^(?:union|intersect|except|order|limit|offset|fetch)$/.test(after.text);
  }
  return true;
}

export const call = (name: string, args: readonly AstExpr[], at: Position): AstExpr => ({
  kind: 'call',
  name: { text: name, quoted: false, at },
  args,
  distinct: false,
  orderBy: [],
  within: null,
  filter: null,
  over: null,
  at,
});
