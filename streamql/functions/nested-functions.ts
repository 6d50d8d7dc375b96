import { StreamError } from '../../src/lib/errors.ts';
import { type Entry, hasKey, packMap, packRow, unpackField, unpackMap, valueUnder } from '../../src/values/nested.ts';
import {
  arrayOf,
  BOOLEAN,
  type Datum,
  INTEGER,
  type MapType,
  mapOf,
  NULL_TYPE,
  type RowType,
  rowOf,
  type SqlType,
  VARCHAR,
} from '../../src/values/types.ts';
import { commonType } from './casts.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Rows and maps. A map has each key once, and no key is NULL. */

/** The id of `row.field`; the second argument is the field's name. */
export const FIELD = '.(row,varchar)';

const asMap = (type: SqlType | undefined): MapType => (type?.kind === 'map' ? type : mapOf(VARCHAR, VARCHAR));
const known = (type: SqlType | undefined): SqlType | undefined => (type?.kind === 'null' ? VARCHAR : type);

const namesOf = (types: readonly SqlType[]): RowType => rowOf(types.map((type, i) => ({ name: `f${i + 1}`, type })));

function mapFrom(keys: readonly Datum[], values: readonly Datum[], type: MapType): string {
  if (keys.length !== values.length) throw new StreamError('VALUE_DOMAIN', 'a map has as many keys as values');
  const entries = keys.map((key, i): Entry => {
    if (key === null) throw new StreamError('VALUE_DOMAIN', 'a key of a map is NULL');
    return [key, values[i]];
  });
  return packMap(entries, type);
}

/** Keys of one type and values of one type, in turn. */
function inTurn(types: readonly SqlType[]): readonly SqlType[] | undefined {
  if (types.length % 2 === 1) return undefined;
  const key = known(commonType(types.filter((_, i) => i % 2 === 0)));
  const value = known(commonType(types.filter((_, i) => i % 2 === 1)));
  return key === undefined || value === undefined ? undefined : types.map((_, i) => (i % 2 === 0 ? key : value));
}

/** The map, and a key of its type. */
const withKey = ([map]: readonly SqlType[]): readonly SqlType[] | undefined =>
  map.kind === 'map' ? [map, map.key] : undefined;

const M = "MAP['a', 1, 'b', 2]";

export const NESTED: readonly ScalarFunction[] = [
  own(
    '.(row, varchar)',
    NULL_TYPE,
    'A field of a row. Written (row).field, or column.field.',
    ([row, name], [type]) => {
      const { fields } = type as RowType;
      const at = fields.findIndex((field) => field.name === name);
      if (at < 0) throw new StreamError('VALUE_DOMAIN', `the row has no field ${name}`);
      return unpackField(row, type as RowType, at);
    },
    ["(CAST(ROW(1, 'x') AS ROW(id INTEGER, tag VARCHAR))).tag", 'x'],
  ),
  own(
    'row(any …)',
    (types) => namesOf(types),
    'A row of the values; its fields are f1, f2 … until it is cast to a ROW type.',
    (args, types) => packRow(args, namesOf(types.slice(0, args.length))),
    ["ROW(1, 'a b', NULL)", '(1,"a b",)'],
    { nullAware: true },
  ),
  own(
    'map(any …)',
    ([key, value]) => mapOf(key ?? VARCHAR, value ?? VARCHAR),
    'A map of keys and values in turn. Written MAP[k, v, …].',
    (args, [key, value]) =>
      mapFrom(
        args.filter((_, i) => i % 2 === 0),
        args.filter((_, i) => i % 2 === 1),
        mapOf(key, value),
      ),
    [M, '"a"=>"1", "b"=>"2"'],
    {
      nullAware: true,
      together: inTurn,
    },
  ),
  own(
    'map_from_arrays(array, array)',
    ([keys, values]) => mapOf(elementOf(keys), elementOf(values)),
    'A map of an array of keys and one of values.',
    ([keys, values], [k, v]) => mapFrom(keys, values, mapOf(elementOf(k), elementOf(v))),
    ["map_from_arrays(ARRAY['x'], ARRAY[9])", '"x"=>"9"'],
  ),
  own(
    '[](map, any)',
    ([map]) => asMap(map).value,
    'The value under a key; NULL where there is none. Written m[key].',
    ([map, key], [type]) => valueUnder(map, key, asMap(type)),
    [`(${M})['b']`, '2'],
    { together: withKey },
  ),
  own(
    'element_at(map, any)',
    ([map]) => asMap(map).value,
    'As m[key].',
    ([map, key], [type]) => valueUnder(map, key, asMap(type)),
    [`element_at(${M}, 'a')`, '1'],
    {
      together: withKey,
    },
  ),
  own(
    'map_contains_key(map, any)',
    BOOLEAN,
    'Whether a key is there.',
    ([map, key], [type]) => hasKey(map, key, asMap(type)),
    [`map_contains_key(${M}, 'c')`, 'false'],
    { together: withKey },
  ),
  own(
    'map_keys(map)',
    ([map]) => arrayOf(asMap(map).key),
    'The keys, in the order of their texts.',
    ([map], [type]) => unpackMap(map, asMap(type)).map(([key]) => key),
    [`map_keys(${M})`, '{a,b}'],
  ),
  own(
    'map_values(map)',
    ([map]) => arrayOf(asMap(map).value),
    "The values, in the order of their keys' texts.",
    ([map], [type]) => unpackMap(map, asMap(type)).map(([, value]) => value),
    [`map_values(${M})`, '{1,2}'],
  ),
  own('cardinality(map)', INTEGER, 'The number of keys.', ([map], [type]) => unpackMap(map, asMap(type)).length, [
    `cardinality(${M})`,
    '2',
  ]),
  own(
    'map_concat(map, map)',
    ([map]) => map,
    'Both maps in one; of keys in both the second has the say.',
    ([a, b], [type]) => packMap([...unpackMap(a, asMap(type)), ...unpackMap(b, asMap(type))], asMap(type)),
    [`map_concat(${M}, MAP['b', 7])`, '"a"=>"1", "b"=>"7"'],
    {
      together: ([a, b]) => (a.kind === 'map' && b.kind === 'map' ? [a, a] : undefined),
    },
  ),
];

const elementOf = (type: SqlType): SqlType => (type.kind === 'array' ? type.element : VARCHAR);
