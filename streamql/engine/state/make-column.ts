import { isText, type SqlType } from '../../../src/values/types.ts';
import { PlainStateColumn } from './plain-state-column.ts';
import type { StateColumn } from './state-column.ts';
import { TextStateColumn } from './text-state-column.ts';

export const makeColumn = (type: SqlType): StateColumn =>
  isText(type) ? new TextStateColumn(type) : new PlainStateColumn(type);
