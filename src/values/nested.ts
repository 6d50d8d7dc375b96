import { packPairs, packParts, pairsOf, partsOf } from './nested-text.ts';
import { datumFromText, packPart } from './text.ts';
import type { Datum, MapType, RowType, SqlType } from './types.ts';

/** Rows and maps to and from the datums of their fields, keys and values. */

const pack = (datum: Datum, type: SqlType): string | null => (datum === null ? null : packPart(datum, type));

function unpack(part: string | null, type: SqlType): Datum {
  if (part === null || type.kind === 'row' || type.kind === 'map') return part;
  return datumFromText(part, type);
}

export const packRow = (values: readonly Datum[], { fields }: RowType): string =>
  packParts(fields.map(({ type }, i) => pack(values[i], type)));

export const unpackRow = (row: Datum, { fields }: RowType): Datum[] =>
  partsOf(row as string).map((part, i) => unpack(part, fields[i].type));

export const unpackField = (row: Datum, { fields }: RowType, i: number): Datum =>
  unpack(partsOf(row as string)[i], fields[i].type);

export type Entry = readonly [key: Exclude<Datum, null>, value: Datum];

/** Of equal keys the last wins. */
export const packMap = (entries: readonly Entry[], type: MapType): string =>
  packPairs(entries.map(([key, value]) => [packPart(key, type.key), pack(value, type.value)]));

/** In the order of the keys' texts. */
export const unpackMap = (map: Datum, type: MapType): Entry[] =>
  pairsOf(map as string).map(([key, value]) => [
    unpack(key, type.key) as Exclude<Datum, null>,
    unpack(value, type.value),
  ]);

export function hasKey(map: Datum, key: Exclude<Datum, null>, type: MapType): boolean {
  const wanted = packPart(key, type.key);
  return pairsOf(map as string).some(([one]) => one === wanted);
}

/** NULL where the key is not there. */
export function valueUnder(map: Datum, key: Exclude<Datum, null>, type: MapType): Datum {
  const wanted = packPart(key, type.key);
  return unpack(pairsOf(map as string).find(([one]) => one === wanted)?.[1] ?? null, type.value);
}

/** The text that stands for a key where keys are texts, as in JSON. */
export const keyText = (key: Exclude<Datum, null>, type: MapType): string => packPart(key, type.key);
