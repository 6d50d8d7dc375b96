/** Postgres's text of bytea. */

/** Bytes of the escape format: `\\` and `\ooo` (octal) beside characters that stand for themselves; undefined for another backslash. */
export function bytesFromEscapes(text: string): Buffer | undefined {
  if (!text.includes('\\')) return Buffer.from(text);
  const parts: Buffer[] = [];
  const part = /([^\\]+)|\\(?:(\\)|([0-3][0-7]{2}))/y;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) return undefined;
    const [, plain, backslash, octal] = match;
    parts.push(octal === undefined ? Buffer.from(plain ?? backslash) : Buffer.of(Number.parseInt(octal, 8)));
  }
  return Buffer.concat(parts);
}

/** `\x0a1b`, blanks between bytes allowed, or the escape format; undefined where it is neither. */
export function parseBytea(text: string): Buffer | undefined {
  if (!text.startsWith('\\x')) return bytesFromEscapes(text);
  const digits = text.slice(2).replace(/[ \t\n\r]/g, '');
  return /^(?:[0-9a-fA-F]{2})*$/.test(digits) ? Buffer.from(digits, 'hex') : undefined;
}
