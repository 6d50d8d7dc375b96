const SCALAR = /^(-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false)$/;

/**
 * A table's record key as a JSON object of the primary key columns, so that one decoder reads it. Accepted, first that fits:
 * - a JSON array of the key values in PRIMARY KEY order (what INSERT writes): `[7,"eu"]`
 * - a JSON object holding them by name (Kafka Connect and its like): `{"id":7}`
 * - for a single column, a JSON scalar: `7`, `"eu"`
 * - for a single column, any other text as it stands: `eu`
 * Null when there is no key: the value's columns name the row then. Undefined when it cannot be a key.
 */
export function tableKeyJson(bytes: Buffer, names: readonly string[]): Buffer | null | undefined {
  const text = bytes.toString('utf8').trim();
  if (text === '' || text === 'null') return null;
  if (text[0] === '{') return names.length === 1 && !isJson(text) ? rawKeyJson(text, names) : Buffer.from(text);
  if (text[0] === '[') {
    const values = isJson(text) ? splitArray(text) : undefined;
    if (values !== undefined && values.length === names.length) {
      return Buffer.from(`{${values.map((value, i) => `${JSON.stringify(names[i])}:${value}`).join(',')}}`);
    }
    return rawKeyJson(text, names);
  }
  if (names.length === 1 && (SCALAR.test(text) || (text[0] === '"' && isJson(text)))) {
    return Buffer.from(`{${JSON.stringify(names[0])}:${text}}`);
  }
  return rawKeyJson(bytes.toString('utf8'), names);
}

/** The whole text as the value of a single key column. */
export function rawKeyJson(text: string, names: readonly string[]): Buffer | undefined {
  if (names.length !== 1) return undefined;
  return Buffer.from(`{${JSON.stringify(names[0])}:${JSON.stringify(text)}}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The texts of a valid JSON array's items; they are not parsed, so that integers keep all digits. */
function splitArray(text: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let from = 1;
  for (let at = 1; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if (char === '[' || char === '{') depth++;
    else if (depth > 0 && (char === ']' || char === '}')) depth--;
    else if (depth === 0 && (char === ',' || char === ']')) {
      const item = text.slice(from, at).trim();
      if (item !== '' || items.length > 0) items.push(item);
      from = at + 1;
    }
  }
  return items;
}
