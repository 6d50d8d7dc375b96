/** A call into native code costs as much as so many bytes moved here. */
const NATIVE_LEAST = 96;

/** `from[start..end)` to `into[at…)`. */
export function copyBytes(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): void {
  if (end - start >= NATIVE_LEAST) into.set(from.subarray(start, end), at);
  else for (let p = start, to = at; p < end; p++) into[to++] = from[p];
}
