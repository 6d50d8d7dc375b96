import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTimestamp, parseTimestamp } from '../../../src/values/datetime.ts';
import { timeZone } from '../../../src/values/time-zone.ts';

const at = (text: string) => parseTimestamp(text)!.micros;

describe('time zones', () => {
  test.each([
    ['Europe/Berlin', '2024-01-01 00:00:00', '2024-01-01 01:00:00'],
    ['Europe/Berlin', '2024-07-01 00:00:00', '2024-07-01 02:00:00'],
    ['Asia/Kathmandu', '2024-07-01 00:00:00', '2024-07-01 05:45:00'],
    ['America/New_York', '2024-03-10 06:59:59', '2024-03-10 01:59:59'],
    ['America/New_York', '2024-03-10 07:00:00', '2024-03-10 03:00:00'],
    ['utc', '2024-07-01 00:00:00', '2024-07-01 00:00:00'],
  ])('%s: %s is %s there', (zone, utc, local) => {
    expect(formatTimestamp(timeZone(zone).toLocal(at(utc)))).toBe(local);
    expect(formatTimestamp(timeZone(zone).toUtc(at(local)))).toBe(utc);
  });

  test.each([
    // As Postgres: not there counts by the offset before, twice there by the later offset.
    ['America/New_York', '2024-03-10 02:30:00', '2024-03-10 07:30:00'],
    ['America/New_York', '2024-11-03 01:30:00', '2024-11-03 06:30:00'],
    ['Europe/Berlin', '2024-03-31 02:30:00', '2024-03-31 01:30:00'],
    ['Europe/Berlin', '2024-10-27 02:30:00', '2024-10-27 01:30:00'],
  ])('%s: %s is %s in UTC', (zone, local, utc) => {
    expect(formatTimestamp(timeZone(zone).toUtc(at(local)))).toBe(utc);
  });

  test('there and back', () => {
    const zones = fc.constantFrom(
      'Europe/London',
      'America/Sao_Paulo',
      'Australia/Lord_Howe',
      'Asia/Tehran',
      'Pacific/Apia',
    );
    fc.assert(
      fc.property(zones, fc.integer({ min: -2_000_000_000, max: 4_000_000_000 }), (name, seconds) => {
        const zone = timeZone(name);
        const local = zone.toLocal(seconds * 1_000_000);
        // Twice-there times come back as the later one; all others as they were.
        expect(zone.toLocal(zone.toUtc(local))).toBe(local);
      }),
      { numRuns: 200 },
    );
  });

  test.each(['Nowhere/Town', '+02:00', '', '5'])('no zone: %s', (name) => {
    expect(() => timeZone(name)).toThrow(expect.objectContaining({ code: 'VALUE_DOMAIN' }));
  });
});
