import { canonicalJsonText } from '../../src/values/json-text.ts';
import { type Datum, INTEGER, JSONB, VARCHAR } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';

/** jsonb datums are canonical text; a step into one keeps number texts by slicing rather than by JavaScript's numbers. */
function step(json: string, path: string | number): string | null {
  const { keys, values } = pieces(json);
  if (json[0] === '[') {
    const index = typeof path === 'number' ? path : /^-?\d+$/.test(path) ? Number(path) : Number.NaN;
    return values[index < 0 ? values.length + index : index] ?? null;
  }
  return json[0] === '{' && typeof path === 'string' ? (values[keys.indexOf(path)] ?? null) : null;
}

/** Top-level pieces of canonical JSON: for an object the values in key order, for an array the elements. */
function pieces(json: string): { keys: string[]; values: string[] } {
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
function asText(json: string | null): Datum {
  if (json === null || json === 'null') return null;
  return json[0] === '"' ? (JSON.parse(json) as string) : json;
}

function follow(json: string, path: readonly Datum[]): string | null {
  let at: string | null = json;
  for (const one of path) {
    if (at === null || one === null) return null;
    at = step(at, one as string);
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
    duckdb: ([json, key]) => `(CAST(${json} AS JSON) -> ${key})`,
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
    call: ([json, key]) => asText(step(json, key)),
    duckdb: ([json, key]) => `(CAST(${json} AS JSON) ->> ${key})`,
    doc: 'As ->, as text.',
  },
  {
    name: '->>',
    id: '->>.integer',
    args: ['jsonb', 'integer'],
    returns: () => VARCHAR,
    call: ([json, index]) => asText(step(json, index)),
    duckdb: ([json, index]) => `(CAST(${json} AS JSON) ->> ${index})`,
    doc: 'As ->, as text.',
  },
  {
    name: '#>>',
    id: '#>>',
    args: ['jsonb', 'array'],
    returns: () => VARCHAR,
    call: ([json, path]) => asText(follow(json, path)),
    doc: 'The text of the value at a path of keys and positions.',
  },
  {
    name: 'jsonb_typeof',
    id: 'jsonb_typeof',
    args: ['jsonb'],
    returns: () => VARCHAR,
    call: ([json]) => typeOf(json),
    doc: 'object, array, string, number, boolean or null.',
  },
  {
    name: 'jsonb_array_length',
    id: 'jsonb_array_length',
    args: ['jsonb'],
    returns: () => INTEGER,
    call: ([json]) => (json[0] === '[' ? pieces(json).values.length : null),
    duckdb: ([json]) => `CAST(json_array_length(${json}) AS INTEGER)`,
    doc: 'The number of elements; NULL when it is no array.',
  },
  {
    name: 'to_jsonb',
    id: 'to_jsonb.varchar',
    args: ['varchar'],
    returns: () => JSONB,
    call: ([text]) => canonicalJsonText(JSON.stringify(text)) as string,
    duckdb: ([text]) => `to_json(${text})`,
    doc: 'A text as a JSON string.',
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
