import { StreamError } from '../../src/lib/errors.ts';
import { canonicalJsonText } from '../../src/values/json-text.ts';
import { BOOLEAN, JSONB, VARCHAR } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { jsonPieces, jsonText } from './json-functions.ts';
import { own } from './own-function.ts';

/** A member, an element (from the end when negative: `last`), all members, all elements. */
type Step = { readonly member: string } | { readonly element: number } | 'members' | 'elements';

const STEP =
  /\.\s*(?:"((?:[^"\\]|\\.)*)"|([\p{L}_$][\p{L}\p{N}_$]*)|(\*))|\[\s*(?:(\d{1,9})|(last)(?:\s*-\s*(\d{1,9}))?|(\*))\s*\]|\['((?:[^'\\]|\\.)*)'\]/uy;
const MAX_KEPT = 1000;
const kept = new Map<string, readonly Step[]>();

/** `lax $.a[0]."b c".*[*]`. VALUE_DOMAIN for all else, such as filters. */
function pathOf(text: string): readonly Step[] {
  let steps = kept.get(text);
  if (steps !== undefined) return steps;
  const found: Step[] = [];
  const trimmed = text.trim().replace(/^lax\s+/i, '');
  let at = 1;
  while (trimmed[0] === '$' && at < trimmed.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(trimmed);
    if (match === null) break;
    at = STEP.lastIndex;
    const [, quoted, word, star, index, last, before, all, single] = match;
    if (quoted !== undefined) found.push({ member: JSON.parse(`"${quoted}"`) as string });
    else if (single !== undefined) found.push({ member: single.replace(/\\(.)/g, '$1') });
    else if (word !== undefined) found.push({ member: word });
    else if (index !== undefined) found.push({ element: Number(index) });
    else if (last !== undefined) found.push({ element: -1 - Number(before ?? 0) });
    else found.push(star !== undefined ? 'members' : all !== undefined ? 'elements' : 'elements');
  }
  if (trimmed[0] !== '$' || at < trimmed.length) {
    throw new StreamError(
      'VALUE_DOMAIN',
      `the JSON path ${text} is not understood at "${trimmed.slice(trimmed[0] === '$' ? at : 0)}"`,
      {
        hint: 'there are $, .name, ."any name", .*, [n], [last] and [*]; filters, strict mode and methods are not',
      },
    );
  }
  steps = found;
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(text, steps);
  return steps;
}

/** Everything that the path leads to, in order, as in lax mode: a member of an array is that of its elements, and what is no array is one of itself. */
export function jsonPath(json: string, path: string): string[] {
  let items = [json];
  for (const step of pathOf(path)) {
    const isMember = step === 'members' || (typeof step === 'object' && 'member' in step);
    const spread = isMember ? items.flatMap((item) => (item[0] === '[' ? jsonPieces(item).values : [item])) : items;
    items = spread.flatMap((item) => taken(item, step));
  }
  return items;
}

function taken(item: string, step: Step): readonly string[] {
  if (step === 'members') return item[0] === '{' ? jsonPieces(item).values : [];
  if (typeof step === 'object' && 'member' in step) {
    if (item[0] !== '{') return [];
    const { keys, values } = jsonPieces(item);
    const at = keys.indexOf(step.member);
    return at < 0 ? [] : [values[at]];
  }
  const elements = item[0] === '[' ? jsonPieces(item).values : [item];
  if (step === 'elements') return elements;
  const at = step.element < 0 ? elements.length + step.element : step.element;
  return elements[at] === undefined ? [] : [elements[at]];
}

/** The one scalar there is; NULL for none, for several and for what is an object or an array. */
function scalarAt(json: string, path: string): string | null {
  const found = jsonPath(json, path);
  if (found.length !== 1 || found[0][0] === '{' || found[0][0] === '[') return null;
  return jsonText(found[0]) as string | null;
}

function queried(json: string, path: string): string | null {
  const found = jsonPath(json, path);
  return found.length === 1 ? found[0] : null;
}

const DOCUMENT = `'{"a":{"b":[1,"x"]}}'`;

/** The JSON paths of SQL, without filters: lax mode. Texts that are no JSON have nothing at any path. */
export const JSON_PATHS: readonly ScalarFunction[] = [
  own(
    'jsonb_path_exists(jsonb, varchar)',
    BOOLEAN,
    'Whether a JSON path leads to something.',
    ([json, path]) => jsonPath(json, path).length > 0,
    [`jsonb_path_exists(${DOCUMENT}, '$.a.b[1]')`, 'true'],
  ),
  own(
    'jsonb_path_query_first(jsonb, varchar)',
    JSONB,
    'The first that a JSON path leads to; NULL without one.',
    ([json, path]) => jsonPath(json, path)[0] ?? null,
    [`jsonb_path_query_first(${DOCUMENT}, '$.a.b[*]')`, '1'],
  ),
  own(
    'jsonb_path_query_array(jsonb, varchar)',
    JSONB,
    'All that a JSON path leads to, as an array.',
    ([json, path]) => `[${jsonPath(json, path).join(',')}]`,
    [`jsonb_path_query_array(${DOCUMENT}, '$.a.*')`, '[[1,"x"]]'],
  ),
  own(
    'json_exists(jsonb, varchar)',
    BOOLEAN,
    'As jsonb_path_exists.',
    ([json, path]) => jsonPath(json, path).length > 0,
    [`json_exists(${DOCUMENT}::jsonb, '$.c')`, 'false'],
  ),
  own(
    'json_value(jsonb, varchar)',
    VARCHAR,
    'The one scalar that a JSON path leads to, as text; NULL without one.',
    ([json, path]) => scalarAt(json, path),
    [`json_value(${DOCUMENT}::jsonb, '$.a.b[last]')`, 'x'],
  ),
  own(
    'json_query(jsonb, varchar)',
    JSONB,
    'The one value that a JSON path leads to; NULL without one.',
    ([json, path]) => queried(json, path),
    [`json_query(${DOCUMENT}::jsonb, '$.a.b')`, '[1,"x"]'],
  ),
  ...(['json_exists', 'json_value', 'json_query'] as const).map((name) =>
    own(
      `${name}(varchar, varchar)`,
      name === 'json_exists' ? BOOLEAN : name === 'json_value' ? VARCHAR : JSONB,
      `The same of JSON in a text; of a text that is none ${name === 'json_exists' ? 'false' : 'NULL'}.`,
      ([text, path]) => {
        const json = canonicalJsonText(text);
        if (name === 'json_exists') return json !== undefined && jsonPath(json, path).length > 0;
        if (json === undefined) return null;
        return name === 'json_value' ? scalarAt(json, path) : queried(json, path);
      },
      [`${name}(${DOCUMENT}::varchar, '$.a.b[0]')`, name === 'json_exists' ? 'true' : '1'],
    ),
  ),
];
