import type { OnConflict } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import { type ColumnSchema, rowAt } from '../values/batch.ts';
import { datumToText } from '../values/text.ts';
import type { Datum } from '../values/types.ts';
import type { SqlContext } from './context.ts';
import type { CatalogObject } from './objects.ts';

type Row = readonly Datum[];

/** SQL_UNSUPPORTED: a row of another key is another row. */
export function refuseKeyChange(
  set: OnConflict['set'],
  key: readonly number[],
  columns: readonly ColumnSchema[],
): void {
  const changed = set.find(({ column }) => key.some((position) => columns[position].name === column.text));
  if (changed === undefined) return;
  const { text, at } = changed.column;
  throw new StreamError('SQL_UNSUPPORTED', `"${text}" is part of the primary key and cannot be updated`, {
    at,
    hint: 'DELETE the row and INSERT it again',
  });
}

/**
 * Tells rows whose key the table does not have from those in conflict: each of these with the row that is there before it. The table is asked
 * after it has taken in all that was written before; what other producers write at the same time to its topic is not seen.
 */
export async function settled(
  { engine }: SqlContext,
  object: CatalogObject,
  columns: readonly ColumnSchema[],
  given: readonly Row[],
  { action, target, set, at }: OnConflict,
): Promise<{ fresh: Row[]; conflicts: Row[] }> {
  const { key } = object;
  if (key === null) {
    throw new StreamError('SQL_UNSUPPORTED', `ON CONFLICT is for tables: "${object.name}" has no primary key`, {
      at,
      hint: 'leave it out',
    });
  }
  const names = key.map((position) => columns[position].name);
  const isKey = target.length === names.length && target.every(({ text }) => names.includes(text));
  if (target.length > 0 && !isKey) {
    throw new StreamError('SQL_BIND', `rows of "${object.name}" are in conflict by their key alone`, {
      at: target[0].at,
      sqlState: '42P10',
      hint: `write ON CONFLICT (${names.join(', ')})`,
    });
  }
  refuseKeyChange(set, key, columns);
  await engine.flush();
  const textOf = (row: Row): string =>
    JSON.stringify(
      key.map((position) => (row[position] === null ? null : datumToText(row[position], columns[position].type))),
    );
  const places = columns.map(({ name }) => object.columns.findIndex((column) => column.name === name));
  const seen = new Set<string>();
  const fresh: Row[] = [];
  const conflicts: Row[] = [];
  const found = await Promise.all(
    given.map((row) =>
      engine.lookup(
        object.id,
        key.map((position) => row[position]),
        1,
      ),
    ),
  );
  given.forEach((row, i) => {
    const id = textOf(row);
    const { batch } = found[i];
    const isThere = batch.length > 0;
    if (action === 'error' && (isThere || seen.has(id))) {
      throw new StreamError('VALUE_DOMAIN', `"${object.name}" has a row of the key ${id} already`, {
        at,
        sqlState: '23505',
        hint: 'nothing was written; DO NOTHING keeps the row that is there, DO UPDATE SET … changes it',
      });
    }
    if (action === 'update' && seen.has(id)) {
      throw new StreamError(
        'VALUE_DOMAIN',
        `two of the rows have the key ${id}: DO UPDATE would change the row twice`,
        {
          at,
          sqlState: '21000',
          hint: 'nothing was written; give one row per key',
        },
      );
    }
    if (isThere) {
      const there = rowAt(batch, 0);
      conflicts.push([...places.map((place) => there[place]), ...row]);
    }
    if (!isThere && !seen.has(id)) fresh.push(row);
    seen.add(id);
  });
  return { fresh, conflicts };
}
