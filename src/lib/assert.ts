import { StreamError } from './errors.ts';

/** What must never be false. A failure stops the pipeline or connection it happened in (DESIGN 2.5). */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new StreamError('INVARIANT', message);
}

/** The end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new StreamError('INVARIANT', `unexpected value ${JSON.stringify(value)}`);
}
