import { StreamError } from '../lib/errors.ts';
import { daysFromCivil, MICROS_PER_DAY, MICROS_PER_SECOND, splitTimestamp } from './datetime.ts';
import { addExact, type Exact, subtractExact } from './decimal.ts';

/** Time zones of the IANA database, as the runtime's ICU has it. Offsets are microseconds east of UTC. */

/** Offsets change at quarters of an hour only. */
const QUARTER = 900 * MICROS_PER_SECOND;
/** Quarters of an hour whose offsets a zone remembers. */
const REMEMBERED = 4096;

export class TimeZone {
  readonly #format: Intl.DateTimeFormat;
  readonly #known = new Map<number, number>();
  #lastQuarter = Number.NaN;
  #lastOffset = 0;

  /** VALUE_DOMAIN for a name that no zone has. */
  constructor(name: string) {
    try {
      // An offset alone is refused: Postgres counts it to the west in a text, and everybody else to the east.
      if (!/^[A-Za-z]/.test(name)) throw new RangeError(name);
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        era: 'short',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch {
      throw new StreamError('VALUE_DOMAIN', `there is no time zone ${name.slice(0, 60)}`, {
        hint: "name a region such as 'Europe/Berlin', or give the offset as an interval",
      });
    }
  }

  /** At a moment in UTC. */
  offsetAt(utc: Exact): number {
    const { days, time } = splitTimestamp(utc);
    const quarter = days * 96 + Math.floor(time / QUARTER);
    if (quarter === this.#lastQuarter) return this.#lastOffset;
    let offset = this.#known.get(quarter);
    if (offset === undefined) {
      offset = this.#ask(quarter);
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(quarter, offset);
    }
    this.#lastQuarter = quarter;
    this.#lastOffset = offset;
    return offset;
  }

  toLocal(utc: Exact): Exact {
    return addExact(utc, this.offsetAt(utc));
  }

  /** As Postgres: a time that is not there counts by the offset before the gap, one that is there twice by the later offset. */
  toUtc(local: Exact): Exact {
    const before = this.offsetAt(subtractExact(local, MICROS_PER_DAY));
    const after = this.offsetAt(addExact(local, MICROS_PER_DAY));
    const early = subtractExact(local, before);
    const late = subtractExact(local, after);
    if (before === after || this.offsetAt(late) === after) return late;
    return early;
  }

  #ask(quarter: number): number {
    const seconds = quarter * 900;
    // Beyond what a Date can hold the zone is as at its end.
    const bounded = Math.min(Math.max(seconds, -8.64e12), 8.64e12);
    const at: Record<string, number> = {};
    let era = 'AD';
    for (const { type, value } of this.#format.formatToParts(bounded * 1000)) {
      if (type === 'era') era = value;
      else at[type] = Number(value);
    }
    const year = era.startsWith('B') ? 1 - at['year'] : at['year'];
    const days = daysFromCivil(year, at['month'], at['day']);
    const local = days * 86_400 + at['hour'] * 3600 + at['minute'] * 60 + at['second'];
    return (local - bounded) * MICROS_PER_SECOND;
  }
}

const zones = new Map<string, TimeZone>();
const MAX_ZONES = 1000;

export function timeZone(name: string): TimeZone {
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = new TimeZone(name);
    if (zones.size >= MAX_ZONES) zones.clear();
    zones.set(name, zone);
  }
  return zone;
}
