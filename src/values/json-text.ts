import { compareText } from './compare.ts';

/**
 * JSON text in one form per value: no white space, object keys in Postgres's order (by bytes of length, then by bytes) and each once (the last wins), escapes as short as they can be,
 * numbers with their own digits but without an exponent (`plainNumber`). What a jsonb datum is. Undefined when the text is not JSON.
 */
export function canonicalJsonText(text: string): string | undefined {
  const value = parseJson(text);
  return value === undefined ? undefined : printJson(value);
}

/** Undefined when the text is not JSON. */
export const parseJson = (text: string): Json | undefined => new Parser(text).document();

/** A number keeps its text, so that nothing is rounded. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Numbers of more digits keep their exponent. */
const MOST_DIGITS = 1000;

/** A JSON number as Postgres's numeric has it: 1e3 is 1000, -0.0 is 0.0; zeros behind the point stay. Other texts come back as they are. */
export function plainNumber(text: string): string {
  if (!/^-0|^[-\d].*e/i.test(text)) return text;
  const [mantissa, power = '0'] = text.toLowerCase().split('e');
  const exponent = Number(power);
  const [whole, fraction = ''] = mantissa.replace('-', '').split('.');
  if (Math.abs(exponent) > MOST_DIGITS) return text;
  const digits = `${'0'.repeat(Math.max(0, -exponent))}${whole}${fraction.padEnd(exponent, '0')}`;
  const scale = Math.max(0, fraction.length - exponent);
  const size = digits.slice(0, digits.length - scale).replace(/^0+(?=\d)/, '');
  const sign = text.startsWith('-') && /[1-9]/.test(digits) ? '-' : '';
  return `${sign}${size}${scale > 0 ? `.${digits.slice(digits.length - scale)}` : ''}`;
}

export type Json = null | boolean | string | NumberText | Json[] | Map<string, Json>;

/** Deeper nesting is refused rather than risking the stack. */
const MAX_DEPTH = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids raw control characters in strings.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json | undefined {
    const value = this.#value();
    this.#space();
    return this.#at === this.#text.length ? value : undefined;
  }

  #value(): Json | undefined {
    this.#space();
    const first = this.#text[this.#at];
    if (first === '"') return this.#string();
    if (first === '{') return this.#nested(() => this.#object());
    if (first === '[') return this.#nested(() => this.#array());
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    const number = this.#match(NUMBER);
    return number === undefined || number === '' ? undefined : new NumberText(plainNumber(number));
  }

  #nested(parse: () => Json | undefined): Json | undefined {
    if (++this.#depth > MAX_DEPTH) return undefined;
    const value = parse();
    this.#depth--;
    return value;
  }

  #object(): Json | undefined {
    const out = new Map<string, Json>();
    this.#at++;
    if (this.#take('}')) return out;
    do {
      this.#space();
      const key = this.#string();
      if (key === undefined || !this.#take(':')) return undefined;
      const value = this.#value();
      if (value === undefined) return undefined;
      out.set(key, value);
    } while (this.#take(','));
    return this.#take('}') ? out : undefined;
  }

  #array(): Json | undefined {
    const out: Json[] = [];
    this.#at++;
    if (this.#take(']')) return out;
    do {
      const value = this.#value();
      if (value === undefined) return undefined;
      out.push(value);
    } while (this.#take(','));
    return this.#take(']') ? out : undefined;
  }

  #string(): string | undefined {
    const text = this.#match(STRING);
    return text === undefined ? undefined : (JSON.parse(text) as string);
  }

  #take(sign: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

/** Postgres's order of keys in jsonb. src/formats/json/json-canonical.ts sorts bytes the same way. */
export const compareKeys = (a: string, b: string): number =>
  Buffer.byteLength(a) - Buffer.byteLength(b) || compareText(a, b);

/** In the canonical form. */
export function printJson(value: Json): string {
  if (value instanceof NumberText) return value.text;
  if (value instanceof Map) {
    const keys = [...value.keys()].sort(compareKeys);
    return `{${keys.map((key) => `${JSON.stringify(key)}:${printJson(value.get(key) as Json)}`).join(',')}}`;
  }
  if (Array.isArray(value)) return `[${value.map(printJson).join(',')}]`;
  return JSON.stringify(value);
}
