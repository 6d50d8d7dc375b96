import { StreamError } from '../../src/lib/errors.ts';
import { checkTimestamp, MICROS_PER_DAY } from '../../src/values/datetime.ts';
import {
  addExact,
  divideTruncating,
  type Exact,
  multiplyExact,
  remainderExact,
  subtractExact,
} from '../../src/values/decimal.ts';
import { addInterval, addIntervals, checkInterval, negateInterval } from '../../src/values/interval.ts';
import { datumToText } from '../../src/values/text.ts';
import {
  DATE,
  INTEGER,
  INTERVAL,
  type Interval,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  type TypeKind,
  typeName,
  VARCHAR,
} from '../../src/values/types.ts';
import { QUOTIENT_SCALE } from './aggregates.ts';
import * as math from './arithmetic.ts';
import { concatForm, joinForm } from './bytes/string-bytes.ts';
import { asDecimal } from './casts.ts';
import { duckdbFail } from './duckdb-fail.ts';
import type { ScalarFunction } from './function-table.ts';

type Decimal = { readonly precision: number; readonly scale: number };
const capped = (precision: number, scale: number): SqlType => ({
  kind: 'decimal',
  precision: Math.min(MAX_DECIMAL_PRECISION, precision),
  scale: Math.min(MAX_DECIMAL_PRECISION, scale),
});
const dec = (type: SqlType): Decimal => asDecimal(type);

/** Digits before the point of a decimal type. */
const whole = ({ precision, scale }: Decimal): number => precision - scale;

interface Arithmetic {
  readonly sign: string;
  readonly word: string;
  /** JS source over two numbers. */
  readonly double: string;
  readonly bigint: string;
  readonly small: string;
  readonly duckdb: string;
}

const ARITHMETIC: readonly Arithmetic[] = [
  { sign: '+', word: 'sum', double: 'finite(A + B, A, B)', bigint: 'addBigint(A, B)', small: 'A + B', duckdb: '+' },
  {
    sign: '-',
    word: 'difference',
    double: 'finite(A - B, A, B)',
    bigint: 'subtractBigint(A, B)',
    small: 'A - B',
    duckdb: '-',
  },
  {
    sign: '*',
    word: 'product',
    double: 'finite(A * B, A, B)',
    bigint: 'multiplyBigint(A, B)',
    small: 'A * B',
    duckdb: '*',
  },
  {
    sign: '/',
    word: 'quotient',
    double: 'divideDouble(A, B)',
    bigint: 'divideBigint(A, B)',
    small: 'divideBigint(A, B)',
    duckdb: '//',
  },
  {
    sign: '%',
    word: 'remainder',
    double: '',
    bigint: 'remainderInteger(A, B)',
    small: 'remainderInteger(A, B)',
    duckdb: '%',
  },
];

const HELPERS = { ...math } as Readonly<Record<string, unknown>>;

/** Names that `inline` texts may use; the expression compiler passes them in. */
export const INLINE_HELPERS = HELPERS;

/** A two-argument function from the same text that is pasted into generated code, so that both are one definition. */
function compileText(body: string): (a: any, b: any) => any {
  const names = Object.keys(HELPERS);
  const make = new Function(...names, `return (A, B) => (${body});`) as (
    ...helpers: unknown[]
  ) => (a: any, b: any) => any;
  return make(...names.map((name) => HELPERS[name]));
}

const paste = (body: string, args: readonly string[]): string =>
  `(${body.replace(/\bA\b/g, args[0]).replace(/\bB\b/g, args[1] ?? '')})`;

function sameKind(kind: TypeKind, { sign, word, duckdb }: Arithmetic, body: string): ScalarFunction {
  const run = compileText(body);
  return {
    name: sign,
    id: `${sign}.${kind}`,
    args: [kind, kind],
    returns: () => ({ kind }) as SqlType,
    call: ([a, b]) => run(a, b),
    inline: (args) => paste(body, args),
    duckdb: ([a, b]) => {
      if (kind === 'real' || kind === 'double') {
        const checked = inRange(a, b, `(${a} ${sign} ${b})`, kind);
        return sign === '/' ? zeroChecked(b, checked) : checked;
      }
      if (sign === '/') return zeroChecked(b, `(${a} // ${b})`);
      // The least integer % −1 overflows in DuckDB.
      if (sign === '%') return zeroChecked(b, `CASE WHEN ${b} = -1 THEN 0 ELSE (${a} % ${b}) END`);
      return `(${a} ${duckdb} ${b})`;
    },
    doc: `The ${word} of two ${kind} values.`,
  };
}

/** DuckDB yields NULL for a division by zero where Postgres fails. */
const zeroChecked = (divisor: string, value: string): string =>
  `CASE WHEN ${divisor} = 0 THEN error('division by zero') ELSE ${value} END`;

/** DuckDB goes on with an infinity where finite numbers have none for their result, and with 0 where a real is too small. */
function inRange(a: string, b: string, result: string, kind: 'real' | 'double'): string {
  const beyond = `isinf(${result}) AND isfinite(${a}) AND isfinite(${b})`;
  const vanished = `${result} = 0 AND ${a} <> 0 AND ${b} <> 0 AND isfinite(${b}) AND ${a} <> ${b} AND ${a} <> -${b}`;
  const wrong = kind === 'real' ? `(${beyond}) OR (${vanished})` : beyond;
  return `CASE WHEN ${wrong} THEN ${duckdbFail('VALUE_OVERFLOW', `the result is out of range for ${kind}`)} ELSE ${result} END`;
}

const numeric: ScalarFunction[] = ARITHMETIC.flatMap((row) => [
  sameKind('smallint', row, `int16(${row.small})`),
  sameKind('integer', row, `int32(${row.small})`),
  sameKind('bigint', row, row.bigint),
  ...(row.double === '' ? [] : [sameKind('real', row, `toReal(${row.double})`), sameKind('double', row, row.double)]),
]);

/** + and − at the larger scale, one digit more; × with the scales added; / with at least QUOTIENT_SCALE digits. */
const DECIMAL_TYPES: Readonly<Record<string, (a: Decimal, b: Decimal) => SqlType>> = {
  '+': (a, b) => capped(Math.max(whole(a), whole(b)) + Math.max(a.scale, b.scale) + 1, Math.max(a.scale, b.scale)),
  '-': (a, b) => capped(Math.max(whole(a), whole(b)) + Math.max(a.scale, b.scale) + 1, Math.max(a.scale, b.scale)),
  '*': (a, b) => capped(a.precision + b.precision, a.scale + b.scale),
  '/': (a, b) => capped(MAX_DECIMAL_PRECISION, Math.max(QUOTIENT_SCALE, a.scale, b.scale)),
  '%': (a, b) => capped(Math.max(whole(a), whole(b)) + Math.max(a.scale, b.scale), Math.max(a.scale, b.scale)),
};

/** JS source over two unscaled values; the result is checked against the result's precision. */
function decimalText(sign: string, [aText, bText]: readonly string[], types: readonly SqlType[]): string {
  const [a, b, result] = [dec(types[0]), dec(types[1]), dec(types[2])];
  const common = Math.max(a.scale, b.scale);
  const scaled = (text: string, scale: number): string =>
    scale === common ? text : `rescale(${text}, ${scale}, ${common})`;
  const checked = (value: string): string => `checkPrecision(${value}, ${result.precision}, ${result.scale})`;
  switch (sign) {
    case '+':
      return checked(`addDecimal(${scaled(aText, a.scale)}, ${scaled(bText, b.scale)})`);
    case '-':
      return checked(`subtractDecimal(${scaled(aText, a.scale)}, ${scaled(bText, b.scale)})`);
    case '*':
      return checked(`rescale(multiplyExact(${aText}, ${bText}), ${a.scale + b.scale}, ${result.scale})`);
    case '/':
      return checked(`divideDecimal(${aText}, ${a.scale}, ${bText}, ${b.scale}, ${result.scale})`);
    default:
      return `remainderInteger(${scaled(aText, a.scale)}, ${scaled(bText, b.scale)})`;
  }
}

const compiled = new Map<string, (a: any, b: any) => any>();

function decimalRow({ sign, word, duckdb }: Arithmetic): ScalarFunction {
  return {
    name: sign,
    id: `${sign}.decimal`,
    args: ['decimal', 'decimal'],
    returns: ([a, b]) => DECIMAL_TYPES[sign](dec(a), dec(b)),
    call: ([a, b], types) => {
      const text = decimalText(sign, ['A', 'B'], types);
      let run = compiled.get(text);
      if (run === undefined) {
        run = compileText(text);
        compiled.set(text, run);
      }
      return run(a, b);
    },
    inline: (args, types) => decimalText(sign, args, types),
    duckdb: ([a, b], types) => {
      if (sign === '%') return zeroChecked(b, `(${a} % ${b})`);
      if (sign !== '/') {
        // DuckDB computes decimals of up to 18 digits in 64 bits, and fails where the result has more.
        const { precision } = dec(types[2]);
        const wide = precision > 18 ? `CAST(${a} AS DECIMAL(38,${dec(types[0]).scale}))` : a;
        return `(${wide} ${duckdb} ${b})`;
      }
      return zeroChecked(b, duckdbQuotient(a, dec(types[0]).scale, b, dec(types[1]).scale, dec(types[2]).scale));
    },
    doc: `The ${word} of two decimals, exact${sign === '/' ? ` to ${QUOTIENT_SCALE} or more digits after the point` : ''}.`,
  };
}

/** Exact quotient in DuckDB, whose `/` on decimals is a double: integers, rounded half away from zero. */
export function duckdbQuotient(a: string, aScale: number, b: string, bScale: number, scale: number): string {
  // By way of text: a multiplication by 10^digits overflows where the digits themselves still fit.
  const unscaled = (text: string, digits: number): string =>
    `CAST(replace(CAST(CAST(${text} AS DECIMAL(38,${digits})) AS VARCHAR), '.', '') AS HUGEINT)`;
  const shift = scale + bScale - aScale;
  const n = `(${unscaled(a, aScale)}${shift > 0 ? ` * CAST('1${'0'.repeat(shift)}' AS HUGEINT)` : ''})`;
  const d = unscaled(b, bScale);
  const rounded = `CASE WHEN (${n} < 0) = (${d} < 0) THEN 1 ELSE -1 END * ((abs(${n}) + abs(${d}) // 2) // abs(${d}))`;
  return `CAST((${rounded}) AS DECIMAL(38,0)) * CAST('0.${'0'.repeat(scale - 1)}1' AS DECIMAL(${scale},${scale}))`;
}

const negations: ScalarFunction[] = (['smallint', 'integer', 'bigint', 'decimal', 'real', 'double'] as const).map(
  (kind) => {
    const body = {
      smallint: 'int16(0 - A)',
      integer: 'int32(0 - A)',
      bigint: 'negateBigint(A)',
      decimal: 'negateExact(A)',
      real: '-A',
      double: '-A',
    }[kind];
    const run = compileText(body);
    return {
      name: '-',
      id: `negate.${kind}`,
      args: [kind],
      returns: ([type]) => type,
      call: ([a]) => run(a, undefined),
      inline: (args) => paste(body, args),
      duckdb: ([a]) => `(-(${a}))`,
      doc: 'The negative.',
    };
  },
);

type TimeKind = 'timestamp' | 'timestamptz';

const withIntervals: ScalarFunction[] = (['timestamp', 'timestamptz'] as TimeKind[]).flatMap(
  (kind): ScalarFunction[] => [
    {
      name: '+',
      id: `+.${kind}.interval`,
      args: [kind, 'interval'],
      returns: () => ({ kind }),
      call: ([a, b]) => addInterval(a, b),
      duckdb: ([a, b]) => `(${a} + ${b})`,
      doc: 'The moment that much later; months keep the day where the month has it.',
    },
    {
      name: '+',
      id: `+.interval.${kind}`,
      args: ['interval', kind],
      returns: () => ({ kind }),
      call: ([a, b]) => addInterval(b, a),
      duckdb: ([a, b]) => `(${b} + ${a})`,
      doc: 'The moment that much later.',
    },
    {
      name: '-',
      id: `-.${kind}.interval`,
      args: [kind, 'interval'],
      returns: () => ({ kind }),
      call: ([a, b]) => addInterval(a, negateInterval(b)),
      duckdb: ([a, b]) => `(${a} - ${b})`,
      doc: 'The moment that much earlier.',
    },
    {
      name: '-',
      id: `-.${kind}`,
      args: [kind, kind],
      returns: () => INTERVAL,
      call: ([a, b]) => {
        const micros = subtractExact(a, b);
        const days = Number(divideTruncating(micros, MICROS_PER_DAY));
        return checkInterval(0, days, Number(remainderExact(micros, MICROS_PER_DAY)));
      },
      duckdb: ([a, b]) => {
        const micros = `(epoch_us(${a}) - epoch_us(${b}))`;
        return `(to_days(CAST(${micros} // ${MICROS_PER_DAY} AS INTEGER)) + to_microseconds(${micros} % ${MICROS_PER_DAY}))`;
      },
      doc: 'The time between two moments, in days and a time of day.',
    },
  ],
);

const times: ScalarFunction[] = [
  ...withIntervals,
  {
    name: '+',
    id: '+.date.integer',
    args: ['date', 'integer'],
    returns: () => DATE,
    call: ([a, b]) => math.checkDate(a + b),
    inline: ([a, b]) => `checkDate(${a} + ${b})`,
    duckdb: ([a, b]) => `(${a} + ${b})`,
    doc: 'The date that many days later.',
  },
  {
    name: '-',
    id: '-.date.integer',
    args: ['date', 'integer'],
    returns: () => DATE,
    call: ([a, b]) => math.checkDate(a - b),
    inline: ([a, b]) => `checkDate(${a} - ${b})`,
    duckdb: ([a, b]) => `(${a} - ${b})`,
    doc: 'The date that many days earlier.',
  },
  {
    name: '-',
    id: '-.date.date',
    args: ['date', 'date'],
    returns: () => INTEGER,
    call: ([a, b]) => math.int32(a - b),
    inline: ([a, b]) => `int32(${a} - ${b})`,
    duckdb: ([a, b]) => `CAST(${a} - ${b} AS INTEGER)`,
    doc: 'The days between two dates.',
  },
  {
    name: '+',
    id: '+.interval',
    args: ['interval', 'interval'],
    returns: () => INTERVAL,
    call: ([a, b]: [Interval, Interval]) => addIntervals(a, b),
    duckdb: ([a, b]) => `(${a} + ${b})`,
    doc: 'The sum of two intervals.',
  } as ScalarFunction,
  {
    name: '-',
    id: '-.interval',
    args: ['interval', 'interval'],
    returns: () => INTERVAL,
    call: ([a, b]) => addIntervals(a, negateInterval(b)),
    duckdb: ([a, b]) => `(${a} - ${b})`,
    doc: 'The difference of two intervals.',
  },
  {
    name: '*',
    id: '*.interval.bigint',
    args: ['interval', 'bigint'],
    returns: () => INTERVAL,
    call: ([a, b]: [Interval, Exact]) =>
      checkInterval(a.months * Number(b), a.days * Number(b), Number(multiplyExact(a.micros, b))),
    duckdb: ([a, b]) => `(${a} * ${b})`,
    doc: 'The interval that many times.',
  } as ScalarFunction,
  {
    name: '+',
    id: '+.date.time',
    args: ['date', 'time'],
    returns: () => ({ kind: 'timestamp' }),
    call: ([a, b]) => checkTimestamp(addExact(multiplyExact(a, MICROS_PER_DAY), b)),
    duckdb: ([a, b]) => `(${a} + ${b})`,
    doc: 'The moment of a date and a time of day.',
  },
];

const text: ScalarFunction[] = [
  {
    name: '||',
    id: '||.varchar',
    args: ['varchar', 'varchar'],
    returns: () => VARCHAR,
    call: ([a, b]) => a + b,
    inline: ([a, b]) => `(${a} + ${b})`,
    bytes: joinForm,
    duckdb: ([a, b]) => `(${a} || ${b})`,
    doc: 'One text after the other.',
  },
  {
    name: '||',
    id: '||.varchar.any',
    args: ['varchar', 'any'],
    returns: () => VARCHAR,
    call: ([a, b], types) => a + textOf(b, types[1]),
    bytes: concatForm(textOf),
    doc: 'A text followed by the text of a value.',
    duckdb: ([a, b], types) => `(${a} || ${duckdbText(b, types[1])})`,
  },
  {
    name: '||',
    id: '||.any.varchar',
    args: ['any', 'varchar'],
    returns: () => VARCHAR,
    call: ([a, b], types) => textOf(a, types[0]) + b,
    bytes: concatForm(textOf),
    doc: 'The text of a value followed by a text.',
    duckdb: ([a, b], types) => `(${duckdbText(a, types[0])} || ${b})`,
  },
];

/** The same as `datumToText` has it: concat and format write t and f where `||` and casts write true and false. */
export const duckdbOutput = (text: string, type: SqlType): string =>
  type.kind === 'boolean' ? `left(CAST(${text} AS VARCHAR), 1)` : duckdbText(text, type);

/** A value's text in DuckDB, as `textOf` has it. */
export function duckdbText(text: string, type: SqlType): string {
  const plain = `CAST(${text} AS VARCHAR)`;
  switch (type.kind) {
    case 'varchar':
      return text;
    case 'real':
    case 'double':
      return duckdbDoubleText(text, plain, type.kind === 'real' ? 6 : 15);
    case 'bytea':
      return `('\\x' || lower(hex(${text})))`;
    case 'date':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
    case 'array':
    case 'row':
    case 'map':
      throw new StreamError('SQL_UNSUPPORTED', `the text of a value of type ${typeName(type)} is made in views only`);
    default:
      return plain;
  }
}

/** DuckDB writes `1.0` and has exponents from 10^16 on where Postgres writes `1` and begins with 10^15 (real: 10^6). */
function duckdbDoubleText(text: string, plain: string, exponentFrom: number): string {
  const size = `abs(${text})`;
  const mantissa = `rtrim(rtrim(CAST(CAST(${size} AS DECIMAL(38,0)) AS VARCHAR), '0'), '.')`;
  const exponent = `(length(CAST(CAST(${size} AS DECIMAL(38,0)) AS VARCHAR)) - 1)`;
  const scientific = `CASE WHEN ${text} < 0 THEN '-' ELSE '' END || ${mantissa}[1] || CASE WHEN length(${mantissa}) > 1 THEN '.' || ${mantissa}[2:] ELSE '' END || 'e+' || lpad(CAST(${exponent} AS VARCHAR), 2, '0')`;
  const trimmed = `regexp_replace(${plain}, '\\.0$', '')`;
  const special = `CASE ${plain} WHEN 'nan' THEN 'NaN' WHEN '-nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' ELSE ${trimmed} END`;
  return `CASE WHEN ${size} >= 1e${exponentFrom} AND ${size} < 1e16 THEN ${scientific} ELSE ${special} END`;
}

export function textOf(datum: any, type: SqlType): string {
  return type.kind === 'boolean' ? String(datum) : datumToText(datum, type);
}

export const OPERATORS: readonly ScalarFunction[] = [
  ...numeric,
  ...ARITHMETIC.map(decimalRow),
  ...negations,
  ...times,
  ...text,
];
