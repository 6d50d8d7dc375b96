import { describe, expect, test } from 'vitest';
import { asStreamError } from '../../src/lib/errors.ts';
import { statementsOf, translate } from '../../streamql/dialects/translate.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';

const line = (sql: string, dialect: string): string => translate(sql, dialect).sql.replaceAll('\n', ' ');

describe('other dialects', () => {
  test.each([
    ['mysql', 'SELECT `A`, "it\\\'s" FROM t', `SELECT "a" , 'it''s' FROM t`],
    ['mysql', 'SELECT a || b && c', 'SELECT a or b and c'],
    ['mysql', 'SELECT x NOT REGEXP "a"', "SELECT x !~ 'a'"],
    [
      'mysql',
      'SELECT a FROM t ORDER BY a DESC, b LIMIT 2, 3',
      'SELECT a FROM t ORDER BY a DESC nulls last , b nulls first LIMIT 3 offset 2',
    ],
    [
      'bigquery',
      'SELECT IF(a, IFNULL(b, 1), 2) FROM `p.t`',
      'SELECT case when a then coalesce ( b , 1 ) else 2 end FROM "p" . "t"',
    ],
    ['snowflake', 'SELECT "Kept", "FOLDED", a::NUMBER(10,2)', 'SELECT "Kept" , "folded" , a :: numeric ( 10 , 2 )'],
    [
      'trino',
      'SELECT a / b ORDER BY sum(x) OVER (ORDER BY y)',
      'SELECT a / b ORDER BY sum ( x ) OVER ( ORDER BY y nulls last ) nulls last',
    ],
  ])('%s: %s', (dialect, sql, expected) => {
    expect(line(sql, dialect)).toBe(expected);
  });

  test('an error is told where it was written', () => {
    const sql = 'SELECT `a`,\n  IF(b, 1, 2) FROM FROM t';
    const translated = translate(sql, 'mysql');
    const error = (() => {
      try {
        return parseStatements(translated.sql);
      } catch (thrown) {
        return asStreamError(thrown);
      }
    })();
    expect(error).toMatchObject({ code: 'SQL_SYNTAX' });
    expect(translated.positionOf((error as { at: { line: number; column: number } }).at)).toEqual({
      line: 2,
      column: 20,
    });
  });

  test('what is too deep, does not end or is not known is refused', () => {
    expect(() => translate(`SELECT ${'if('.repeat(5000)}`, 'mysql')).toThrow('within each other');
    expect(() => translate('SELECT `a', 'mysql')).toThrow('does not end');
    expect(() => translate('SELECT @a', 'mysql')).toThrow('not translated');
  });

  test('a script is cut at semicolons outside of quotes and comments', () => {
    expect(
      statementsOf("SET x = 'a;b';\n-- c;\nSELECT `d;` ; ").map(({ text, line: at }) => [text.trim(), at]),
    ).toEqual([
      ["SET x = 'a;b'", 0],
      ['-- c;\nSELECT `d;`', 0],
    ]);
  });
});
