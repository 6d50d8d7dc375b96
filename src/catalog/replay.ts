import type { Replay } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';

const ERRORS = '$errors';

/** REPLAY FROM v$errors: the tag says how many rows were fed through again, the notice what became of the rest. */
export async function replay({ catalog, engine }: SqlContext, { from }: Replay): Promise<SqlResult> {
  const { text, at } = from;
  if (text.endsWith('$late')) {
    throw new StreamError('SQL_UNSUPPORTED', 'late rows are behind the watermark still', {
      at,
      hint: "create the source again with late = 'update', or INSERT the rows anew",
    });
  }
  const object = text.endsWith(ERRORS) ? catalog.get(text.slice(0, -ERRORS.length)) : undefined;
  if (object === undefined) {
    throw new StreamError('NOT_FOUND', `"${text}" is not the dead letters of anything`, {
      at,
      hint: 'they are called as their view, sink or source, with $errors at the end',
    });
  }
  const { replayed, failed, late, left } = await engine.replay(object.id);
  const rest = [
    failed > 0 ? `${failed} failed again` : '',
    late > 0 ? `${late} are late by now` : '',
    left > 0 ? `${left} cannot be replayed: they are no records, or gone from the log` : '',
  ].filter((part) => part !== '');
  return ok(`REPLAY ${replayed}`, rest.join('; '));
}
