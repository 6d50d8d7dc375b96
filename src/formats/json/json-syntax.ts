/**
 * JSON (RFC 8259) over bytes, strictly: where values begin and end. Positions are returned; −1 says malformed. Bytes that
 * are no UTF-8 are let through and become U+FFFD where text is made of them.
 */

/** Nesting beyond this is malformed. */
const MOST_DEPTH = 256;

const QUOTE = 34;
const BACKSLASH = 92;

export function skipWhitespace(b: Uint8Array, start: number, end: number): number {
  let p = start;
  while (p < end) {
    const c = b[p];
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) break;
    p++;
  }
  return p;
}

/** From after the opening quote to the closing one, when there is no escape, control character or end before it; else −1. */
export function plainStringEnd(b: Uint8Array, view: DataView, start: number, end: number): number {
  let p = start;
  // Four bytes at a time: a byte that equals a quote or a backslash, or is below 32, sets the top bit of its lane. The lowest lane that is
  // set is right; those above it may be set by its borrow.
  for (const last = end - 4; p <= last; p += 4) {
    const x = view.getInt32(p, true);
    const hit =
      (((x ^ 0x22222222) - 0x01010101) | ((x ^ 0x5c5c5c5c) - 0x01010101) | (x - 0x20202020)) & ~x & 0x80808080;
    if (hit !== 0) {
      p += (31 - Math.clz32(hit & -hit)) >> 3;
      return b[p] === QUOTE ? p : -1;
    }
  }
  for (; p < end; p++) {
    const c = b[p];
    if (c === QUOTE) return p;
    if (c === BACKSLASH || c < 32) return -1;
  }
  return -1;
}

/** `start` is after the opening quote; returns after the closing one. */
export function skipString(b: Uint8Array, start: number, end: number): number {
  let p = start;
  while (p < end && PLAIN[b[p]] === 1) p++;
  while (p < end) {
    const c = b[p++];
    if (c === QUOTE) return p;
    if (c < 32) return -1;
    if (c !== BACKSLASH) continue;
    if (p >= end) return -1;
    const escaped = b[p++];
    if (escaped === 117) {
      if (end - p < 4) return -1;
      for (let i = 0; i < 4; i++) if (!isHex(b[p++])) return -1;
    } else if (SIMPLE_ESCAPES.indexOf(escaped) < 0) return -1;
  }
  return -1;
}

/** 1 for the bytes that mean themselves within a string. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, c) => (c >= 32 && c !== QUOTE && c !== BACKSLASH ? 1 : 0));

/** `"` `\` `/` b f n r t */
const SIMPLE_ESCAPES = Uint8Array.of(34, 92, 47, 98, 102, 110, 114, 116);

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isHex = (c: number): boolean => isDigit(c) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70);

export function skipNumber(b: Uint8Array, start: number, end: number): number {
  let p = start;
  if (p < end && b[p] === 45) p++;
  if (p >= end || !isDigit(b[p])) return -1;
  if (b[p] === 48) p++;
  else while (p < end && isDigit(b[p])) p++;
  if (p < end && b[p] === 46) {
    p++;
    if (p >= end || !isDigit(b[p])) return -1;
    while (p < end && isDigit(b[p])) p++;
  }
  if (p < end && (b[p] | 32) === 101) {
    p++;
    if (p < end && (b[p] === 43 || b[p] === 45)) p++;
    if (p >= end || !isDigit(b[p])) return -1;
    while (p < end && isDigit(b[p])) p++;
  }
  return p;
}

function skipWord(b: Uint8Array, start: number, end: number, word: string): number {
  if (end - start < word.length) return -1;
  for (let i = 1; i < word.length; i++) if (b[start + i] !== word.charCodeAt(i)) return -1;
  return start + word.length;
}

/** `start` is at the value's first byte; returns after its last. */
export function skipValue(b: Uint8Array, start: number, end: number, depth = 0): number {
  if (start >= end) return -1;
  switch (b[start]) {
    case QUOTE:
      return skipString(b, start + 1, end);
    case 123:
      return depth >= MOST_DEPTH ? -1 : skipObject(b, start + 1, end, depth + 1);
    case 91:
      return depth >= MOST_DEPTH ? -1 : skipArray(b, start + 1, end, depth + 1);
    case 116:
      return skipWord(b, start, end, 'true');
    case 102:
      return skipWord(b, start, end, 'false');
    case 110:
      return skipWord(b, start, end, 'null');
    default:
      return skipNumber(b, start, end);
  }
}

function skipArray(b: Uint8Array, start: number, end: number, depth: number): number {
  let p = skipWhitespace(b, start, end);
  if (p < end && b[p] === 93) return p + 1;
  for (;;) {
    p = skipValue(b, skipWhitespace(b, p, end), end, depth);
    if (p < 0) return -1;
    p = skipWhitespace(b, p, end);
    if (p >= end) return -1;
    const c = b[p++];
    if (c === 93) return p;
    if (c !== 44) return -1;
  }
}

function skipObject(b: Uint8Array, start: number, end: number, depth: number): number {
  let p = skipWhitespace(b, start, end);
  if (p < end && b[p] === 125) return p + 1;
  for (;;) {
    p = skipWhitespace(b, p, end);
    if (p >= end || b[p] !== QUOTE) return -1;
    p = skipString(b, p + 1, end);
    if (p < 0) return -1;
    p = skipWhitespace(b, p, end);
    if (p >= end || b[p] !== 58) return -1;
    p = skipValue(b, skipWhitespace(b, p + 1, end), end, depth);
    if (p < 0) return -1;
    p = skipWhitespace(b, p, end);
    if (p >= end) return -1;
    const c = b[p++];
    if (c === 125) return p;
    if (c !== 44) return -1;
  }
}

/** Where the members of a record's object lie; reused from record to record. */
export class JsonMembers {
  count = 0;
  /** Of the text between the quotes. */
  keyStarts: Int32Array = new Int32Array(32);
  keyEnds: Int32Array = new Int32Array(32);
  valueStarts: Int32Array = new Int32Array(32);
  valueEnds: Int32Array = new Int32Array(32);
  /** Why `read` returned false. */
  problem = '';

  /** Reads one object that fills `b[start..end)` but for whitespace around it. */
  read(b: Uint8Array, view: DataView, start: number, end: number): boolean {
    this.count = 0;
    let p = skipWhitespace(b, start, end);
    if (p >= end) return this.#malformed('the value is empty');
    if (b[p] !== 123) {
      const after = skipValue(b, p, end);
      const whole = after >= 0 && skipWhitespace(b, after, end) === end;
      return this.#malformed(whole ? 'the value is JSON but not an object' : 'the value is not JSON', p - start);
    }
    p = skipWhitespace(b, p + 1, end);
    if (p < end && b[p] === 125) p++;
    else {
      for (;;) {
        p = skipWhitespace(b, p, end);
        if (p >= end || b[p] !== QUOTE) return this.#malformed('a key was expected', p - start);
        const keyStart = p + 1;
        p = skipString(b, keyStart, end);
        if (p < 0) return this.#malformed('a key has no end', keyStart - start);
        const keyEnd = p - 1;
        p = skipWhitespace(b, p, end);
        if (p >= end || b[p] !== 58) return this.#malformed('":" was expected', p - start);
        const valueStart = skipWhitespace(b, p + 1, end);
        p = valueStart < end && b[valueStart] === QUOTE ? plainStringEnd(b, view, valueStart + 1, end) + 1 : 0;
        if (p === 0) p = skipValue(b, valueStart, end);
        if (p < 0) return this.#malformed('a value is malformed', valueStart - start);
        this.#push(keyStart, keyEnd, valueStart, p);
        p = skipWhitespace(b, p, end);
        if (p >= end) return this.#malformed('the object has no end', p - start);
        const c = b[p++];
        if (c === 125) break;
        if (c !== 44) return this.#malformed('"," or "}" was expected', p - 1 - start);
      }
    }
    p = skipWhitespace(b, p, end);
    return p === end || this.#malformed('something follows the object', p - start);
  }

  #push(keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const i = this.count++;
    if (i === this.keyStarts.length) {
      this.keyStarts = doubled(this.keyStarts);
      this.keyEnds = doubled(this.keyEnds);
      this.valueStarts = doubled(this.valueStarts);
      this.valueEnds = doubled(this.valueEnds);
    }
    this.keyStarts[i] = keyStart;
    this.keyEnds[i] = keyEnd;
    this.valueStarts[i] = valueStart;
    this.valueEnds[i] = valueEnd;
  }

  #malformed(problem: string, at?: number): false {
    this.problem = at === undefined ? problem : `${problem} at byte ${at}`;
    return false;
  }
}

function doubled(values: Int32Array): Int32Array {
  const out = new Int32Array(values.length * 2);
  out.set(values);
  return out;
}
