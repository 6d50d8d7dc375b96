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

/** Searches for a constant of at least one byte, and passes over as many bytes at a time as it has where they do not fit (Horspool). */
export function bytesFinder(part: Uint8Array): (b: Uint8Array, start: number, end: number) => number {
  const last = part.length - 1;
  const steps = new Int32Array(256).fill(part.length);
  for (let i = 0; i < last; i++) steps[part[i]] = last - i;
  const lastByte = part[last];
  return (b, start, end) => {
    let p = start + last;
    while (p < end) {
      const c = b[p];
      if (c === lastByte) {
        let i = last - 1;
        while (i >= 0 && b[p - last + i] === part[i]) i--;
        if (i < 0) return p - last;
      }
      p += steps[c];
    }
    return -1;
  };
}
