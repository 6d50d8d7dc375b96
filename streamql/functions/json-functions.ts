import { StreamError } from '../../src/lib/errors.ts';
import { type Datum, INTEGER, JSONB, VARCHAR } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';

/** jsonb datums are canonical text; a step into one keeps number texts by slicing rather than by JavaScript's numbers. */
function step(json: string, path: string | number): string | null {
  if (json[0] === '[' && typeof path === 'number') {
    const { values } = jsonPieces(json);
    return values[path < 0 ? values.length + path : path] ?? null;
  }
  if (json[0] !== '{' || typeof path !== 'string') return null;
  const { keys, values } = jsonPieces(json);
  return values[keys.indexOf(path)] ?? null;
}

/** A key for DuckDB, which takes texts that begin with $ or / for paths. */
function duckdbKey(key: string): string {
  if (/^'[A-Za-z0-9_ ]+'$/.test(key)) return key;
  return `('$."' || replace(replace(${key}, '\\', '\\\\'), '"', '\\"') || '"')`;
}

/** Top-level pieces of canonical JSON: for an object the values in key order, for an array the elements. */
export function jsonPieces(json: string): { keys: string[]; values: string[] } {
  const keys: string[] = [];
  const values: string[] = [];
  const isObject = json[0] === '{';
  let depth = 0;
  let start = 1;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const sign = json[i];
    if (inString) {
      if (sign === '\\') i++;
      else if (sign === '"') inString = false;
    } else if (sign === '"') {
      inString = true;
    } else if (sign === '{' || sign === '[') {
      depth++;
    } else if (sign === '}' || sign === ']') {
      if (--depth === 0 && i > start) values.push(json.slice(start, i));
    } else if (depth === 1 && sign === ',') {
      values.push(json.slice(start, i));
      start = i + 1;
    } else if (depth === 1 && sign === ':' && isObject) {
      keys.push(JSON.parse(json.slice(start, i)));
      start = i + 1;
    }
  }
  return { keys, values };
}

/** `->>`: a string without its quotes, JSON null as NULL. */
export function jsonText(json: string | null): Datum {
  if (json === null || json === 'null') return null;
  return json[0] === '"' ? (JSON.parse(json) as string) : json;
}

export function follow(json: string, path: readonly Datum[]): string | null {
  let at: string | null = json;
  for (const one of path) {
    if (at === null || one === null) return null;
    at = step(at, at[0] === '[' && /^-?\d{1,9}$/.test(one as string) ? Number(one) : (one as string));
  }
  return at;
}

export const JSON_FUNCTIONS: readonly ScalarFunction[] = [
  {
    name: '->',
    id: '->.varchar',
    args: ['jsonb', 'varchar'],
    returns: () => JSONB,
    call: ([json, key]) => step(json, key),
    duckdb: ([json, key]) => `(CAST(${json} AS JSON) -> ${duckdbKey(key)})`,
    doc: 'The value of an object under a key.',
  },
  {
    name: '->',
    id: '->.integer',
    args: ['jsonb', 'integer'],
    returns: () => JSONB,
    call: ([json, index]) => step(json, index),
    duckdb: ([json, index]) => `(CAST(${json} AS JSON) -> ${index})`,
    doc: 'The element of an array, counted from 0, negative from the end.',
  },
  {
    name: '->>',
    id: '->>.varchar',
    args: ['jsonb', 'varchar'],
    returns: () => VARCHAR,
    call: ([json, key]) => jsonText(step(json, key)),
    duckdb: ([json, key]) => `(CAST(${json} AS JSON) ->> ${duckdbKey(key)})`,
    doc: 'As ->, as text.',
  },
  {
    name: '->>',
    id: '->>.integer',
    args: ['jsonb', 'integer'],
    returns: () => VARCHAR,
    call: ([json, index]) => jsonText(step(json, index)),
    duckdb: ([json, index]) => `(CAST(${json} AS JSON) ->> ${index})`,
    doc: 'As ->, as text.',
  },
  {
    name: '#>>',
    id: '#>>',
    args: ['jsonb', 'array'],
    returns: () => VARCHAR,
    call: ([json, path]) => jsonText(follow(json, path)),
    duckdb: () => {
      throw new StreamError('SQL_UNSUPPORTED', '#>> works in views only', { hint: 'Use -> and ->> step by step.' });
    },
    doc: 'The text of the value at a path of keys and positions.',
  },
  {
    name: 'jsonb_typeof',
    id: 'jsonb_typeof',
    args: ['jsonb'],
    returns: () => VARCHAR,
    call: ([json]) => typeOf(json),
    duckdb: ([json]) =>
      `CASE json_type(${json}) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' ELSE 'number' END`,
    doc: 'object, array, string, number, boolean or null.',
  },
  {
    name: 'jsonb_array_length',
    id: 'jsonb_array_length',
    args: ['jsonb'],
    returns: () => INTEGER,
    call: ([json]) => {
      if (json[0] !== '[') throw new StreamError('VALUE_DOMAIN', 'jsonb_array_length: the value is no array');
      return jsonPieces(json).values.length;
    },
    duckdb: ([json]) =>
      `CASE WHEN json_type(${json}) = 'ARRAY' THEN CAST(json_array_length(${json}) AS INTEGER) ELSE error('the value is no array') END`,
    doc: 'The number of elements of an array.',
  },
];

function typeOf(json: string): string {
  switch (json[0]) {
    case '{':
      return 'object';
    case '[':
      return 'array';
    case '"':
      return 'string';
    case 't':
    case 'f':
      return 'boolean';
    case 'n':
      return 'null';
    default:
      return 'number';
  }
}
