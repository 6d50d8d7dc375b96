import { expect, test } from 'vitest';
import { formatNumber } from '../../../streamql/functions/number-format.ts';

/** Examples of Postgres's manual, table 9.28. */
test.each([
  ['-0.1', '99.99', '  -.10'],
  ['-0.1', 'FM9.99', '-.1'],
  ['0.1', '0.9', ' 0.1'],
  ['12', '9990999.9', '    0012.0'],
  ['12', 'FM9990999.9', '0012.'],
  ['485', '999', ' 485'],
  ['-485', '999', '-485'],
  ['1485', '9,999', ' 1,485'],
  ['148.5', '999.999', ' 148.500'],
  ['148.5', 'FM999.999', '148.5'],
  ['148.5', 'FM999.990', '148.500'],
  ['3148.5', '9G999D999', ' 3,148.500'],
  ['-485', '999S', '485-'],
  ['-485', '999MI', '485-'],
  ['485', '999MI', '485 '],
  ['485', 'FM999MI', '485'],
  ['-485', '999PR', '<485>'],
  ['485', '"Good number:"999', 'Good number: 485'],
  ['485.8', '"Pre:"999" Post:" .999', 'Pre: 485 Post: .800'],
  ['1234', '999', ' ###'],
  ['0', '999', '   0'],
  ['125', 'FM999', '125'],
])('to_char(%s, %s) is "%s"', (value, pattern, text) => {
  const scale = value.split('.')[1]?.length ?? 0;
  expect(formatNumber(Number(value.replace('.', '')), scale, pattern)).toBe(text);
});
