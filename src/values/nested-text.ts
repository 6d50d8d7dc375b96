/**
 * Rows and maps as texts. Packed, what a datum is: the JSON array of the fields' texts, or of keys and values in turn with the keys sorted
 * and each once, so that equal values are equal texts. Shown: a row as Postgres shows a record, a map as Postgres's hstore.
 */
export type Part = string | null;
export type Pair = readonly [key: string, value: Part];

export const packParts = (parts: readonly Part[]): string => JSON.stringify(parts);
export const partsOf = (packed: string): readonly Part[] => JSON.parse(packed) as Part[];

/** Of equal keys the last wins. */
export function packPairs(pairs: readonly Pair[]): string {
  const sorted = [...new Map(pairs)].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(sorted.flat());
}

export function pairsOf(packed: string): readonly Pair[] {
  const flat = JSON.parse(packed) as Part[];
  const pairs: Pair[] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i] as string, flat[i + 1]]);
  return pairs;
}

/** `(1,"a b",)`: an empty field is NULL. */
export const compositeText = (parts: readonly Part[]): string =>
  `(${parts.map((part) => (part === null ? '' : compositePart(part))).join(',')})`;

const compositePart = (part: string): string =>
  part === '' || /[(),"\\\s]/.test(part) ? `"${part.replace(/(["\\])/g, '$1$1')}"` : part;

export function parseComposite(text: string): Part[] | undefined {
  const body = /^\s*\(([\s\S]*)\)\s*$/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const out: Part[] = [];
  const part = /((?:[^"\\,()]|\\[\s\S]|"(?:[^"\\]|\\[\s\S]|"")*")*)(,|$)/y;
  for (;;) {
    const found = part.exec(body);
    if (found === null) return undefined;
    out.push(found[1] === '' ? null : unquoted(found[1]));
    if (found[2] === '') return out;
    if (part.lastIndex === body.length) {
      out.push(null);
      return out;
    }
  }
}

/** Quotes may stand anywhere in a field; two in them, and whatever follows a backslash, is itself. */
const unquoted = (part: string): string =>
  part.replace(/"((?:[^"\\]|\\[\s\S]|"")*)"|\\([\s\S])/g, (_, inside?: string, escaped?: string) =>
    inside === undefined ? (escaped as string) : inside.replace(/""|\\([\s\S])/g, (both, one) => one ?? both[0]),
  );

/** `"a"=>"1", "b"=>NULL`. */
export const mapText = (pairs: readonly Pair[]): string =>
  pairs.map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`).join(', ');

const quoted = (text: string): string => `"${text.replace(/(["\\])/g, '\\$1')}"`;

export function parseMapText(text: string): Pair[] | undefined {
  const out: Pair[] = [];
  const one = '(?:"((?:[^"\\\\]|\\\\[\\s\\S])*)"|([^\\s,="]+))';
  const pair = new RegExp(`\\s*${one}\\s*=>\\s*${one}\\s*(,|$)`, 'y');
  if (text.trim() === '') return out;
  for (;;) {
    const found = pair.exec(text);
    if (found === null) return undefined;
    const [, key, plainKey, value, plainValue, end] = found;
    const shown = (inside: string | undefined, plain: string): string => inside?.replace(/\\([\s\S])/g, '$1') ?? plain;
    const isNull = value === undefined && /^null$/i.test(plainValue);
    out.push([shown(key, plainKey), isNull ? null : shown(value, plainValue)]);
    if (end === '') return out;
  }
}
