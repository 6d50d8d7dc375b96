import { describe, expect, test } from 'vitest';
import { DebeziumEvents, DebeziumRows } from '../../src/formats/debezium/debezium.ts';
import {
  DATE,
  decimal,
  INTERVAL,
  JSONB,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  VARCHAR,
} from '../../src/values/types.ts';
import { column, rowsOf } from './decode.ts';

function read(event: unknown) {
  const events = new DebeziumEvents();
  const bytes = Buffer.from(typeof event === 'string' ? event : JSON.stringify(event));
  if (!events.read(bytes, 0, bytes.length)) return events.error;
  const text = ({ start, end }: { start: number; end: number }) =>
    start < 0 ? null : bytes.toString('utf8', start, end);
  return [events.change, text(events.before), text(events.after), text(events.schema)];
}

describe('debezium', () => {
  test('what an event changes', () => {
    expect(read({ before: null, after: { a: 1 }, op: 'c' })).toEqual(['put', null, '{"a":1}', null]);
    expect(read({ before: null, after: { a: 1 }, op: 'r', source: {}, ts_ms: 1 })).toEqual([
      'put',
      null,
      '{"a":1}',
      null,
    ]);
    expect(read({ before: { a: 1 }, after: { a: 2 }, op: 'u' })).toEqual(['put', '{"a":1}', '{"a":2}', null]);
    expect(read({ before: { a: 1 }, after: null, op: 'd' })).toEqual(['delete', '{"a":1}', null, null]);
    expect(read({ schema: { type: 'struct' }, payload: { after: { a: 1 }, op: 'c' } })).toEqual([
      'put',
      null,
      '{"a":1}',
      '{"type":"struct"}',
    ]);
    expect(read({ schema: null, payload: null })).toEqual(['delete', null, null, null]);
    expect(read({ op: 'm', message: {} })).toEqual(['none', null, null, null]);
    expect(read({ op: 't' })).toMatch(/TRUNCATE is not applied/);
    expect(read({ op: 'x' })).toMatch(/op "x" is unknown/);
    expect(read({ op: 'c', after: null })).toMatch(/has no "after"/);
    expect(read({ id: 1 })).toMatch(/no event of Debezium/);
    expect(read('{"op":')).toMatch(/malformed at byte/);
    expect(read({ op: 'u', after: { id: 1, big: '__debezium_unavailable_value' } })).toMatch(/REPLICA IDENTITY FULL/);
  });

  test('numbers and texts mean what the schema says', () => {
    const field = (name: string, semantic: string, more = {}) => ({
      field: name,
      type: 'int64',
      name: semantic,
      ...more,
    });
    const time = 'io.debezium.time.';
    const cases: [string, SqlType, string, object, unknown, unknown][] = [
      ['d', DATE, `${time}Date`, {}, 19000, 19000],
      ['t', TIME, `${time}MicroTime`, {}, 1_000_001, 1_000_001],
      ['tn', TIME, `${time}NanoTime`, {}, 1_999, 1],
      ['tm', TIME, 'org.apache.kafka.connect.data.Time', {}, 5, 5000],
      ['a', TIMESTAMP, `${time}Timestamp`, {}, 7, 7000],
      ['b', TIMESTAMP, `${time}MicroTimestamp`, {}, 1_500_000_000_000_001, 1_500_000_000_000_001],
      ['c', TIMESTAMP, `${time}NanoTimestamp`, {}, -1, -1],
      ['z', TIMESTAMPTZ, `${time}ZonedTimestamp`, {}, '2020-01-01T00:00:00.5Z', 1_577_836_800_500_000],
      ['n', decimal(10, 3), 'org.apache.kafka.connect.data.Decimal', { parameters: { scale: '2' } }, 'AfQ=', 5000],
      ['v', decimal(10, 1), 'io.debezium.data.VariableScaleDecimal', {}, { scale: 1, value: '/w==' }, -1],
      ['j', JSONB, 'io.debezium.data.Json', {}, '{"b": 1, "a":2}', '{"a":2,"b":1}'],
      ['i', INTERVAL, `${time}MicroDuration`, {}, 3, { months: 0, days: 0, micros: 3 }],
      ['e', VARCHAR, 'io.debezium.data.Enum', {}, 'x', 'x'],
    ];
    const after = {
      field: 'after',
      type: 'struct',
      fields: cases.map(([name, , semantic, more]) => field(name, semantic, more)),
    };
    const event = {
      schema: { type: 'struct', fields: [{ field: 'before', type: 'struct' }, after] },
      payload: { op: 'c', after: Object.fromEntries(cases.map(([name, , , , value]) => [name, value])) },
    };
    const bytes = Buffer.from(JSON.stringify(event));
    const events = new DebeziumEvents();
    expect(events.read(bytes, 0, bytes.length)).toBe(true);
    const rows = new DebeziumRows(
      cases.map(([name, type]) => column(name, type)),
      'ms',
    );
    rows.useSchema(bytes, events.schema);
    for (let i = 0; i < 4; i++)
      expect([rows.decode(bytes, events.after.start, events.after.end), rows.error]).toEqual([true, '']);
    const expected = cases.map(([, , , , , datum]) => datum);
    expect(rowsOf(rows.finish())).toEqual([expected, expected, expected, expected]);
  });

  test('without a schema numbers are days and the given unit', () => {
    const bytes = Buffer.from('{"d":1,"t":2,"a":3,"n":"1.5"}');
    const columns = [column('d', DATE), column('t', TIME), column('a', TIMESTAMP), column('n', decimal(5, 2))];
    for (const [unit, expected] of [
      ['ms', [1, 2000, 3000, 150]],
      ['us', [1, 2, 3, 150]],
      ['ns', [1, 0, 0, 150]],
    ] as const) {
      const rows = new DebeziumRows(columns, unit);
      expect(rows.decode(bytes, 0, bytes.length)).toBe(true);
      expect(rowsOf(rows.finish())).toEqual([expected]);
    }
  });
});
