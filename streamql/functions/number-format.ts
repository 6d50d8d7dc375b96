import { StreamError } from '../../src/lib/errors.ts';
import { type Exact, formatDecimal, parseDecimal, rescale } from '../../src/values/decimal.ts';
import { VARCHAR } from '../../src/values/types.ts';
import { asDecimal } from './casts.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** to_char of numbers, by Postgres's patterns: 9 0 . , D G S MI PL PR FM $ L and quoted texts. */

interface Pattern {
  readonly parts: readonly string[];
  readonly whole: number;
  readonly fraction: number;
  /** Places of the whole part, from the left, from which on zeros are shown. */
  readonly zeroFrom: number;
  readonly fill: boolean;
  /** `front` and `S` stand before the first digit, or S behind the number; SG and MI where they are written; PL is beside the sign in front. */
  readonly sign: 'front' | 'S' | 'SG' | 'MI' | 'PL' | 'PR';
}

const WORDS = [
  'FM',
  'MI',
  'PL',
  'PR',
  'SG',
  '9',
  '0',
  '.',
  ',',
  'D',
  'G',
  'S',
  '$',
  'L',
  ' ',
  '-',
  '+',
  '/',
  ':',
  '%',
  '#',
  '(',
  ')',
];

function patternOf(text: string): Pattern {
  const parts: string[] = [];
  let whole = 0;
  let fraction = 0;
  let zeroFrom = Number.POSITIVE_INFINITY;
  let point = false;
  let sign: Pattern['sign'] = 'front';
  let fill = true;
  for (let i = 0; i < text.length; ) {
    if (text[i] === '"') {
      const end = text.indexOf('"', i + 1);
      if (end < 0) throw new StreamError('VALUE_DOMAIN', 'to_char: the pattern has an unclosed quote');
      parts.push(text.slice(i, end));
      i = end + 1;
      continue;
    }
    const word = WORDS.find((one) => text.slice(i, i + one.length).toUpperCase() === one);
    if (word === undefined)
      throw new StreamError('VALUE_DOMAIN', `to_char: ${text[i]} in a pattern of numbers is not supported`);
    i += word.length;
    if (word === 'FM') fill = false;
    else if (word === 'S' || word === 'SG' || word === 'MI' || word === 'PL' || word === 'PR') {
      sign = word;
      parts.push(word);
    } else if (word === '.' || word === 'D') {
      if (point) throw new StreamError('VALUE_DOMAIN', 'to_char: a pattern has one point');
      point = true;
      parts.push('.');
    } else {
      if (word === '0' && !point) zeroFrom = Math.min(zeroFrom, whole);
      if (word === '9' || word === '0') {
        if (point) fraction++;
        else whole++;
      }
      parts.push(word === 'G' ? ',' : word === 'L' ? '$' : word);
    }
  }
  return { parts, whole, fraction, zeroFrom, fill, sign };
}

/** The number as the pattern shows it; # in every place where the whole part does not fit. */
export function formatNumber(value: Exact, scale: number, text: string): string {
  const pattern = patternOf(text);
  const rounded = rescale(value, scale, pattern.fraction);
  const negative = rounded < 0;
  const [digits, behind = ''] = formatDecimal(negative ? -rounded : rounded, pattern.fraction).split('.');
  const fits = digits.length <= pattern.whole || digits === '0';
  const shown = digits === '0' && pattern.fraction > 0 ? '' : digits;
  const padded = shown.padStart(pattern.whole, ' ');
  let out = '';
  let place = 0;
  let begun = false;
  let at = 0;
  let inFraction = false;
  // A sign in front stands before the first digit.
  const plain = negative ? '-' : pattern.fill ? ' ' : '';
  const leads = pattern.sign === 'S' && pattern.parts.indexOf('S') < pattern.parts.findIndex(isDigit);
  const front = pattern.sign === 'front' || pattern.sign === 'PL' ? plain : leads ? (negative ? '-' : '+') : '';
  const begin = (): void => {
    if (begun) return;
    begun = true;
    out += front;
  };
  for (const part of pattern.parts) {
    if (part === '9' || part === '0') {
      if (inFraction) out += fits ? behind[at++] : '#';
      else if (!fits) {
        begin();
        out += '#';
        place++;
      } else {
        const digit = padded[place];
        if (digit !== ' ' || place >= pattern.zeroFrom) {
          begin();
          out += digit === ' ' ? '0' : digit;
        } else if (pattern.fill) out += ' ';
        place++;
      }
    } else if (part === '.') {
      begin();
      inFraction = true;
      if (pattern.fraction > 0) out += '.';
    } else if (part === ',') {
      if (begun) out += ',';
      else if (pattern.fill) out += ' ';
    } else if (part === 'S') out += leads ? '' : negative ? '-' : '+';
    else if (part === 'SG') out += negative ? '-' : '+';
    else if (part === 'MI') out += negative ? '-' : pattern.fill ? ' ' : '';
    else if (part === 'PL') out += negative ? (pattern.fill ? ' ' : '') : '+';
    else if (part === 'PR') out = bracketed(out, negative, pattern.fill);
    else out += part.startsWith('"') ? part.slice(1) : part;
  }
  begin();
  if (pattern.fill) return out;
  const trimmed = out.replace(/^ +/, '').replace(/(\.\d*?)0+$/, trimmedFraction(pattern));
  return trimmed.replace(/^([-+]?)\.$/, '$1' + '0.');
}

const isDigit = (part: string): boolean => part === '9' || part === '0';

/** With FM zeros behind the point go unless a 0 asks for them. */
const trimmedFraction = ({ parts }: Pattern): string => (parts.lastIndexOf('0') > parts.indexOf('.') ? '$&' : '$1');

function bracketed(out: string, negative: boolean, fill: boolean): string {
  if (!negative) return fill ? ` ${out} ` : out;
  const from = out.search(/[^ ]/);
  return `${out.slice(0, from)}<${out.slice(from)}>`;
}

/** Digits behind the point that are kept of a double. */
const DOUBLE_SCALE = 20;

function decimalOf(x: number): Exact {
  const exact = Number.isFinite(x) ? parseDecimal(x.toPrecision(15), DOUBLE_SCALE) : undefined;
  if (exact === undefined) throw new StreamError('VALUE_OVERFLOW', `to_char: ${x} is no number that can be shown`);
  return exact;
}

export const NUMBER_FORMATS: readonly ScalarFunction[] = [
  own(
    'to_char(decimal, varchar)',
    VARCHAR,
    'A number by a Postgres pattern: 9 a digit, 0 a digit shown also where it is 0, . D the point, , G groups, S MI PL PR the sign, FM without filling.',
    ([x, pattern], [type]) => formatNumber(x, asDecimal(type).scale, pattern),
    ["to_char(12454.8, '99,999.99')", ' 12,454.80'],
  ),
  own(
    'to_char(double, varchar)',
    VARCHAR,
    'The same of the 15 digits that a double has.',
    ([x, pattern]) => formatNumber(decimalOf(x), DOUBLE_SCALE, pattern),
    ["to_char(-1234.5::double, '9,999.99')", '-1,234.50'],
  ),
];
