/**
 * The partition that Kafka's Java client gives a keyed record: murmur2 of the key with seed 0x9747b28c, made positive,
 * modulo the partition count. Records of one key stay together whichever way they come in.
 */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** 32-bit MurmurHash2 as in org.apache.kafka.common.utils.Utils; signed. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = length & 3;
  if (rest > 2) h ^= bytes[whole + 2] << 16;
  if (rest > 1) h ^= bytes[whole + 1] << 8;
  if (rest > 0) h = Math.imul(h ^ bytes[whole], m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}
