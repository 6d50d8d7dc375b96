/** Finite doubles as exact integers, for sums that do not depend on their order and quotients that are rounded once. */

/** A double is an integer count of 2^−UNIT_BITS. */
export const UNIT_BITS = 1074;

const bits = new DataView(new ArrayBuffer(8));

/** A finite double as an integer count of 2^−1074. */
export function toUnits(value: number): bigint {
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const exponent = Number((word >> 52n) & 0x7ffn);
  const fraction = word & 0xfffffffffffffn;
  const size = exponent === 0 ? fraction : (fraction | 0x10000000000000n) << BigInt(exponent - 1);
  return value < 0 ? -size : size;
}

/** The nearest double, ties to even; ±Infinity when it is beyond the range. */
export function fromUnits(units: bigint): number {
  return scaled(units, -UNIT_BITS);
}

/** `numerator / denominator × 2^power` rounded once; the denominator is positive. */
export function quotientOfUnits(numerator: bigint, denominator: bigint, power: number): number {
  // 70 bits of quotient, the rest folded into the last one.
  const shift = Math.max(0, 70 - (bitLength(numerator) - bitLength(denominator)));
  const size = (numerator < 0n ? -numerator : numerator) << BigInt(shift);
  let quotient = size / denominator;
  if (quotient * denominator !== size) quotient |= 1n;
  return scaled(numerator < 0n ? -quotient : quotient, power - shift);
}

const bitLength = (value: bigint): number => (value < 0n ? -value : value).toString(16).length * 4;

/** `value × 2^power` as the nearest double. */
function scaled(value: bigint, power: number): number {
  const size = value < 0n ? -value : value;
  // 64 to 67 leading bits, with everything below folded into the last one, round as the whole would.
  let shift = Math.max(0, bitLength(size) - 67);
  // What lies below the least double must be folded in too, or a subnormal result would be rounded twice.
  if (power + shift < -UNIT_BITS) shift = Math.min(bitLength(size) + 2, -UNIT_BITS - power);
  let leading = size >> BigInt(shift);
  if (shift > 0 && leading << BigInt(shift) !== size)
    leading = power + shift <= -UNIT_BITS ? halfUp(size, shift) : leading | 1n;
  const result = timesPowerOfTwo(Number(leading), power + shift);
  return value < 0n ? -result : result;
}

/** `size / 2^shift` to the nearest integer, ties to even. */
function halfUp(size: bigint, shift: number): bigint {
  const down = size >> BigInt(shift);
  const rest = size - (down << BigInt(shift));
  const half = 1n << BigInt(shift - 1);
  return rest > half || (rest === half && (down & 1n) === 1n) ? down + 1n : down;
}

/** In steps that are exact wherever the result is. */
function timesPowerOfTwo(value: number, power: number): number {
  let result = value;
  let left = power;
  for (; left > 1000; left -= 1000) result *= 2 ** 1000;
  for (; left < -1000; left += 1000) result *= 2 ** -1000;
  return result * 2 ** left;
}
