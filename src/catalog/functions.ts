import { BindContext } from '../../streamql/binder/context.ts';
import { bindExpr } from '../../streamql/binder/expressions.ts';
import { inlined } from '../../streamql/binder/user-calls.ts';
import { AGGREGATES } from '../../streamql/functions/aggregates.ts';
import { functionsNamed } from '../../streamql/functions/functions.ts';
import { SPELLINGS, SYNONYMS, TABLE_SYNONYMS } from '../../streamql/functions/spellings.ts';
import { TABLE_FUNCTIONS } from '../../streamql/functions/table-functions.ts';
import { isJsType } from '../../streamql/functions/user/js-values.ts';
import { checkUserCode, prepareUserCode, releaseUserCode } from '../../streamql/functions/user/user-code.ts';
import type { UserFunction } from '../../streamql/functions/user/user-function.ts';
import { isWasmType } from '../../streamql/functions/user/wasm-columns.ts';
import { WINDOW_FUNCTIONS } from '../../streamql/functions/window-functions.ts';
import type { CreateFunction, DropFunction } from '../../streamql/parser/ast.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import { typeName } from '../values/types.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';

/** Each has an interpreter, with its memory, in every thread that calls it. */
const MAX_FUNCTIONS = 200;
const MAX_SOURCE = 32 * 1024;
/** Of a module in base64, white space included. */
const MAX_MODULE = 96 * 1024;

const LANGUAGES: Readonly<Record<string, UserFunction['language']>> = {
  js: 'js',
  javascript: 'js',
  sql: 'sql',
  wasm: 'wasm',
};
/** Names with a meaning of their own in expressions. */
const TAKEN = new Set(['coalesce', 'nullif', 'if', 'iif', 'ifnull', 'nvl', 'grouping', 'row', 'map']);

export async function createFunction(context: SqlContext, statement: CreateFunction): Promise<SqlResult> {
  const { catalog } = context;
  const tag = statement.isAggregate ? 'CREATE AGGREGATE' : 'CREATE FUNCTION';
  const { text: name, at } = statement.name;
  const old = catalog.userFunction(name);
  if (old !== undefined && statement.ifNotExists) return ok(tag, `"${name}" exists already`);
  if (isBuiltIn(name)) {
    throw new StreamError('ALREADY_EXISTS', `there is a function ${name} of our own`, {
      at,
      hint: 'take another name',
    });
  }
  if (old !== undefined && !statement.orReplace) {
    throw new StreamError('ALREADY_EXISTS', `the function "${name}" exists already`, {
      at,
      hint: 'write CREATE OR REPLACE, or drop it first',
    });
  }
  if (old !== undefined) refuseUsed(context, name, statement.name.at);
  if (old === undefined && catalog.functions.length >= MAX_FUNCTIONS)
    throw new StreamError('SQL_LIMIT', `more than ${MAX_FUNCTIONS} functions`, { at, hint: 'drop some' });
  const fn = definitionOf(statement);
  try {
    if (fn.language === 'sql') {
      checkSql(context, fn);
    } else {
      await prepareUserCode([fn]);
      checkUserCode(fn);
    }
  } catch (thrown) {
    releaseUserCode(fn);
    const { code, message, hint } = asStreamError(thrown);
    const isCode = code === 'VALUE_FUNCTION';
    if (isCode) {
      throw new StreamError('SQL_BIND', `the code does not run: ${message}`, {
        at: statement.sourceAt,
        hint: 'write the body of a function, or a program that exports one of its name',
      });
    }
    throw new StreamError(code, message, { at: statement.sourceAt, ...(hint ? { hint } : {}) });
  }
  await catalog.setFunctions([...catalog.functions.filter((other) => other.name !== name), fn]);
  if (old !== undefined && JSON.stringify(old) !== JSON.stringify(fn)) releaseUserCode(old);
  return ok(tag);
}

export async function dropFunction(context: SqlContext, statement: DropFunction): Promise<SqlResult> {
  const { catalog } = context;
  const gone = new Set<string>();
  for (const { text, at } of statement.names) {
    if (catalog.userFunction(text) === undefined) {
      if (statement.ifExists) continue;
      throw new StreamError('NOT_FOUND', `there is no function "${text}" that was made with CREATE FUNCTION`, { at });
    }
    refuseUsed(context, text, at);
    gone.add(text);
  }
  const dropped = catalog.functions.filter(({ name }) => gone.has(name));
  if (gone.size > 0) await catalog.setFunctions(catalog.functions.filter(({ name }) => !gone.has(name)));
  dropped.forEach(releaseUserCode);
  return ok('DROP FUNCTION');
}

function definitionOf(statement: CreateFunction): UserFunction {
  const { text } = statement.language;
  const language = Object.hasOwn(LANGUAGES, text) ? LANGUAGES[text] : undefined;
  if (language !== undefined) {
    const fn: UserFunction = {
      kind: statement.isAggregate ? 'aggregate' : statement.returns === null ? 'table' : 'scalar',
      name: statement.name.text,
      language,
      params: statement.params.map(({ name, type }) => ({ name: name?.text ?? '', type })),
      returns: statement.returns,
      columns: statement.columns.map(({ name, type }) => ({ name: name.text, type })),
      source: statement.source,
    };
    checkShape(fn, statement);
    return fn;
  }
  throw new StreamError('SQL_UNSUPPORTED', `functions in ${text} are not supported`, {
    at: statement.language.at,
    hint: 'the languages are js, sql and wasm',
  });
}

function checkShape(fn: UserFunction, { at, params, sourceAt, returnsAt, columns }: CreateFunction): void {
  const most = fn.language === 'wasm' ? MAX_MODULE : MAX_SOURCE;
  if (fn.source.length > most)
    throw new StreamError('SQL_LIMIT', `the code has more than ${most} characters`, { at: sourceAt });
  const twice = params.find(
    ({ name }, i) => name !== null && params.findIndex((p) => p.name?.text === name.text) !== i,
  );
  if (twice !== undefined) throw new StreamError('SQL_BIND', 'two parameters have one name', { at: twice.at });
  if (fn.language === 'sql') {
    if (fn.kind === 'scalar') return;
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `a SQL function that is ${fn.kind === 'table' ? 'a table' : 'an aggregate'} is not supported`,
      {
        at: fn.kind === 'table' ? returnsAt : at,
        hint: 'make a view',
      },
    );
  }
  if (fn.kind === 'aggregate' && (fn.params.length < 1 || fn.params.length > 2))
    throw new StreamError('SQL_UNSUPPORTED', 'an aggregate takes one argument or two', {
      at: params[2]?.at ?? at,
      hint: 'put more of them into an array or JSONB',
    });
  const types = [
    ...params.map(({ type, at: typeAt }) => ({ type, typeAt })),
    ...columns.map(({ name, type }) => ({ type, typeAt: name.at })),
    ...(fn.returns === null ? [] : [{ type: fn.returns, typeAt: returnsAt }]),
  ];
  const [fits, language, hint] =
    fn.language === 'wasm'
      ? ([isWasmType, 'function in wasm', 'pass VARCHAR: value::varchar'] as const)
      : ([isJsType, 'JavaScript function', 'pass JSONB: to_jsonb(value)'] as const);
  const wrong = types.find(({ type }) => !fits(type));
  if (wrong === undefined) return;
  throw new StreamError('SQL_UNSUPPORTED', `${typeName(wrong.type)} as a type of a ${language} is not supported`, {
    at: wrong.typeAt,
    hint,
  });
}

/** Binds the body over parameters whose values are not known. */
function checkSql(context: SqlContext, fn: UserFunction): void {
  const others = {
    ...NO_RELATIONS,
    userFunction: (name: string) => (name === fn.name ? fn : context.catalog.userFunction(name)),
  };
  const args = fn.params.map(({ type }, index) => ({ op: 'column', index, type }) as const);
  inlined(fn, args, new BindContext(others, { mode: 'pull' }), bindExpr);
}

const NO_RELATIONS = { relation: () => undefined, relationNames: () => [] };

/** Views, sinks and SQL functions that call it. */
function refuseUsed(context: SqlContext, name: string, at: DropFunction['at']): void {
  const { catalog } = context;
  const users = catalog.list().filter((object) => object.functions?.includes(name) === true);
  const callers = catalog.functions.filter(
    (fn) => fn.language === 'sql' && fn.name !== name && calls(context, fn, name),
  );
  const names = [...users, ...callers].map((user) => `"${user.name}"`);
  if (names.length === 0) return;
  throw new StreamError('IN_USE', `the function "${name}" is used by ${names.join(', ')}`, {
    at,
    hint: 'drop that first',
  });
}

function calls(context: SqlContext, fn: UserFunction, name: string): boolean {
  let found = false;
  const watching = {
    ...NO_RELATIONS,
    userFunction: (asked: string) => {
      found ||= asked === name;
      return context.catalog.userFunction(asked);
    },
  };
  const args = fn.params.map(({ type }, index) => ({ op: 'column', index, type }) as const);
  inlined(fn, args, new BindContext(watching, { mode: 'pull' }), bindExpr);
  return found;
}

const isBuiltIn = (name: string): boolean =>
  TAKEN.has(name) ||
  Object.hasOwn(SYNONYMS, name) ||
  Object.hasOwn(TABLE_SYNONYMS, name) ||
  Object.keys(SPELLINGS).some((key) => key.startsWith(`${name}/`)) ||
  functionsNamed(name).length > 0 ||
  AGGREGATES.has(name) ||
  WINDOW_FUNCTIONS.has(name) ||
  TABLE_FUNCTIONS.has(name);
