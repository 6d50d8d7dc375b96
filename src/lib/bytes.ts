/** A call into native code costs as much as so many bytes moved here. */
const NATIVE_LEAST = 96;

/** `from[start..end)` to `into[at…)`. */
export function copyBytes(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): void {
  if (end - start >= NATIVE_LEAST) into.set(from.subarray(start, end), at);
  else for (let p = start, to = at; p < end; p++) into[to++] = from[p];
}

/** Where `part[from..to)` begins in `b[start..end)`; −1 when nowhere. */
export function findBytes(
  b: Uint8Array,
  start: number,
  end: number,
  part: Uint8Array,
  from: number,
  to: number,
): number {
  const length = to - from;
  if (length === 0) return start;
  const first = part[from];
  const last = end - length;
  for (let p = start; p <= last; p++) {
    if (b[p] !== first) continue;
    let i = 1;
    while (i < length && b[p + i] === part[from + i]) i++;
    if (i === length) return p;
  }
  return -1;
}
