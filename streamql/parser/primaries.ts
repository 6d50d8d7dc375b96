import { type Position, StreamError } from '../../src/lib/errors.ts';
import { INTERVAL } from '../../src/values/types.ts';
import type { AstExpr, FrameBoundDef, FrameDef, Name, OrderItem, WindowSpec } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { call, parseCastTo, parseExpr, parseRestricted, startsQuery } from './expressions.ts';
import { NO_FUNCTION, RESERVED, RESERVED_BUT_FUNCTION } from './keywords.ts';
import { isTypeWord, parseType } from './types.ts';

/** Functions that Postgres lets stand without parentheses. */
const BARE_FUNCTIONS = new Set([
  ...['current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp'],
  ...['current_catalog', 'current_role', 'current_schema', 'current_user', 'session_user', 'user'],
]);
/** Flink's plurals too; after a text that has its units such a word is an alias. */
const INTERVAL_UNIT = /^(?:year|month|week|day|hour|minute|second)s?$/;
const ONE_UNIT = /^(?:year|month|day|hour|minute|second)$/;

type Special = (cursor: Cursor, at: Position) => AstExpr;

/** Words with a grammar of their own when a parenthesis follows. */
const SPECIAL_CALLS: Readonly<Record<string, Special>> = {
  cast: (cursor, at) => parseCast(cursor, at, false),
  try_cast: (cursor, at) => parseCast(cursor, at, true),
  extract: parseExtract,
  exists: (cursor, at) => ({
    kind: 'exists',
    query: cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor))),
    at,
  }),
  substring: parseSubstring,
  position: parsePosition,
  trim: parseTrim,
  overlay: parseOverlay,
};

/** What needs no operator: literals, names, calls, CASE, parentheses. */
export function parsePrimary(cursor: Cursor): AstExpr {
  const { token } = cursor;
  const { at } = token;
  switch (token.kind) {
    case 'number':
      cursor.next();
      return { kind: 'number', text: token.text, at };
    case 'string':
      cursor.next();
      return { kind: 'string', value: token.text, at };
    case 'parameter': {
      cursor.next();
      const index = Number(token.text);
      if (index < 1 || index > 65535)
        throw cursor.unsupported(`parameter $${index}`, 'parameters are $1 to $65535', at);
      return { kind: 'parameter', index, at };
    }
    case 'operator':
      if (token.text === '(') return parseParenthesis(cursor);
      throw cursor.expected('an expression');
    case 'end':
      throw cursor.expected('an expression');
    case 'quoted':
      return parseName(cursor);
    default:
      return parseWord(cursor, token.text, at);
  }
}

function parseWord(cursor: Cursor, word: string, at: Position): AstExpr {
  if (word === 'true' || word === 'false' || word === 'null') {
    cursor.next();
    return word === 'null' ? { kind: 'null', at } : { kind: 'boolean', value: word === 'true', at };
  }
  if (word === 'case') return cursor.nested(() => parseCase(cursor));
  if (word === 'array' && cursor.isSign('(', 1)) {
    throw cursor.unsupported('ARRAY (SELECT …)', 'array_agg makes an array of rows');
  }
  if (word === 'array' && cursor.isSign('[', 1)) return cursor.nested(() => parseArray(cursor, at));
  if (word === 'map' && cursor.isSign('[', 1)) {
    return cursor.nested(() => call('map', bracketed(cursor), at));
  }
  if (word === 'row' && cursor.isSign('(', 1)) {
    cursor.next();
    return call(
      'row',
      cursor.parenthesized(() => cursor.nested(() => cursor.list(() => parseExpr(cursor)))),
      at,
    );
  }
  if (cursor.inMatch && (word === 'final' || word === 'running') && cursor.peek(1).kind === 'word') {
    if (cursor.isSign('(', 2)) {
      cursor.next();
      return call(word, [parsePrimary(cursor)], at);
    }
  }
  if (Object.hasOwn(SPECIAL_CALLS, word) && cursor.isSign('(', 1)) {
    cursor.next();
    return cursor.nested(() => SPECIAL_CALLS[word](cursor, at));
  }
  if (BARE_FUNCTIONS.has(word) && !cursor.isSign('(', 1)) {
    cursor.next();
    return call(word, [], at);
  }
  if (word === 'interval' && cursor.peek(1).kind === 'number' && INTERVAL_UNIT.test(cursor.peek(2).text)) {
    // As Calcite and MySQL have it.
    cursor.next();
    const { text } = cursor.next();
    return { kind: 'typedLiteral', type: INTERVAL, text, unit: cursor.next().text.replace(/s$/, ''), at };
  }
  if (isTypeWord(word) && isTypedLiteral(cursor)) return parseTypedLiteral(cursor, word, at);
  // OFFSET can begin no expression, so the column of that name in `<source>$errors` needs no quotes.
  if (RESERVED.has(word) && word !== 'offset') throw cursor.expected('an expression');
  if (RESERVED_BUT_FUNCTION.has(word) && !cursor.isSign('(', 1)) throw cursor.expected('an expression');
  if (NO_FUNCTION.has(word) && cursor.isSign('(', 1)) throw noFunction(cursor, word);
  return parseName(cursor);
}

/** `date '…'`, `timestamp(6) with time zone '…'`, `double precision '…'`. */
function isTypedLiteral(cursor: Cursor): boolean {
  let i = 1;
  if (cursor.isSign('(', i)) {
    const close = cursor.closingOf(cursor.pos + i);
    if (close === undefined) return false;
    i = close + 1 - cursor.pos;
  }
  while (
    cursor.peek(i).kind === 'word' &&
    /^(?:with|without|local|time|zone|precision|varying)$/.test(cursor.peek(i).text)
  )
    i++;
  return cursor.peek(i).kind === 'string';
}

function parseTypedLiteral(cursor: Cursor, word: string, at: Position): AstExpr {
  if (word !== 'interval') {
    const type = parseType(cursor, false);
    return { kind: 'typedLiteral', type, text: cursor.next().text, unit: null, at };
  }
  cursor.next();
  if (cursor.isSign('(')) throw cursor.unsupported('a precision for INTERVAL', 'leave it out', at);
  const { text } = cursor.next();
  let unit: string | null = null;
  if (cursor.token.kind === 'word' && (/\d$/.test(text) ? INTERVAL_UNIT : ONE_UNIT).test(cursor.token.text)) {
    unit = cursor.next().text.replace(/s$/, '');
    if (cursor.isWord('to') || cursor.isSign('(')) {
      throw cursor.unsupported('an interval of more than one unit', "write INTERVAL '1 day 2 hours'");
    }
  }
  return { kind: 'typedLiteral', type: INTERVAL, text, unit, at };
}

function parseParenthesis(cursor: Cursor): AstExpr {
  const { at } = cursor;
  if (startsQuery(cursor)) {
    return { kind: 'scalarQuery', query: cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor))), at };
  }
  const inner = cursor.parenthesized(() =>
    cursor.nested(() => {
      const expr = parseExpr(cursor);
      if (!cursor.takeSign(',')) return expr;
      return call('row', [expr, ...cursor.list(() => parseExpr(cursor))], at);
    }),
  );
  return parseFields(cursor, inner);
}

/** `ARRAY[a, b]`. An empty one is the literal '{}', which takes the type that it is cast to. */
function parseArray(cursor: Cursor, at: Position): AstExpr {
  const items = bracketed(cursor);
  return items.length === 0 ? { kind: 'string', value: '{}', at } : call('array', items, at);
}

/** `word[a, b]`. */
function bracketed(cursor: Cursor): AstExpr[] {
  cursor.next();
  cursor.next();
  const items = cursor.isSign(']') ? [] : cursor.list(() => parseExpr(cursor));
  cursor.expectSign(']');
  return items;
}

/** `overlay(a placing b from n for m)`, or with commas. */
function parseOverlay(cursor: Cursor, at: Position): AstExpr {
  return cursor.parenthesized(() => {
    const args = [parseExpr(cursor)];
    if (cursor.takeWord('placing')) {
      args.push(parseExpr(cursor));
      cursor.expectWord('from');
      args.push(parseExpr(cursor));
      if (cursor.takeWord('for')) args.push(parseExpr(cursor));
    } else while (cursor.takeSign(',')) args.push(parseExpr(cursor));
    return call('overlay', args, at);
  });
}

/** `(row).field.field`. */
function parseFields(cursor: Cursor, row: AstExpr): AstExpr {
  let expr = row;
  let depth = 0;
  while (cursor.isSign('.')) {
    const { at } = cursor;
    cursor.next();
    const { token } = cursor;
    if (token.kind !== 'word' && token.kind !== 'quoted') throw cursor.expected('the name of a field after "."');
    cursor.next();
    cursor.checkChain(++depth, at);
    expr = call('.', [expr, { kind: 'string', value: token.text, at: token.at }], at);
  }
  return expr;
}

function noFunction(cursor: Cursor, word: string): StreamError {
  const { code, message, at } = cursor.expected('an expression');
  const hint = isTypeWord(word)
    ? `a type is no function: write CAST(… AS ${word.toUpperCase()})`
    : `there is no function of that name; a column is written "${word}"`;
  return new StreamError(code, message, { ...(at && { at }), hint });
}

const AFTER_NOT: ReadonlySet<string> = new Set(['between', 'in', 'like', 'ilike', 'similar']);

function parseName(cursor: Cursor): AstExpr {
  const first = cursor.next();
  const name: Name = { text: first.text, quoted: first.kind === 'quoted', at: first.at };
  if (cursor.isSign('(')) return cursor.nested(() => parseCall(cursor, name));
  const path = [name];
  while (cursor.isSign('.')) {
    if (cursor.isSign('*', 1)) throw cursor.unsupported('a star inside an expression', 'name the columns');
    cursor.next();
    const part = cursor.token;
    // As in Postgres any word is a name here, but for the NOT of NOT IN and its like: the name before it was forgotten.
    const isNot = part.kind === 'word' && part.text === 'not' && AFTER_NOT.has(cursor.peek(1).text);
    if ((part.kind !== 'word' && part.kind !== 'quoted') || isNot) throw cursor.expected('a column name after "."');
    cursor.next();
    path.push({ text: part.text, quoted: part.kind === 'quoted', at: part.at });
    if (cursor.isSign('(')) {
      // Drivers and tools name Postgres's own functions so.
      if (path.length === 2 && name.text === 'pg_catalog') return cursor.nested(() => parseCall(cursor, path[1]));
      throw cursor.unsupported('a schema before a function', 'leave the schema out', first.at);
    }
  }
  return { kind: 'column', path, at: first.at };
}

function parseCall(cursor: Cursor, name: Name): AstExpr {
  let unitOf: AstExpr | null = null;
  let distinct = false;
  let orderBy: OrderItem[] = [];
  const names: (Name | null)[] = [];
  const args = cursor.parenthesized((): AstExpr[] => {
    if (cursor.isSign(')')) return [];
    if (cursor.isSign('*')) {
      const { at } = cursor.next();
      return [{ kind: 'star', table: null, at }];
    }
    if (cursor.inMatch && cursor.isSign('.', 1) && cursor.isSign('*', 2)) {
      const table = cursor.name('a pattern variable');
      cursor.pos += 2;
      return [{ kind: 'star', table, at: table.at }];
    }
    if (cursor.takeWord('distinct')) distinct = true;
    else cursor.takeWord('all');
    const list = cursor.list(() => parseArgument(cursor, names));
    if (name.text === 'floor' && list.length === 1 && cursor.takeWord('to')) {
      unitOf = { kind: 'string', value: cursor.name('a unit, such as HOUR').text, at: name.at };
      return list;
    }
    orderBy = parseOrderBy(cursor);
    return list;
  });
  // FLOOR(ts TO HOUR), as Flink and Calcite have it.
  if (unitOf !== null) return call('date_trunc', [unitOf, ...args], name.at);
  let within: OrderItem[] | null = null;
  if (cursor.takeWord('within', 'group')) {
    within = cursor.parenthesized(() => {
      if (!cursor.isWord('order')) throw cursor.expected('ORDER BY', ['order']);
      return parseOrderBy(cursor);
    });
  }
  let filter: AstExpr | null = null;
  if (cursor.isWord('filter') && cursor.isSign('(', 1)) {
    cursor.next();
    filter = cursor.parenthesized(() => {
      cursor.expectWord('where');
      return parseExpr(cursor);
    });
  }
  if (cursor.isWord('ignore', 'nulls')) throw cursor.unsupported('IGNORE NULLS', 'filter the NULLs out in a subquery');
  cursor.takeWord('respect', 'nulls');
  const over = cursor.isWord('over') ? parseOver(cursor) : null;
  const ast: AstExpr = { kind: 'call', name, args, distinct, orderBy, within, filter, over, at: name.at };
  if (names.some((one) => one !== null)) return { ...ast, argNames: names };
  return within === null ? ast : severalFractions(ast);
}

/** `value`, or `name => value`, whose names come after all values without one. */
function parseArgument(cursor: Cursor, names: (Name | null)[]): AstExpr {
  if (cursor.isWord('variadic')) throw cursor.unsupported('VARIADIC', 'write the arguments out');
  const { token } = cursor;
  const isNamed = (token.kind === 'word' || token.kind === 'quoted') && cursor.isSign('=>', 1);
  if (isNamed) {
    cursor.pos += 2;
    names.push({ text: token.text, quoted: token.kind === 'quoted', at: token.at });
  } else if (names.some((one) => one !== null)) {
    throw cursor.expected('the name of this argument, and =>, as the one before has');
  } else names.push(null);
  return parseExpr(cursor);
}

/** percentile_cont(ARRAY[a, b]) is an array of one call each, and NULL where there are no values. */
function severalFractions(ast: Extract<AstExpr, { kind: 'call' }>): AstExpr {
  const [fractions] = ast.args;
  const { at } = ast;
  if (
    !/^percentile_(?:cont|disc)$/.test(ast.name.text) ||
    fractions?.kind !== 'call' ||
    fractions.name.text !== 'array'
  )
    return ast;
  const calls = fractions.args.map((fraction): AstExpr => ({ ...ast, args: [fraction] }));
  const when: AstExpr = { kind: 'isNull', arg: calls[0], negated: false, at };
  return {
    kind: 'case',
    operand: null,
    branches: [{ when, then: { kind: 'null', at } }],
    otherwise: call('array', calls, at),
    at,
  };
}

function parseOver(cursor: Cursor): WindowSpec {
  const { at } = cursor.next();
  if (cursor.isSign('(')) return parseWindowSpec(cursor);
  return { base: cursor.name('"(" or the name of a window'), partitionBy: [], orderBy: [], frame: null, at };
}

/** `(name PARTITION BY … ORDER BY … ROWS BETWEEN … AND …)`, all of it optional. */
export function parseWindowSpec(cursor: Cursor): WindowSpec {
  const { at } = cursor;
  return cursor.parenthesized(() => {
    const isName =
      !cursor.isSign(')') && !['partition', 'order', 'rows', 'range', 'groups'].some((word) => cursor.isWord(word));
    const base = isName ? cursor.name('a window') : null;
    let partitionBy: AstExpr[] = [];
    if (cursor.takeWord('partition')) {
      cursor.expectWord('by');
      partitionBy = cursor.list(() => parseExpr(cursor));
    }
    const orderBy = parseOrderBy(cursor);
    return { base, partitionBy, orderBy, frame: parseFrame(cursor), at };
  });
}

function parseFrame(cursor: Cursor): FrameDef | null {
  const { at } = cursor;
  if (cursor.isWord('groups')) throw cursor.unsupported('a frame of GROUPS', 'use ROWS or RANGE');
  if (!cursor.isWord('rows') && !cursor.isWord('range')) return null;
  const unit = cursor.next().text as 'rows' | 'range';
  const isBetween = cursor.takeWord('between');
  const start = parseBound(cursor);
  let end: FrameBoundDef = { direction: 0, offset: null, at };
  if (isBetween) {
    cursor.expectWord('and');
    end = parseBound(cursor);
  }
  if (cursor.isWord('exclude')) throw cursor.unsupported('EXCLUDE in a frame', 'leave it out');
  return { unit, start, end, at };
}

function parseBound(cursor: Cursor): FrameBoundDef {
  const { at } = cursor;
  if (cursor.takeWord('current', 'row')) return { direction: 0, offset: null, at };
  const offset = cursor.takeWord('unbounded') ? null : parseRestricted(cursor);
  if (cursor.takeWord('preceding')) return { direction: -1, offset, at };
  if (cursor.takeWord('following')) return { direction: 1, offset, at };
  throw cursor.expected('PRECEDING or FOLLOWING', ['preceding', 'following']);
}

export function parseOrderBy(cursor: Cursor): OrderItem[] {
  if (!cursor.takeWord('order')) return [];
  cursor.expectWord('by');
  return cursor.list(() => {
    const { at } = cursor;
    const expr = parseExpr(cursor);
    if (cursor.isWord('using')) throw cursor.unsupported('ORDER BY … USING', 'use ASC or DESC');
    const descending = cursor.takeWord('desc');
    if (!descending) cursor.takeWord('asc');
    let nullsFirst = descending;
    if (cursor.takeWord('nulls')) {
      nullsFirst = cursor.takeWord('first');
      if (!nullsFirst) cursor.expectWord('last');
    }
    return { expr, descending, nullsFirst, at };
  });
}

function parseCase(cursor: Cursor): AstExpr {
  const { at } = cursor.next();
  const operand = cursor.isWord('when') ? null : parseExpr(cursor);
  const branches: { when: AstExpr; then: AstExpr }[] = [];
  while (cursor.takeWord('when')) {
    const when = parseExpr(cursor);
    cursor.expectWord('then');
    branches.push({ when, then: parseExpr(cursor) });
  }
  if (branches.length === 0) throw cursor.expected('WHEN', ['when']);
  const otherwise = cursor.takeWord('else') ? parseExpr(cursor) : null;
  if (!cursor.takeWord('end')) throw cursor.expected('WHEN, ELSE or END', ['when', 'else', 'end']);
  return { kind: 'case', operand, branches, otherwise, at };
}

function parseCast(cursor: Cursor, at: Position, safe: boolean): AstExpr {
  return cursor.parenthesized(() => {
    const arg = parseExpr(cursor);
    cursor.expectWord('as');
    return parseCastTo(cursor, arg, safe, at);
  });
}

function parseExtract(cursor: Cursor, at: Position): AstExpr {
  return cursor.parenthesized(() => {
    const { token } = cursor;
    if (token.kind !== 'word' && token.kind !== 'string') throw cursor.expected('a field such as year, hour or epoch');
    cursor.next();
    cursor.expectWord('from');
    return { kind: 'extract', field: token.text.toLowerCase(), arg: parseExpr(cursor), at };
  });
}

/** `substring(s, 2, 3)` and `substring(s FROM 2 FOR 3)`. */
function parseSubstring(cursor: Cursor, at: Position): AstExpr {
  return cursor.parenthesized(() => {
    const args = [parseExpr(cursor)];
    if (cursor.takeSign(',')) args.push(...cursor.list(() => parseExpr(cursor)));
    else {
      if (cursor.takeWord('from')) args.push(parseExpr(cursor));
      if (cursor.takeWord('for')) {
        if (args.length === 1) args.push({ kind: 'number', text: '1', at });
        args.push(parseExpr(cursor));
      }
    }
    return call('substring', args, at);
  });
}

/** `position(part IN whole)` is strpos(whole, part). */
function parsePosition(cursor: Cursor, at: Position): AstExpr {
  return cursor.parenthesized(() => {
    // IN would be taken for the operator: what stands before it is a b_expr in Postgres.
    const part = parseRestricted(cursor);
    if (!cursor.takeWord('in')) throw cursor.expected('IN', ['in']);
    return call('strpos', [parseExpr(cursor), part], at);
  });
}

/** `trim(s)`, `trim(BOTH 'x' FROM s)`, `trim(s, 'x')`. */
function parseTrim(cursor: Cursor, at: Position): AstExpr {
  return cursor.parenthesized(() => {
    let fn = 'btrim';
    if (cursor.takeWord('leading')) fn = 'ltrim';
    else if (cursor.takeWord('trailing')) fn = 'rtrim';
    else cursor.takeWord('both');
    if (cursor.takeWord('from'))
      return call(
        fn,
        cursor.list(() => parseExpr(cursor)),
        at,
      );
    const first = parseExpr(cursor);
    if (cursor.takeWord('from')) return call(fn, [...cursor.list(() => parseExpr(cursor)), first], at);
    return call(fn, cursor.takeSign(',') ? [first, parseExpr(cursor)] : [first], at);
  });
}
