/**
 * Dates and times read straight from bytes, for the shapes that nearly all producers write. Anything else, valid or not,
 * is NaN and takes the way through text (values/datetime.ts).
 */
import { daysFromCivil, daysInMonth, MICROS_PER_DAY } from '../../values/datetime.ts';

const digit = (b: Uint8Array, p: number): number => {
  const d = b[p] - 48;
  return d >= 0 && d <= 9 ? d : Number.NaN;
};

const twoDigits = (b: Uint8Array, p: number): number => digit(b, p) * 10 + digit(b, p + 1);

/** `YYYY-MM-DD` at `p`, years 1 to 9999, as days since 1970; NaN when it is not one. */
export function dateAt(b: Uint8Array, p: number): number {
  const year = twoDigits(b, p) * 100 + twoDigits(b, p + 2);
  const month = twoDigits(b, p + 5);
  const day = twoDigits(b, p + 8);
  if (b[p + 4] !== 45 || b[p + 7] !== 45) return Number.NaN;
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return Number.NaN;
  return daysFromCivil(year, month, day);
}

/** Reads timestamps of a stream, in which most have the date of the one before. */
export class TimestampReader {
  /** The text of the last date (year, first digit of the month, the rest) and its days since 1970. */
  #yearText = -1;
  #monthTens = -1;
  #dayText = -1;
  #days = 0;

  /**
   * `YYYY-MM-DD HH:MM:SS[.f…]`, or with `T`, and an optional `Z`, filling `b[p..end)`: microseconds since 1970 (fractions of up to 6
   * digits), NaN when it is anything else.
   */
  read(b: Uint8Array, view: DataView, p: number, end: number): number {
    const length = end - p;
    if (length < 19 || length > 27) return Number.NaN;
    const yearText = view.getInt32(p, true);
    const dayText = view.getInt32(p + 6, true);
    if (yearText !== this.#yearText || dayText !== this.#dayText || b[p + 4] !== 45 || b[p + 5] !== this.#monthTens) {
      const days = dateAt(b, p);
      if (Number.isNaN(days)) return Number.NaN;
      this.#yearText = yearText;
      this.#dayText = dayText;
      this.#monthTens = b[p + 5];
      this.#days = days;
    }
    const separator = b[p + 10];
    if ((separator !== 32 && separator !== 84) || b[p + 13] !== 58 || b[p + 16] !== 58) return Number.NaN;
    const hour = twoDigits(b, p + 11);
    const minute = twoDigits(b, p + 14);
    const second = twoDigits(b, p + 17);
    if (!(hour <= 23 && minute <= 59 && second <= 59)) return Number.NaN;
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    let q = p + 19;
    if (q < end && b[q] === 46) {
      let scale = 100_000;
      const fractionStart = ++q;
      for (; q < end && b[q] >= 48 && b[q] <= 57; q++) {
        if (scale < 1) return Number.NaN;
        micros += (b[q] - 48) * scale;
        scale = scale === 1 ? 0 : scale / 10;
      }
      if (q === fractionStart) return Number.NaN;
    }
    if (q < end && b[q] === 90) q++;
    if (q !== end) return Number.NaN;
    const total = this.#days * MICROS_PER_DAY + micros;
    // Before 1684 and after 2255 the datum is a bigint.
    return Number.isSafeInteger(total) ? total : Number.NaN;
  }
}
