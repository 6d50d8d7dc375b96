import type { DialectToken } from './scan.ts';

/** What a call becomes, given its arguments. */
export type Rewrite = (args: readonly DialectToken[][], name: DialectToken) => DialectToken[];

export const word = (text: string, { at }: DialectToken): DialectToken => ({ kind: 'word', text, at });
const sign = (text: string, { at }: DialectToken): DialectToken => ({ kind: 'other', text, at });

export function call(name: DialectToken, args: readonly DialectToken[][]): DialectToken[] {
  const commas = args.flatMap((arg, i) => (i === 0 ? arg : [sign(',', name), ...arg]));
  return [name, sign('(', name), ...commas, sign(')', name)];
}

const inParens = (tokens: readonly DialectToken[], near: DialectToken): DialectToken[] => [
  sign('(', near),
  ...tokens,
  sign(')', near),
];

export const rename =
  (to: string): Rewrite =>
  (args, name) =>
    call(word(to, name), args);

/** IF(a, b, c). */
export const choice: Rewrite = (args, name) => {
  if (args.length !== 3) return call(name, args);
  const [when, then, otherwise] = args;
  const w = (text: string) => word(text, name);
  return [w('case'), w('when'), ...when, w('then'), ...then, w('else'), ...otherwise, w('end')];
};

/** NVL2(a, b, c): b where a is not null. */
export const ifNotNull: Rewrite = (args, name) => {
  if (args.length !== 3) return call(name, args);
  const w = (text: string) => word(text, name);
  return choice([[...inParens(args[0], name), w('is'), w('not'), w('null')], args[1], args[2]], name);
};

export const orZero: Rewrite = (args, name) => call(word('coalesce', name), [...args, [sign('0', name)]]);

/** COUNTIF(x). */
export const countIf: Rewrite = ([when = []], name) => [
  ...call(word('count', name), [[sign('*', name)]]),
  word('filter', name),
  ...inParens([word('where', name), ...when], name),
];

/** A list of texts whose separator is a comma unless it is given. */
export const joined: Rewrite = (args, name) => {
  const comma: DialectToken = { kind: 'string', text: ',', at: name.at };
  return call(word('string_agg', name), args.length === 1 ? [args[0], [comma]] : args);
};
