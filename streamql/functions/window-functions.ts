import { BIGINT, DOUBLE, INTEGER, type SqlType } from '../../src/values/types.ts';
import { aggregateType, type BasicAggregate } from './aggregates.ts';

/**
 * One row per function that is called with OVER. `arguments` are columns; `constant` is the kind of a constant that follows the first of
 * them (or stands alone). `sees` tells on which rows of the partition a row's value depends, and so what a change makes new.
 */
export interface WindowFunction {
  readonly name: string;
  readonly arguments: readonly ('value' | 'default')[];
  /** How many of the arguments may be left out, the constant counted. */
  readonly optional: number;
  readonly constant: 'offset' | 'positive' | null;
  /** before: the rows up to this one; all: the whole partition; lag and lead: one other row; frame: the frame. */
  readonly sees: 'before' | 'all' | 'lag' | 'lead' | 'frame';
  /** Undefined where it does not take the type. */
  returns(arg: SqlType | undefined): SqlType | undefined;
  /** Never NULL. */
  readonly total: boolean;
  readonly signature: string;
  readonly doc: string;
}

const rank = (
  name: string,
  type: SqlType,
  sees: WindowFunction['sees'],
  doc: string,
  constant: WindowFunction['constant'] = null,
): WindowFunction => ({
  name,
  arguments: [],
  optional: 0,
  constant,
  sees,
  returns: () => type,
  total: true,
  signature: `${name}(${constant === null ? '' : 'n'})`,
  doc,
});

const shifted = (name: 'lag' | 'lead', where: string): WindowFunction => ({
  name,
  arguments: ['value', 'default'],
  optional: 2,
  constant: 'offset',
  sees: name,
  returns: (type) => type,
  total: false,
  signature: `${name}(value [, n [, default]])`,
  doc: `The value in the row n (1) rows ${where}; the default (NULL) where there is none.`,
});

const ofFrame = (name: string, doc: string, constant: WindowFunction['constant'] = null): WindowFunction => ({
  name,
  arguments: ['value'],
  optional: 0,
  constant,
  sees: 'frame',
  returns: (type) => type,
  total: false,
  signature: `${name}(value${constant === null ? '' : ', n'})`,
  doc,
});

const aggregate = (name: BasicAggregate, doc: string): WindowFunction => ({
  name,
  arguments: ['value'],
  optional: name === 'count' ? 1 : 0,
  constant: null,
  sees: 'frame',
  returns: (type) => (type === undefined ? BIGINT : aggregateType(name, type)),
  total: name === 'count',
  signature: name === 'count' ? 'count(*) or count(value)' : `${name}(value)`,
  doc,
});

const ROWS: readonly WindowFunction[] = [
  rank('row_number', BIGINT, 'before', 'The position in the partition, from 1.'),
  rank('rank', BIGINT, 'before', 'The position of the first peer: 1, 1, 3.'),
  rank('dense_rank', BIGINT, 'before', 'The position among the distinct sort keys: 1, 1, 2.'),
  rank('percent_rank', DOUBLE, 'all', '(rank − 1) / (rows − 1); 0 for a single row.'),
  rank('cume_dist', DOUBLE, 'all', 'The share of rows up to and with the peers.'),
  rank('ntile', INTEGER, 'all', 'The part, of n equal ones, in which the row lies.', 'positive'),
  shifted('lag', 'before'),
  shifted('lead', 'after'),
  ofFrame('first_value', 'The value in the first row of the frame.'),
  ofFrame('last_value', 'The value in the last row of the frame.'),
  ofFrame('nth_value', 'The value in the n-th row of the frame; NULL where it is shorter.', 'positive'),
  aggregate('count', 'The rows of the frame, or its values that are not NULL.'),
  aggregate('sum', 'The sum over the frame.'),
  aggregate('avg', 'The mean over the frame.'),
  aggregate('min', 'The least value of the frame.'),
  aggregate('max', 'The greatest value of the frame.'),
];

export const WINDOW_FUNCTIONS: ReadonlyMap<string, WindowFunction> = new Map(ROWS.map((row) => [row.name, row]));
