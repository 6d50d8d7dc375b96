import type { Datum } from '../../../src/values/types.ts';
import { likeSegments } from '../../functions/like.ts';

/**
 * What generated code asks of texts in their UTF-8 bytes, without making strings of them. UTF-8 is self-synchronizing, so a search for
 * bytes finds just what a search for characters finds, and the order of bytes is that of code points.
 */
export interface LikeBytes {
  readonly prefix: Uint8Array;
  readonly middle: readonly Uint8Array[];
  readonly suffix: Uint8Array | null;
}

/** IN with more constants looks them up by string. */
export const MAX_CONSTANTS = 16;

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
/** Whether it is a text that survives as UTF-8: a lone surrogate does not. */
export const survivesUtf8 = (datum: Datum): datum is string =>
  typeof datum === 'string' && (/^[\x20-\x7e]*$/.test(datum) || Buffer.from(datum, 'utf8').toString('utf8') === datum);

/** Undefined for a pattern with `_`, and for what is no pattern: that fails row by row, as everywhere. */
export function likeBytes(pattern: string): LikeBytes | undefined {
  if (/(^|[^\\])(\\\\)*\\$/.test(pattern)) return undefined;
  const segments = likeSegments(pattern);
  return (
    segments && {
      prefix: utf8(segments.prefix),
      middle: segments.middle.map(utf8),
      suffix: segments.suffix === null ? null : utf8(segments.suffix),
    }
  );
}

export function sameBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false;
  for (let p = aStart, q = bStart; p < aEnd; p++, q++) if (a[p] !== b[q]) return false;
  return true;
}

/** Negative, zero or positive. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart;
  const bLength = bEnd - bStart;
  const common = aLength < bLength ? aLength : bLength;
  for (let i = 0; i < common; i++) {
    const difference = a[aStart + i] - b[bStart + i];
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

function bytesAt(bytes: Uint8Array, start: number, constant: Uint8Array): boolean {
  for (let i = 0; i < constant.length; i++) if (bytes[start + i] !== constant[i]) return false;
  return true;
}

export function likeInBytes(bytes: Uint8Array, start: number, end: number, pattern: LikeBytes): boolean {
  const { prefix, middle, suffix } = pattern;
  if (suffix === null) return end - start === prefix.length && bytesAt(bytes, start, prefix);
  const last = end - suffix.length;
  let from = start + prefix.length;
  if (from > last || !bytesAt(bytes, start, prefix) || !bytesAt(bytes, last, suffix)) return false;
  for (const one of middle) {
    const first = one[0];
    const limit = last - one.length;
    while (from <= limit && (bytes[from] !== first || !bytesAt(bytes, from, one))) from++;
    if (from > limit) return false;
    from += one.length;
  }
  return true;
}
