import type { Exact } from '../../../src/values/decimal.ts';
import { type BytesForm, TextScratch } from './bytes-form.ts';

/**
 * A moment by a constant pattern, in UTF-8. Moments mostly come in order, so the last text stays for as long as it is the same: `everyOf`
 * says for how many microseconds a pattern prints the same.
 */
export const momentForm =
  (format: (micros: Exact, pattern: string) => string, everyOf: (pattern: string) => number): BytesForm =>
  ([, pattern]) => {
    if (typeof pattern !== 'string') return undefined;
    const last = new TextScratch(pattern.length);
    let every: number | undefined;
    let from = 0;
    let to = 0;
    return {
      yields: 'text',
      call: (scratch: TextScratch, micros: Exact): number => {
        if (micros < from || micros >= to) {
          const text = format(micros, pattern);
          every ??= everyOf(pattern);
          last.length = 0;
          last.write(text);
          from = typeof micros === 'number' ? Math.floor(micros / every) * every : 0;
          to = typeof micros === 'number' ? from + every : 0;
        }
        return scratch.copy(last.bytes, 0, last.length);
      },
    };
  };
