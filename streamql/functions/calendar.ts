import { civilFromDays, daysFromCivil } from '../../src/values/datetime.ts';

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
export const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** The date of a moment, with what patterns ask of it. */
export interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly dayOfYear: number;
  /** 0 is Sunday. */
  readonly dayOfWeek: number;
  readonly isoYear: number;
  readonly isoWeek: number;
  readonly julian: number;
}

export const JULIAN_DAY_OF_1970 = 2_440_588;

/** 0 is Sunday. */
export const dayOfWeek = (days: number): number => (((days + 4) % 7) + 7) % 7;

/** ISO 8601: a week belongs to the year of its Thursday. */
export function isoWeek(days: number): { year: number; week: number } {
  const thursday = days - ((dayOfWeek(days) + 6) % 7) + 3;
  const { year } = civilFromDays(thursday);
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 };
}

/** The first day of an ISO week. */
export function isoWeekStart(year: number, week: number): number {
  const fourth = daysFromCivil(year, 1, 4);
  return fourth - ((dayOfWeek(fourth) + 6) % 7) + (week - 1) * 7;
}

export function dayOf(days: number): Day {
  const civil = civilFromDays(days);
  const iso = isoWeek(days);
  return {
    ...civil,
    dayOfYear: days - daysFromCivil(civil.year, 1, 1) + 1,
    dayOfWeek: dayOfWeek(days),
    isoYear: iso.year,
    isoWeek: iso.week,
    julian: days + JULIAN_DAY_OF_1970,
  };
}
