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

const POWERS_OF_TEN = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

/** Reads timestamps of a stream, in which most are in the same minute as the one before. */
export class TimestampReader {
  /** What `read` found: a place for a double costs less than one that is returned. */
  readonly micros = new Float64Array(1);
  /** The text of the last minute, `YYYY-MM-DD HH:MM`, four bytes at a time, and its microseconds since 1970. */
  #first = -1;
  #second = -1;
  #third = -1;
  #fourth = -1;
  #minute = Number.NaN;

  /**
   * `YYYY-MM-DD HH:MM:SS[.f…]`, or with `T`, and an optional `Z`, filling `b[p..end)`: microseconds since 1970 into `micros` (fractions of
   * up to 6 digits). False when it is anything else.
   */
  read(b: Uint8Array, view: DataView, p: number, end: number): boolean {
    const length = end - p;
    if (length < 19 || length > 27) return false;
    if (
      (view.getInt32(p, true) !== this.#first ||
        view.getInt32(p + 4, true) !== this.#second ||
        view.getInt32(p + 8, true) !== this.#third ||
        view.getInt32(p + 12, true) !== this.#fourth) &&
      !this.#enterMinute(b, view, p)
    )
      return false;
    const tens = b[p + 17] - 48;
    const ones = b[p + 18] - 48;
    if (b[p + 16] !== 58 || tens < 0 || tens > 5 || ones < 0 || ones > 9) return false;
    let fraction = 0;
    let q = p + 19;
    if (q < end && b[q] === 46) {
      const fractionStart = ++q;
      for (; q < end && b[q] >= 48 && b[q] <= 57; q++) fraction = fraction * 10 + (b[q] - 48);
      const digits = q - fractionStart;
      if (digits === 0 || digits > 6) return false;
      fraction *= POWERS_OF_TEN[6 - digits];
    }
    if (q < end && b[q] === 90) q++;
    if (q !== end) return false;
    const total = this.#minute + (tens * 10 + ones) * 1_000_000 + fraction;
    // Before 1684 and after 2255 the datum is a bigint.
    if (!Number.isSafeInteger(total)) return false;
    this.micros[0] = total;
    return true;
  }

  #enterMinute(b: Uint8Array, view: DataView, p: number): boolean {
    const days = dateAt(b, p);
    const hour = twoDigits(b, p + 11);
    const minute = twoDigits(b, p + 14);
    const separator = b[p + 10];
    if ((separator !== 32 && separator !== 84) || b[p + 13] !== 58) return false;
    if (Number.isNaN(days) || !(hour <= 23 && minute <= 59)) return false;
    this.#first = view.getInt32(p, true);
    this.#second = view.getInt32(p + 4, true);
    this.#third = view.getInt32(p + 8, true);
    this.#fourth = view.getInt32(p + 12, true);
    this.#minute = days * MICROS_PER_DAY + (hour * 60 + minute) * 60_000_000;
    return true;
  }
}
