import { StreamError } from '../../src/lib/errors.ts';
import { compareDatums, compareNullable, equalDatums } from '../../src/values/compare.ts';
import { datumToText } from '../../src/values/text.ts';
import {
  arrayOf,
  BOOLEAN,
  type Datum,
  DOUBLE,
  INTEGER,
  NULL_TYPE,
  type SqlType,
  VARCHAR,
} from '../../src/values/types.ts';
import { commonType } from './casts.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Arrays of one dimension, whose elements count from 1. An equal element is one that IS NOT DISTINCT. */
type List = readonly Datum[];

const elementOf = (type: SqlType): SqlType => (type.kind === 'array' ? type.element : NULL_TYPE);
const known = (type: SqlType | undefined): SqlType | undefined => (type?.kind === 'null' ? VARCHAR : type);

/** Arguments that are arrays (`a`) or elements (`e`), all of one element type that is no array, or integers (`-`). */
function ofOneElement(shape: string): NonNullable<ScalarFunction['together']> {
  return (types) => {
    const kinds = types.map((_, i) => shape[Math.min(i, shape.length - 1)]);
    if (types.some((type, i) => kinds[i] === 'a' && type.kind !== 'array' && type.kind !== 'null')) return undefined;
    const elements = types.flatMap((type, i) => (kinds[i] === '-' ? [] : [kinds[i] === 'a' ? elementOf(type) : type]));
    const element = known(commonType(elements));
    if (element === undefined || element.kind === 'array') return undefined;
    return types.map((_, i) => (kinds[i] === 'a' ? arrayOf(element) : kinds[i] === 'e' ? element : INTEGER));
  };
}

const same = ([type]: readonly SqlType[]): SqlType => type;
const element = ([type]: readonly SqlType[]): SqlType => elementOf(type);
const isSame = (a: Datum, b: Datum, type: SqlType): boolean => equalDatums(a, b, type);

/** Longest array a function may build. */
const MAX_LENGTH = 1 << 20;

function bounded(length: number): number {
  if (length > MAX_LENGTH)
    throw new StreamError('VALUE_OVERFLOW', `the array would have more than ${MAX_LENGTH} elements`);
  return length;
}

const indexOf = (list: List, item: Datum, type: SqlType, from = 0): number => {
  for (let i = from; i < list.length; i++) if (isSame(list[i], item, type)) return i;
  return -1;
};

/** Whether a value is in the list. Many questions to a long list stay cheap. */
function finder(list: List, type: SqlType): (item: Datum) => boolean {
  if (list.length <= 8) return (item) => indexOf(list, item, type) >= 0;
  const isPlain = type.kind !== 'array' && type.kind !== 'bytea' && type.kind !== 'interval';
  const key = (item: Datum): Datum => (item === null || isPlain ? item : datumToText(item, type));
  const all = new Set(list.map(key));
  return (item) => all.has(key(item));
}

/** Whether every element of `items` is in the list; NULL is equal to nothing here. */
function holdsAll(list: List, items: List, type: SqlType): boolean {
  const has = finder(list, type);
  return items.every((item) => item !== null && has(item));
}

function overlaps(list: List, items: List, type: SqlType): boolean {
  const has = finder(list, type);
  return items.some((item) => item !== null && has(item));
}

/** The different elements of `list` that are, or are not, among `others`. */
function among(list: List, others: List, type: SqlType, wanted: boolean): Datum[] {
  const has = finder(others, type);
  return distinct(
    list.filter((one) => has(one) === wanted),
    type,
  );
}

function distinct(list: List, type: SqlType): Datum[] {
  const sorted = list.map((_, i) => i).sort((i, j) => order(list[i], list[j], type) || i - j);
  const keep = new Set<number>();
  sorted.forEach((i, at) => {
    if (at === 0 || !isSame(list[i], list[sorted[at - 1]], type)) keep.add(i);
  });
  return list.filter((_, i) => keep.has(i));
}

/** NULLs last. */
function order(a: Datum, b: Datum, type: SqlType): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return compareDatums(a, b, type);
}

function extreme(list: List, type: SqlType, direction: number): Datum {
  let best: Datum = null;
  for (const one of list) {
    if (one !== null && (best === null || compareNullable(one, best, type) * direction > 0)) best = one;
  }
  return best;
}

function sliced(list: List, from: number | null, to: number | null): Datum[] {
  return list.slice(Math.max(0, (from ?? 1) - 1), Math.max(0, to ?? list.length));
}

function series(from: number, to: number, step: number): number[] {
  if (step === 0) throw new StreamError('VALUE_DOMAIN', 'array_series: the step must not be 0');
  const count = bounded(Math.max(0, Math.floor((to - from) / step) + 1));
  return Array.from({ length: count }, (_, i) => from + i * step);
}

function joined(list: List, by: string, none: string | null, type: SqlType): string {
  const texts = list.flatMap((one) => (one === null ? (none === null ? [] : [none]) : [datumToText(one, type)]));
  if (texts.reduce((length, one) => length + one.length + by.length, 0) > 1 << 24)
    throw new StreamError('VALUE_OVERFLOW', 'array_to_string: the text is too long');
  return texts.join(by);
}

const ARRAY = 'ARRAY[3, 1, 2]';

export const ARRAYS: readonly ScalarFunction[] = [
  own(
    'array(any …)',
    ([type]) => arrayOf(type ?? VARCHAR),
    'The values as an array. Written ARRAY[1, 2].',
    (args) => [...args],
    ['ARRAY[1, NULL, 3]', '{1,NULL,3}'],
    { nullAware: true, together: ofOneElement('e') },
  ),
  own(
    '[](array, integer)',
    element,
    'The n-th element, from 1; NULL beyond the ends. Written a[n].',
    ([a, n]) => a[n - 1] ?? null,
    [`(${ARRAY})[1]`, '3'],
  ),
  own(
    '[:](array, integer, integer)',
    same,
    'The elements from one place to another; a bound left out is the end. Written a[m:n].',
    ([a, from, to]) => (a === null ? null : sliced(a, from, to)),
    [`(${ARRAY})[2:]`, '{1,2}'],
    { nullAware: true },
  ),
  own('cardinality(array)', INTEGER, 'The number of elements.', ([a]) => a.length, [`cardinality(${ARRAY})`, '3']),
  own('array_length(array)', INTEGER, 'The number of elements.', ([a]) => a.length),
  own(
    'array_length(array, integer)',
    INTEGER,
    'The number of elements of dimension 1; NULL of an empty array and of other dimensions.',
    ([a, n]) => (n === 1 && a.length > 0 ? a.length : null),
    [`array_length(${ARRAY}, 1)`, '3'],
  ),
  own(
    'array_upper(array, integer)',
    INTEGER,
    'The last place of dimension 1.',
    ([a, n]) => (n === 1 && a.length > 0 ? a.length : null),
    [`array_upper(${ARRAY}, 1)`, '3'],
  ),
  own(
    'array_lower(array, integer)',
    INTEGER,
    'The first place of dimension 1: 1.',
    ([a, n]) => (n === 1 && a.length > 0 ? 1 : null),
    [`array_lower(${ARRAY}, 1)`, '1'],
  ),
  own(
    'array_ndims(array)',
    INTEGER,
    'The number of dimensions: 1, NULL of an empty array.',
    ([a]) => (a.length > 0 ? 1 : null),
    [`array_ndims(${ARRAY})`, '1'],
  ),
  own(
    'array_append(array, any)',
    same,
    'The array with an element behind.',
    ([a, x]) => [...(a ?? []), x],
    [`array_append(${ARRAY}, 9)`, '{3,1,2,9}'],
    { nullAware: true, together: ofOneElement('ae') },
  ),
  own(
    'array_prepend(any, array)',
    ([, type]) => type,
    'The array with an element before.',
    ([x, a]) => [x, ...(a ?? [])],
    [`array_prepend(9, ${ARRAY})`, '{9,3,1,2}'],
    { nullAware: true, together: ofOneElement('ea') },
  ),
  own(
    'array_cat(array, array)',
    same,
    'One array after the other.',
    ([a, b]) => concat(a, b),
    [`array_cat(${ARRAY}, ARRAY[9])`, '{3,1,2,9}'],
    {
      nullAware: true,
      together: ofOneElement('aa'),
    },
  ),
  own(
    '||(array, array)',
    same,
    'One array after the other.',
    ([a, b]) => concat(a, b),
    ['ARRAY[1] || ARRAY[2]', '{1,2}'],
    {
      nullAware: true,
      together: ofOneElement('aa'),
    },
  ),
  own(
    'array_position(array, any)',
    INTEGER,
    'Where the element first is, from 1; NULL where it is not.',
    ([a, x], [, type]) => (a === null ? null : indexOf(a, x, type) + 1 || null),
    [`array_position(${ARRAY}, 2)`, '3'],
    { nullAware: true, together: ofOneElement('ae') },
  ),
  own(
    'array_position(array, any, integer)',
    INTEGER,
    'As array_position, from a place on.',
    ([a, x, from], [, type]) => (a === null ? null : indexOf(a, x, type, Math.max(0, (from ?? 1) - 1)) + 1 || null),
    ["array_position(ARRAY['sun', 'mon', 'tue', 'mon'], 'mon', 3)", '4'],
    { nullAware: true, together: ofOneElement('ae-') },
  ),
  own(
    'array_positions(array, any)',
    arrayOf(INTEGER),
    'All places of the element.',
    ([a, x], [, type]) => (a === null ? null : (a as List).flatMap((one, i) => (isSame(one, x, type) ? [i + 1] : []))),
    ['array_positions(ARRAY[5, 6, 5], 5)', '{1,3}'],
    {
      nullAware: true,
      together: ofOneElement('ae'),
    },
  ),
  own(
    'array_remove(array, any)',
    same,
    'The array without the elements equal to a value.',
    ([a, x], [, type]) => (a === null ? null : (a as List).filter((one) => !isSame(one, x, type))),
    [`array_remove(${ARRAY}, 1)`, '{3,2}'],
    { nullAware: true, together: ofOneElement('ae') },
  ),
  own(
    'array_replace(array, any, any)',
    same,
    'The array with the elements equal to one value replaced by another.',
    ([a, x, y], [, type]) => (a === null ? null : (a as List).map((one) => (isSame(one, x, type) ? y : one))),
    [`array_replace(${ARRAY}, 1, 7)`, '{3,7,2}'],
    {
      nullAware: true,
      together: ofOneElement('aee'),
    },
  ),
  own(
    'array_contains(array, any)',
    BOOLEAN,
    'Whether an element is the value.',
    ([a, x], [, type]) => indexOf(a, x, type) >= 0,
    [`array_contains(${ARRAY}, 2)`, 'true'],
    { together: ofOneElement('ae') },
  ),
  own(
    '= any(any, array)',
    BOOLEAN,
    'Whether an element equals the value; NULL where only a NULL element might. Written x = ANY (a).',
    ([x, a], [type]) => {
      if (a === null) return null;
      if (a.length === 0) return false;
      if (x === null) return null;
      if (indexOf(a, x, type) >= 0) return true;
      return (a as List).includes(null) ? null : false;
    },
    [`2 = ANY (${ARRAY})`, 'true'],
    { nullAware: true, together: ofOneElement('ea') },
  ),
  own(
    '@>(array, array)',
    BOOLEAN,
    'Whether the first array has every element of the second.',
    ([a, b], [type]) => holdsAll(a, b, elementOf(type)),
    [`${ARRAY} @> ARRAY[1, 3]`, 'true'],
    { together: ofOneElement('aa') },
  ),
  own(
    '<@(array, array)',
    BOOLEAN,
    'Whether the second array has every element of the first.',
    ([a, b], [type]) => holdsAll(b, a, elementOf(type)),
    [`ARRAY[4] <@ ${ARRAY}`, 'false'],
    { together: ofOneElement('aa') },
  ),
  own(
    '&&(array, array)',
    BOOLEAN,
    'Whether the arrays have an element in common.',
    ([a, b], [type]) => overlaps(a, b, elementOf(type)),
    [`${ARRAY} && ARRAY[2, 9]`, 'true'],
    { together: ofOneElement('aa') },
  ),
  own(
    'array_sort(array)',
    same,
    'The elements in ascending order, NULLs last.',
    ([a], [type]) => [...a].sort((x, y) => order(x, y, elementOf(type))),
    [`array_sort(${ARRAY})`, '{1,2,3}'],
  ),
  own(
    'array_sort(array, boolean)',
    same,
    'The elements in order, descending where the second is true; then NULLs are first.',
    ([a, down], [type]) => {
      const sorted = [...a].sort((x, y) => order(x, y, elementOf(type)));
      return down ? sorted.reverse() : sorted;
    },
    [`array_sort(${ARRAY}, true)`, '{3,2,1}'],
  ),
  own(
    'array_distinct(array)',
    same,
    'Each element once, where it first is.',
    ([a], [type]) => distinct(a, elementOf(type)),
    ['array_distinct(ARRAY[2, 1, 2])', '{2,1}'],
  ),
  own('array_reverse(array)', same, 'The elements in reverse.', ([a]) => [...a].reverse(), [
    `array_reverse(${ARRAY})`,
    '{2,1,3}',
  ]),
  own('array_min(array)', element, 'The least element.', ([a], [type]) => extreme(a, elementOf(type), -1), [
    `array_min(${ARRAY})`,
    '1',
  ]),
  own('array_max(array)', element, 'The greatest element.', ([a], [type]) => extreme(a, elementOf(type), 1), [
    `array_max(${ARRAY})`,
    '3',
  ]),
  own(
    'array_sum(array)',
    DOUBLE,
    'The sum of the elements as a double.',
    ([a]) => (a as List).reduce((sum: number, one) => sum + Number(one ?? 0), 0),
    [`array_sum(${ARRAY})`, '6'],
    {
      together: ([type]) =>
        type.kind === 'array' && commonType([type.element, DOUBLE]) !== undefined ? [arrayOf(DOUBLE)] : undefined,
    },
  ),
  own(
    'array_union(array, array)',
    same,
    'The different elements of both.',
    ([a, b], [type]) => distinct([...a, ...b], elementOf(type)),
    [`array_union(${ARRAY}, ARRAY[2, 4])`, '{3,1,2,4}'],
    { together: ofOneElement('aa') },
  ),
  own(
    'array_intersect(array, array)',
    same,
    'The different elements that both have.',
    ([a, b], [type]) => among(a, b, elementOf(type), true),
    [`array_intersect(${ARRAY}, ARRAY[2, 4, 3])`, '{3,2}'],
    {
      together: ofOneElement('aa'),
    },
  ),
  own(
    'array_except(array, array)',
    same,
    'The different elements of the first that the second has not.',
    ([a, b], [type]) => among(a, b, elementOf(type), false),
    [`array_except(${ARRAY}, ARRAY[2])`, '{3,1}'],
    {
      together: ofOneElement('aa'),
    },
  ),
  own('array_slice(array, integer, integer)', same, 'As a[m:n].', ([a, from, to]) => sliced(a, from, to), [
    `array_slice(${ARRAY}, 2, 3)`,
    '{1,2}',
  ]),
  own(
    'trim_array(array, integer)',
    same,
    'The array without its last n elements.',
    ([a, n]) => {
      if (n < 0 || n > a.length) throw new StreamError('VALUE_DOMAIN', 'trim_array: there are not so many elements');
      return a.slice(0, a.length - n);
    },
    [`trim_array(${ARRAY}, 2)`, '{3}'],
  ),
  own(
    'array_fill(any, integer)',
    ([type]) => arrayOf(type),
    'The value n times.',
    ([x, n]) => new Array(bounded(Math.max(0, n ?? 0))).fill(x),
    ["array_fill('x', 2)", '{x,x}'],
    { nullAware: true, together: ofOneElement('e-') },
  ),
  own(
    'array_fill(any, array)',
    ([type]) => arrayOf(type),
    'The value as many times as the only element of the array says.',
    ([x, sizes]) => {
      if (sizes?.length !== 1 || !(sizes[0] >= 0))
        throw new StreamError('VALUE_DOMAIN', 'array_fill: arrays have one dimension, whose length is not negative');
      return new Array(bounded(sizes[0])).fill(x);
    },
    ['array_fill(7, ARRAY[2])', '{7,7}'],
    {
      nullAware: true,
      together: ([type]) => (type.kind === 'array' ? undefined : [known(type) as SqlType, arrayOf(INTEGER)]),
    },
  ),
  own(
    'width_bucket(any, array)',
    INTEGER,
    'The place of the last of ascending bounds that is not above the value; 0 below all.',
    ([x, bounds], [type]) => {
      if ((bounds as List).includes(null)) throw new StreamError('VALUE_DOMAIN', 'width_bucket: a bound is NULL');
      return (bounds as List).filter((bound) => compareDatums(bound, x, type) <= 0).length;
    },
    ['width_bucket(5, ARRAY[1, 3, 6])', '2'],
    { together: ofOneElement('ea') },
  ),
  own(
    'array_series(integer, integer)',
    arrayOf(INTEGER),
    'The integers from one to another.',
    ([from, to]) => series(from, to, 1),
    ['array_series(2, 4)', '{2,3,4}'],
  ),
  own(
    'array_series(integer, integer, integer)',
    arrayOf(INTEGER),
    'The integers from one to another by a step.',
    ([from, to, step]) => series(from, to, step),
    ['array_series(9, 4, -2)', '{9,7,5}'],
  ),
  own(
    'array_to_string(array, varchar)',
    VARCHAR,
    'The texts of the elements with the second between them; NULLs are left out.',
    ([a, by], [type]) => joined(a, by, null, elementOf(type)),
    [`array_to_string(${ARRAY}, '-')`, '3-1-2'],
  ),
  own(
    'array_to_string(array, varchar, varchar)',
    VARCHAR,
    'As array_to_string, with a text for NULLs.',
    ([a, by, none], [type]) => (a === null || by === null ? null : joined(a, by, none, elementOf(type))),
    ["array_to_string(ARRAY[1, NULL], ',', '?')", '1,?'],
    { nullAware: true },
  ),
];

function concat(a: List | null, b: List | null): Datum {
  if (a === null || b === null) return a ?? b;
  bounded(a.length + b.length);
  return [...a, ...b];
}
