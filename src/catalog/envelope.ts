import { consolidate } from '../../streamql/engine/runtime/consolidate.ts';
import type { Envelope, Name } from '../../streamql/parser/ast.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import { type Batch, batchOfRows, type ColumnSchema, gatherBatch, rowAt, weightAt } from '../values/batch.ts';
import { datumAt } from '../values/column.ts';
import { compareDatums } from '../values/compare.ts';
import { type Datum, VARCHAR } from '../values/types.ts';

/** What a push query sends of each change, and the columns that this has. */
export interface Shape {
  readonly columns: readonly ColumnSchema[];
  shaped(batch: Batch): Batch;
  /** The rows are messages that say by themselves what came and went; their weights mean nothing. */
  readonly isMessages: boolean;
}

/**
 * The envelopes of SUBSCRIBE as Materialize has them. All changes of one epoch are in one batch, so that what happened to a key follows from that
 * batch alone, and nothing is kept: one row that comes is an upsert, one that goes alone a delete, anything else has a key of several rows.
 */
export function shapeOf(envelope: Envelope, columns: readonly ColumnSchema[]): Shape {
  return envelope.kind === 'order' ? ordered(envelope, columns) : keyed(envelope, columns);
}

function keyed(envelope: Envelope & { kind: 'upsert' | 'debezium' }, columns: readonly ColumnSchema[]): Shape {
  const key = envelope.key.map((name) => columnOf(name, columns));
  key.forEach((column, i) => {
    if (key.indexOf(column) !== i)
      throw new StreamError('SQL_BIND', `"${columns[column].name}" stands twice in KEY`, { at: envelope.key[i].at });
  });
  const rest = columns.map((_, i) => i).filter((i) => !key.includes(i));
  const hasBefore = envelope.kind === 'debezium';
  const named = (prefix: string) =>
    rest.map((i) => ({ ...columns[i], name: prefix + columns[i].name, nullable: true }));
  const shape: readonly ColumnSchema[] = [
    { name: 'state', type: VARCHAR, nullable: false },
    ...key.map((i) => columns[i]),
    ...(hasBefore ? [...named('before_'), ...named('after_')] : named('')),
  ];
  const nothing = rest.map((): Datum => null);
  const of = (row: readonly Datum[] | undefined): readonly Datum[] =>
    row === undefined ? nothing : rest.map((i) => row[i]);
  const message = ({ came, went }: KeyChange, identity: readonly Datum[]): Datum[] => {
    const isViolated = came.length > 1 || went.length > 1;
    const [after, before] = isViolated ? [undefined, undefined] : [came[0], went[0]];
    const arrives = before === undefined && hasBefore ? 'insert' : 'upsert';
    const state = isViolated ? 'key_violation' : after === undefined ? 'delete' : arrives;
    return [state, ...identity, ...(hasBefore ? of(before) : []), ...of(after)];
  };
  const types = columns.map(({ type }) => type);
  return {
    columns: shape,
    isMessages: true,
    shaped: (batch) => {
      const net = consolidate(types, [batch]);
      const changes = new Map<string, KeyChange>();
      for (let i = 0; i < (net?.length ?? 0); i++) {
        const row = rowAt(net as Batch, i);
        const text = JSON.stringify(key.map((column) => keyText(row[column])));
        const change = changes.get(text) ?? { identity: key.map((column) => row[column]), came: [], went: [] };
        changes.set(text, change);
        const weight = weightAt(net as Batch, i);
        // Two copies already are more than a key may have.
        for (let copy = Math.min(2, Math.abs(weight)); copy > 0; copy--)
          (weight > 0 ? change.came : change.went).push(row);
      }
      const rows = [...changes.values()].map((change) => message(change, change.identity));
      return batchOfRows(
        shape.map(({ type }) => type),
        rows,
      );
    },
  };
}

interface KeyChange {
  readonly identity: readonly Datum[];
  readonly came: Datum[][];
  readonly went: Datum[][];
}

/** JSON has no NaN and infinities, no bytes, and writes −0 as 0, which it equals. */
const keyText = (datum: Datum): unknown =>
  typeof datum === 'number' && !Number.isFinite(datum)
    ? [String(datum)]
    : typeof datum === 'bigint'
      ? [`${datum}`]
      : datum instanceof Uint8Array
        ? [Buffer.from(datum).toString('hex')]
        : datum;

/** WITHIN TIMESTAMP ORDER BY: by columns, and `diff` for what goes before what comes. */
function ordered({ orderBy }: Envelope & { kind: 'order' }, columns: readonly ColumnSchema[]): Shape {
  const terms = orderBy.map(({ expr, descending, nullsFirst, at }) => {
    if (expr.kind !== 'column' || expr.path.length !== 1) throw unordered(at);
    const [name] = expr.path;
    const isDiff = /^(?:mz_)?diff$/.test(name.text) && !columns.some((column) => column.name === name.text);
    return { column: isDiff ? -1 : columnOf(name, columns), sign: descending ? -1 : 1, nulls: nullsFirst ? -1 : 1 };
  });
  const compare = (batch: Batch, a: number, b: number): number => {
    for (const { column, sign, nulls } of terms) {
      if (column < 0) {
        const by = weightAt(batch, a) - weightAt(batch, b);
        if (by !== 0) return by * sign;
        continue;
      }
      const [x, y] = [datumAt(batch.columns[column], a), datumAt(batch.columns[column], b)];
      if (x === null || y === null) {
        if (x !== y) return x === null ? nulls : -nulls;
        continue;
      }
      const by = compareDatums(x, y, columns[column].type);
      if (by !== 0) return by * sign;
    }
    return 0;
  };
  return {
    columns,
    isMessages: false,
    shaped: (batch) => {
      const rows = Int32Array.from({ length: batch.length }, (_, i) => i).sort((a, b) => compare(batch, a, b) || a - b);
      return gatherBatch(batch, rows, rows.length);
    },
  };
}

const unordered = (at: Position): StreamError =>
  new StreamError('SQL_UNSUPPORTED', 'WITHIN TIMESTAMP ORDER BY takes columns of the result, and diff', {
    at,
    hint: 'give the expression a name in the SELECT list, as SUBSCRIBE (SELECT …, lower(a) AS l FROM …) WITHIN TIMESTAMP ORDER BY l',
  });

function columnOf(name: Name, columns: readonly ColumnSchema[]): number {
  const found = columns.findIndex((column) => column.name === name.text);
  if (found >= 0) return found;
  throw new StreamError('SQL_BIND', `there is no column "${name.text}"`, {
    at: name.at,
    hint: `the columns are ${columns.map((column) => column.name).join(', ')}`,
  });
}
