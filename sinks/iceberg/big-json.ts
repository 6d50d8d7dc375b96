/**
 * JSON whose 64-bit integers stay exact: Iceberg's snapshot ids do not fit a double. Integers of 16 digits and more are bigints.
 */
export function parseBigJson(text: string): unknown {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) =>
    token[0] === '"' ? token : `"\\u0001${token}"`,
  );
  return JSON.parse(marked, (_key, value) =>
    typeof value === 'string' && value[0] === '\u0001' ? BigInt(value.slice(1)) : value,
  );
}

export function stringifyBigJson(value: unknown): string {
  const text = JSON.stringify(value, (_key, one) => (typeof one === 'bigint' ? `\u0001${one}` : one), 1);
  return text.replace(/"\\u0001(-?\d+)"/g, '$1');
}
