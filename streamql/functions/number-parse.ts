import { StreamError } from '../../src/lib/errors.ts';
import { parseDecimal } from '../../src/values/decimal.ts';
import { decimal } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

const DIGITS = 38;
const SCALE = 18;

/** to_number of Postgres: the digits, point and sign of a text, whatever else a pattern of to_char would put between them. */
function toNumber(text: string, pattern: string): number | bigint {
  if (/[^0-9.,$ \-+]|EEEE|RN|TH|V/i.test(pattern.replace(/FM|MI|PL|PR|SG|[DGSL]/gi, ' ').replace(/"[^"]*"/g, ' ')))
    throw new StreamError('VALUE_DOMAIN', `to_number: the pattern ${pattern} is not supported`, {
      hint: 'there are 9 0 . , D G S MI PL PR SG FM $ L and quoted texts',
    });
  const inBrackets = /PR/i.test(pattern) && /^\s*<.*>\s*$/.test(text);
  const negative = inBrackets || text.includes('-');
  const point = /[.D]/i.test(pattern.replace(/"[^"]*"/g, ''));
  const [whole, ...fraction] = text.replace(/[^0-9.]/g, '').split('.');
  const behind = point ? fraction.join('') : '';
  if (whole === '' && behind === '')
    throw new StreamError('VALUE_CAST', `to_number: there is no number in "${text}"`, {
      hint: 'filter such texts out',
    });
  const places = (
    pattern
      .replace(/"[^"]*"/g, '')
      .split(/[.D]/i)[1]
      ?.match(/[90]/g) ?? []
  ).length;
  const number = parseDecimal(`${negative ? '-' : ''}${whole || '0'}.${behind.slice(0, places) || '0'}`, SCALE);
  if (number === undefined || whole.length > DIGITS - SCALE)
    throw new StreamError(
      'VALUE_OVERFLOW',
      `to_number: "${text}" has more than ${DIGITS - SCALE} digits before the point`,
    );
  return number;
}

export const NUMBER_PARSES: readonly ScalarFunction[] = [
  own(
    'to_number(varchar, varchar)',
    decimal(DIGITS, SCALE),
    'The number that a text holds, by a pattern of to_char.',
    ([text, pattern]) => toNumber(text, pattern),
    ["to_number('12,454.8-', '99G999D9S')", '-12454.800000000000000000'],
  ),
];
