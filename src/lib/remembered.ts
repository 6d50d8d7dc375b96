/**
 * `make` for keys that are nearly always the same few, such as the constant patterns of queries: what it made of the last `most` new keys stays. What it
 * throws is not kept.
 */
export function remembered<T>(most: number, make: (key: string) => T): (key: string) => T {
  const made = new Map<string, T>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const fresh = make(key);
    if (made.size >= most) made.delete(made.keys().next().value as string);
    made.set(key, fresh);
    return fresh;
  };
}
