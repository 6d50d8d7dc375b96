import type { Option } from './ast.ts';
import type { Cursor } from './cursor.ts';

/** WITH (name = value, …), or nothing. Names may be dotted, or strings as in Flink; values are literals or bare words. */
export function parseOptions(cursor: Cursor): Option[] {
  if (!cursor.isWord('with')) return [];
  cursor.next();
  return parseOptionList(cursor);
}

/** (name = value, …). */
export function parseOptionList(cursor: Cursor): Option[] {
  return cursor.parenthesized(() =>
    cursor.list(() => {
      const { at } = cursor;
      const name = parseOptionName(cursor);
      cursor.expectSign('=');
      return { name, value: parseOptionValue(cursor), at };
    }),
  );
}

function parseOptionName(cursor: Cursor): string {
  const { token } = cursor;
  if (token.kind !== 'word' && token.kind !== 'quoted' && token.kind !== 'string')
    throw cursor.expected('the name of an option');
  cursor.next();
  let name = token.text;
  while (token.kind !== 'string' && cursor.takeSign('.')) {
    const part = cursor.token;
    if (part.kind !== 'word' && part.kind !== 'quoted') throw cursor.expected('the rest of the option name');
    cursor.next();
    name += `.${part.text}`;
  }
  return name;
}

function parseOptionValue(cursor: Cursor): string {
  const sign = cursor.takeSign('-') ? '-' : '';
  const { token } = cursor;
  const isValue = token.kind === 'number' || (sign === '' && (token.kind === 'string' || token.kind === 'word'));
  if (!isValue) throw cursor.expected('a value: text in quotes, a number, true or false');
  cursor.next();
  return sign + token.text;
}
