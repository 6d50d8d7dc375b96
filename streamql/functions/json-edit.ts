import { StreamError } from '../../src/lib/errors.ts';
import { compareKeys, type Json, NumberText, parseJson, printJson } from '../../src/values/json-text.ts';
import { datumToText } from '../../src/values/text.ts';
import { arrayOf, BOOLEAN, type Datum, JSONB, type SqlType, VARCHAR } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { follow, jsonText } from './json-functions.ts';
import { jsonArray, jsonObject, jsonOf } from './json-of.ts';
import { own } from './own-function.ts';

/** Functions and operators over whole jsonb values: containment, changes, construction. */

const read = (json: string): Json => parseJson(json) as Json;
const isContainer = (json: Json): boolean => Array.isArray(json) || json instanceof Map;

function refuse(name: string, why: string): never {
  throw new StreamError('VALUE_DOMAIN', `${name}: ${why}`);
}

/** The same text for numbers that are equal: 1, 1.0 and 10e-1. */
function numberKey(text: string): string {
  const [mantissa, exponent = '0'] = text.toLowerCase().split('e');
  const [whole, fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + digits.length - significant.length;
  return `${text.startsWith('-') ? '-' : ''}${significant}e${power}`;
}

function equal(a: Json, b: Json): boolean {
  if (a instanceof NumberText && b instanceof NumberText)
    return a.text === b.text || numberKey(a.text) === numberKey(b.text);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, i) => equal(one, b[i]));
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return false;
    for (const [key, value] of a) if (!b.has(key) || !equal(value, b.get(key) as Json)) return false;
    return true;
  }
  return a === b;
}

/** Postgres 8.14.3: of objects every key, of arrays every element, at the same depth; an array holds a bare value. */
function contains(a: Json, b: Json, top: boolean): boolean {
  if (a instanceof Map && b instanceof Map) {
    for (const [key, value] of b) if (!a.has(key) || !contains(a.get(key) as Json, value, false)) return false;
    return true;
  }
  if (Array.isArray(a)) {
    if (Array.isArray(b))
      return b.every((item) => a.some((one) => (isContainer(item) ? contains(one, item, false) : equal(one, item))));
    return top && !isContainer(b) && a.some((one) => equal(one, b));
  }
  return !isContainer(b) && equal(a, b);
}

/** Keys of an object, texts of an array, or a bare text. */
function hasKey(json: Json, key: Datum): boolean {
  if (key === null) return false;
  if (json instanceof Map) return json.has(key as string);
  if (Array.isArray(json)) return json.includes(key as string);
  return json === key;
}

function concat(a: Json, b: Json): Json {
  if (a instanceof Map && b instanceof Map) return new Map([...a, ...b]);
  return [...(Array.isArray(a) ? a : [a]), ...(Array.isArray(b) ? b : [b])];
}

function withoutKeys(json: Json, keys: readonly Datum[]): Json {
  if (json instanceof Map) return new Map([...json].filter(([key]) => !keys.includes(key)));
  if (Array.isArray(json)) return json.filter((one) => typeof one !== 'string' || !keys.includes(one));
  return refuse('-', 'a bare value has no keys');
}

function withoutAt(json: Json, at: number): Json {
  if (!Array.isArray(json)) return refuse('-', 'only of an array an element is taken by its place');
  const place = at < 0 ? json.length + at : at;
  return json.filter((_, i) => i !== place);
}

const placeOf = (name: string, step: string): number =>
  /^-?\d{1,9}$/.test(step) ? Number(step) : refuse(name, `${step} is no place in an array`);

type Change = (container: Map<string, Json> | Json[], step: string) => Map<string, Json> | Json[];

/** `json` with the container at all but the last step of a path changed; as it is where there is none. */
function changed(name: string, json: Json, path: readonly Datum[], change: Change): Json {
  if (path.length === 0 || !isContainer(json)) return json;
  const [step, ...rest] = path;
  if (step === null) return refuse(name, 'NULL is no step of a path');
  if (rest.length === 0) return change(json as Map<string, Json>, step as string);
  if (json instanceof Map) {
    const inner = json.get(step as string);
    return inner === undefined ? json : new Map([...json, [step as string, changed(name, inner, rest, change)]]);
  }
  const list = json as Json[];
  const place = placeOf(name, step as string);
  const at = place < 0 ? list.length + place : place;
  return at < 0 || at >= list.length ? json : list.with(at, changed(name, list[at], rest, change));
}

/** A bare value has nothing in it that could be changed. */
const container = (name: string, json: Json): Json =>
  isContainer(json) ? json : refuse(name, 'a bare value has no path in it');

function setAt(json: Json, path: readonly Datum[], value: Json, create: boolean): Json {
  if (!create && (json instanceof Map ? json.size : (json as Json[]).length) === 0) return json;
  return changed('jsonb_set', json, path, (container, step) => {
    if (container instanceof Map)
      return create || container.has(step) ? new Map([...container, [step, value]]) : container;
    const place = placeOf('jsonb_set', step);
    const at = place < 0 ? container.length + place : place;
    if (at >= 0 && at < container.length) return container.with(at, value);
    if (!create) return container;
    return at < 0 ? [value, ...container] : [...container, value];
  });
}

function insertAt(json: Json, path: readonly Datum[], value: Json, after: boolean): Json {
  return changed('jsonb_insert', json, path, (container, step) => {
    if (container instanceof Map) {
      if (container.has(step)) refuse('jsonb_insert', `the key ${step} is there already; use jsonb_set`);
      return new Map([...container, [step, value]]);
    }
    const place = placeOf('jsonb_insert', step);
    const at = Math.min(
      Math.max(0, (place < 0 ? container.length + place : place) + (after ? 1 : 0)),
      container.length,
    );
    return container.toSpliced(at, 0, value);
  });
}

function removeAt(json: Json, path: readonly Datum[]): Json {
  return changed('#-', json, path, (container, step) =>
    container instanceof Map
      ? (withoutKeys(container, [step]) as Map<string, Json>)
      : (withoutAt(container, placeOf('#-', step)) as Json[]),
  );
}

function stripped(json: Json): Json {
  if (Array.isArray(json)) return json.map(stripped);
  if (!(json instanceof Map)) return json;
  return new Map([...json].filter(([, value]) => value !== null).map(([key, value]) => [key, stripped(value)]));
}

/** Four spaces a level, as Postgres. */
function pretty(json: Json, indent = ''): string {
  const inner = `${indent}    `;
  if (Array.isArray(json)) {
    return json.length === 0
      ? `[\n${indent}]`
      : `[\n${json.map((one) => inner + pretty(one, inner)).join(',\n')}\n${indent}]`;
  }
  if (json instanceof Map) {
    const lines = [...json]
      .sort(([a], [b]) => compareKeys(a, b))
      .map(([key, value]) => `${inner}${JSON.stringify(key)}: ${pretty(value, inner)}`);
    return lines.length === 0 ? `{\n${indent}}` : `{\n${lines.join(',\n')}\n${indent}}`;
  }
  return printJson(json);
}

function buildObject(args: readonly Datum[], types: readonly SqlType[]): string {
  if (args.length % 2 === 1) refuse('jsonb_build_object', 'keys and values come in pairs');
  const entries: [string, string][] = [];
  for (let i = 0; i < args.length; i += 2) {
    const key = args[i];
    if (key === null) return refuse('jsonb_build_object', 'a key is NULL');
    entries.push([
      types[i].kind === 'varchar' ? (key as string) : datumToText(key, types[i]),
      jsonOf(args[i + 1], types[i + 1]),
    ]);
  }
  return jsonObject(entries);
}

function objectOf(keys: readonly Datum[], values: readonly Datum[]): string {
  if (keys.length !== values.length) refuse('jsonb_object', 'there must be as many keys as values');
  return jsonObject(
    keys.map((key, i): [string, string] => [
      key === null ? refuse('jsonb_object', 'a key is NULL') : (key as string),
      values[i] === null ? 'null' : JSON.stringify(values[i]),
    ]),
  );
}

const OBJECT = `'{"a":1,"b":[2,3]}'::jsonb`;

const operators: ScalarFunction[] = [
  own(
    '@>(jsonb, jsonb)',
    BOOLEAN,
    'Whether the first value contains the second.',
    ([a, b]) => contains(read(a), read(b), true),
    [`${OBJECT} @> '{"b":[3]}'`, 'true'],
  ),
  own(
    '<@(jsonb, jsonb)',
    BOOLEAN,
    'Whether the second value contains the first.',
    ([a, b]) => contains(read(b), read(a), true),
    [`'{"a":1}'::jsonb <@ ${OBJECT}`, 'true'],
  ),
  own(
    '?(jsonb, varchar)',
    BOOLEAN,
    'Whether a key, or a text in an array, is there.',
    ([a, key]) => hasKey(read(a), key),
    [`${OBJECT} ? 'b'`, 'true'],
  ),
  own(
    '?|(jsonb, array)',
    BOOLEAN,
    'Whether one of the keys is there.',
    ([a, keys]) => {
      const json = read(a);
      return keys.some((key: Datum) => hasKey(json, key));
    },
    [`${OBJECT} ?| ARRAY['x', 'a']`, 'true'],
  ),
  own(
    '?&(jsonb, array)',
    BOOLEAN,
    'Whether all of the keys are there.',
    ([a, keys]) => {
      const json = read(a);
      return keys.every((key: Datum) => hasKey(json, key));
    },
    [`${OBJECT} ?& ARRAY['x', 'a']`, 'false'],
  ),
  own(
    '||(jsonb, jsonb)',
    JSONB,
    'Objects merged, the second winning; arrays one after the other.',
    ([a, b]) => printJson(concat(read(a), read(b))),
    [`${OBJECT} || '{"a":5}'`, '{"a":5,"b":[2,3]}'],
  ),
  own(
    '-(jsonb, varchar)',
    JSONB,
    'Without a key, or without the texts equal to it.',
    ([a, key]) => printJson(withoutKeys(read(a), [key])),
    [`${OBJECT} - 'b'`, '{"a":1}'],
  ),
  own('-(jsonb, array)', JSONB, 'Without the keys.', ([a, keys]) => printJson(withoutKeys(read(a), keys)), [
    `${OBJECT} - ARRAY['a', 'b']`,
    '{}',
  ]),
  own(
    '-(jsonb, integer)',
    JSONB,
    'Without the element at a place, from 0, negative from the end.',
    ([a, at]) => printJson(withoutAt(read(a), at)),
    ["'[1,2,3]'::jsonb - 1", '[1,3]'],
  ),
  own(
    '#-(jsonb, array)',
    JSONB,
    'Without what is at a path.',
    ([a, path]) => printJson(removeAt(container('#-', read(a)), path)),
    [`${OBJECT} #- '{b,0}'`, '{"a":1,"b":[3]}'],
  ),
  own('#>(jsonb, array)', JSONB, 'The value at a path of keys and places.', ([a, path]) => follow(a, path), [
    `${OBJECT} #> '{b,1}'`,
    '3',
  ]),
];

/** json_… and jsonb_… mean the same: json is kept as jsonb. */
const both = (rows: readonly ScalarFunction[]): ScalarFunction[] =>
  rows.flatMap((row) => [
    row,
    {
      ...row,
      name: row.name.replace('jsonb', 'json'),
      id: row.id.replace('jsonb', 'json'),
      doc: `As ${row.name}.`,
      ...(row.example === undefined
        ? {}
        : { example: [row.example[0].replace(row.name, row.name.replace('jsonb', 'json')), row.example[1]] as const }),
    },
  ]);

export const JSON_EDITS: readonly ScalarFunction[] = [
  ...operators,
  ...both([
    own('to_jsonb(any)', JSONB, 'A value as JSON.', ([a], [type]) => jsonOf(a, type), [
      'to_jsonb(ARRAY[1, 2])',
      '[1,2]',
    ]),
    own(
      'jsonb_build_array(any …)',
      JSONB,
      'The values as a JSON array.',
      (args, types) => jsonArray(args.map((one, i) => jsonOf(one, types[i]))),
      ["jsonb_build_array(1, 'a', NULL)", '[1,"a",null]'],
      { nullAware: true },
    ),
    own(
      'jsonb_build_object(any …)',
      JSONB,
      'A JSON object of keys and values in turn.',
      (args, types) => buildObject(args, types),
      ["jsonb_build_object('a', 1, 'b', true)", '{"a":1,"b":true}'],
      { nullAware: true },
    ),
    own(
      'jsonb_object(array, array)',
      JSONB,
      'A JSON object of an array of keys and one of texts.',
      ([keys, values]) => objectOf(keys, values),
      ["jsonb_object(ARRAY['a'], ARRAY['x'])", '{"a":"x"}'],
    ),
    own('jsonb_extract_path(jsonb, varchar …)', JSONB, 'The value at a path.', ([a, ...path]) => follow(a, path), [
      `jsonb_extract_path(${OBJECT}, 'b', '0')`,
      '2',
    ]),
    own(
      'jsonb_extract_path_text(jsonb, varchar …)',
      VARCHAR,
      'The text of the value at a path.',
      ([a, ...path]) => jsonText(follow(a, path)),
      [`jsonb_extract_path_text(${OBJECT}, 'a')`, '1'],
    ),
    own(
      'jsonb_strip_nulls(jsonb)',
      JSONB,
      'Without the fields of objects that are null.',
      ([a]) => printJson(stripped(read(a))),
      [`jsonb_strip_nulls('{"a":null,"b":1}')`, '{"b":1}'],
    ),
  ]),
  own('json_typeof(jsonb)', VARCHAR, 'As jsonb_typeof.', ([a]) => jsonKind(a), ["json_typeof('[1]')", 'array']),
  own(
    'jsonb_keys(jsonb)',
    arrayOf(VARCHAR),
    'The keys of an object, in order.',
    ([a]) => {
      const json = read(a);
      return json instanceof Map ? [...json.keys()].sort(compareKeys) : refuse('jsonb_keys', 'the value is no object');
    },
    [`jsonb_keys(${OBJECT})`, '{a,b}'],
  ),
  own('jsonb_pretty(jsonb)', VARCHAR, 'As text with line feeds and indents.', ([a]) => pretty(read(a)), [
    "jsonb_pretty('1')",
    '1',
  ]),
  own(
    'jsonb_set(jsonb, array, jsonb)',
    JSONB,
    'With the value at a path replaced, or added.',
    ([a, path, value]) => printJson(setAt(container('jsonb_set', read(a)), path, read(value), true)),
    [`jsonb_set(${OBJECT}, '{b,0}', '9')`, '{"a":1,"b":[9,3]}'],
  ),
  own(
    'jsonb_set(jsonb, array, jsonb, boolean)',
    JSONB,
    'As jsonb_set; where the last is false nothing is added.',
    ([a, path, value, create]) => printJson(setAt(container('jsonb_set', read(a)), path, read(value), create)),
  ),
  own(
    'jsonb_insert(jsonb, array, jsonb)',
    JSONB,
    'With a value inserted before a place in an array, or under a new key.',
    ([a, path, value]) => printJson(insertAt(container('jsonb_insert', read(a)), path, read(value), false)),
    [`jsonb_insert(${OBJECT}, '{b,1}', '9')`, '{"a":1,"b":[2,9,3]}'],
  ),
  own(
    'jsonb_insert(jsonb, array, jsonb, boolean)',
    JSONB,
    'As jsonb_insert; behind the place where the last is true.',
    ([a, path, value, after]) => printJson(insertAt(container('jsonb_insert', read(a)), path, read(value), after)),
  ),
  own('jsonb_contains(jsonb, jsonb)', BOOLEAN, 'As @>.', ([a, b]) => contains(read(a), read(b), true), [
    `jsonb_contains('[1,2]', '2')`,
    'true',
  ]),
  own('jsonb_exists(jsonb, varchar)', BOOLEAN, 'As ?.', ([a, key]) => hasKey(read(a), key), [
    `jsonb_exists('{"a":1}', 'a')`,
    'true',
  ]),
  own('is_json(varchar)', BOOLEAN, 'Whether a text is JSON.', ([a]) => parseJson(a) !== undefined, [
    "is_json('{]')",
    'false',
  ]),
  own(
    'parse_json(varchar)',
    JSONB,
    'The text as JSON; NULL where it is none.',
    ([a]) => {
      const json = parseJson(a);
      return json === undefined ? null : printJson(json);
    },
    [`parse_json('{"a": 1}')`, '{"a":1}'],
  ),
];

function jsonKind(json: string): string {
  const value = read(json);
  if (value === null) return 'null';
  if (value instanceof NumberText) return 'number';
  return Array.isArray(value) ? 'array' : value instanceof Map ? 'object' : (typeof value as string);
}
