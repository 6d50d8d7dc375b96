import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { StreamError } from '../../src/lib/errors.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  canonicalInteger,
  type Datum,
  INTEGER,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';
import { bytesOf, murmur3 } from './sketches.ts';

/** Hashes, URLs and UUIDs. */

const hex = (algorithm: string, input: string | Uint8Array): string =>
  createHash(algorithm).update(input).digest('hex');

const hashes: ScalarFunction[] = (
  [
    ['sha1', 'SHA-1', '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'],
    ['sha224', 'SHA-224', 'abd37534c7d9a2efb9465de931cd7055ffdb8879563ae98078d6d6d5'],
    ['sha384', 'SHA-384', undefined],
    ['sha512', 'SHA-512', undefined],
  ] as const
).map(([name, title, value]) =>
  own(
    `${name}(varchar)`,
    VARCHAR,
    `The ${title} hash of a text in UTF-8, in hex.`,
    ([a]) => hex(name, a),
    value === undefined ? [`left(${name}('a'), 8)`, hex(name, 'a').slice(0, 8)] : [`${name}('a')`, value],
  ),
);

const ofBytes: ScalarFunction[] = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].map((name) =>
  own(`${name}(bytea)`, VARCHAR, 'The hash of bytes, in hex.', ([a]) => hex(name, a)),
);

const M64 = (1n << 64n) - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const rotate = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & M64;
const round = (acc: bigint, lane: bigint): bigint => (rotate((acc + lane * P2) & M64, 31n) * P1) & M64;

/** XXH64 with seed 0, as the unsigned 64 bits. */
function xxhash64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let h: bigint;
  if (bytes.length >= 32) {
    const acc = [(P1 + P2) & M64, P2, 0n, -P1 & M64];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) acc[i] = round(acc[i], view.getBigUint64(at + i * 8, true));
    }
    h = (rotate(acc[0], 1n) + rotate(acc[1], 7n) + rotate(acc[2], 12n) + rotate(acc[3], 18n)) & M64;
    for (const one of acc) h = ((h ^ round(0n, one)) * P1 + P4) & M64;
  } else {
    h = P5;
  }
  h = (h + BigInt(bytes.length)) & M64;
  for (; at + 8 <= bytes.length; at += 8) {
    h = (rotate(h ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4) & M64;
  }
  if (at + 4 <= bytes.length) {
    h = (rotate(h ^ ((BigInt(view.getUint32(at, true)) * P1) & M64), 23n) * P2 + P3) & M64;
    at += 4;
  }
  for (; at < bytes.length; at++) h = (rotate(h ^ ((BigInt(bytes[at]) * P5) & M64), 11n) * P1) & M64;
  h = ((h ^ (h >> 33n)) * P2) & M64;
  h = ((h ^ (h >> 29n)) * P3) & M64;
  return h ^ (h >> 32n);
}

const short: ScalarFunction[] = [
  own(
    'xxhash64(any)',
    BIGINT,
    'XXH64 of the bytes, or of the text in UTF-8; the same for equal values.',
    ([a], [type]) => canonicalInteger(BigInt.asIntN(64, xxhash64(bytesOf(a, type)))),
    ["xxhash64('a')", '-3292477735350538661'],
  ),
  own(
    'murmur3(any)',
    INTEGER,
    'MurmurHash3 of 32 bits of the bytes, or of the text in UTF-8.',
    ([a], [type]) => murmur3(bytesOf(a, type), 0) | 0,
    ["murmur3('a')", '1009084850'],
  ),
  own(
    'murmur2(any)',
    INTEGER,
    "MurmurHash2 as Kafka's partitioner has it: murmur2(key) & 2147483647 modulo the partitions.",
    ([a], [type]) => murmur2(bytesOf(a, type)),
    ["murmur2('21')", '-973932308'],
  ),
  own('crc32(varchar)', BIGINT, 'The CRC-32 of a text in UTF-8.', ([a]) => crc32(a), ["crc32('hello')", '907060870']),
  own('crc32(bytea)', BIGINT, 'The CRC-32 of bytes.', ([a]) => crc32(a)),
];

/** org.apache.kafka.common.utils.Utils.murmur2. */
export function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ bytes.length;
  const blocks = bytes.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    k = Math.imul(k, m);
    k = Math.imul(k ^ (k >>> 24), m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = bytes.length - blocks;
  if (rest === 3) h ^= bytes[blocks + 2] << 16;
  if (rest >= 2) h ^= bytes[blocks + 1] << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[blocks], m);
  h = Math.imul(h ^ (h >>> 13), m);
  return (h ^ (h >>> 15)) | 0;
}

/** Null where the text is no absolute URL. */
function urlOf(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

const urlPart = (name: string, doc: string, part: (url: URL) => string, value: string): ScalarFunction =>
  own(
    `url_${name}(varchar)`,
    VARCHAR,
    `${doc}; NULL where there is none, or the text is no URL.`,
    ([a]) => {
      const url = urlOf(a);
      return url === null ? null : part(url) || null;
    },
    [`url_${name}('https://a.example:8443/p/q?x=1&y=a%20b#top')`, value],
  );

const urls: ScalarFunction[] = [
  urlPart('protocol', 'The protocol of a URL', (url) => url.protocol.slice(0, -1), 'https'),
  urlPart('host', 'The host of a URL', (url) => url.hostname, 'a.example'),
  urlPart('path', 'The path of a URL', (url) => url.pathname, '/p/q'),
  urlPart('query', 'What stands behind the ? of a URL', (url) => url.search.slice(1), 'x=1&y=a%20b'),
  urlPart('fragment', 'What stands behind the # of a URL', (url) => url.hash.slice(1), 'top'),
  own(
    'url_port(varchar)',
    INTEGER,
    'The port that a URL names.',
    ([a]) => {
      const url = urlOf(a);
      return url === null || url.port === '' ? null : Number(url.port);
    },
    ["url_port('http://h:81/')", '81'],
  ),
  own(
    'url_param(varchar, varchar)',
    VARCHAR,
    'The first parameter of that name in the query of a URL, decoded.',
    ([a, name]) => urlOf(a)?.searchParams.get(name) ?? null,
    ["url_param('http://h/?x=1&y=a%20b', 'y')", 'a b'],
  ),
  own(
    'url_params(varchar, varchar)',
    arrayOf(VARCHAR),
    'Every parameter of that name.',
    ([a, name]) => urlOf(a)?.searchParams.getAll(name) ?? null,
    ["url_params('http://h/?x=1&x=2', 'x')", '{1,2}'],
  ),
  own(
    'url_encode(varchar)',
    VARCHAR,
    'A text as it may stand in a URL (percent signs, UTF-8).',
    ([a]) => {
      if (/\p{Surrogate}/u.test(a))
        throw new StreamError('VALUE_DOMAIN', 'url_encode: half of a character has no code');
      return encodeURIComponent(a);
    },
    ["url_encode('a b&c')", 'a%20b%26c'],
  ),
  own(
    'url_decode(varchar)',
    VARCHAR,
    'A text with its percent signs decoded; NULL where it is not encoded so.',
    ([a]) => {
      try {
        return decodeURIComponent(a);
      } catch {
        return null;
      }
    },
    ["url_decode('a%20b')", 'a b'],
  ),
];

const dashed = (digits: string): string =>
  `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20, 32)}`;

/** RFC 9562: the hash of a namespace and a name, with the version and variant in it. */
function namedUuid(algorithm: 'md5' | 'sha1', version: number, namespace: string, name: string): string {
  const bytes = createHash(algorithm)
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  bytes[6] = (bytes[6] & 0x0f) | (version << 4);
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return dashed(bytes.toString('hex'));
}

const DNS = "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'";

const uuids: ScalarFunction[] = [
  own(
    'uuid_generate_v3(uuid, varchar)',
    UUID,
    'The UUID of a name in a namespace, by MD5.',
    ([space, name]) => namedUuid('md5', 3, space, name),
    [`uuid_generate_v3(${DNS}, 'www.example.com')`, '5df41881-3aed-3515-88a7-2f4a814cf09e'],
  ),
  own(
    'uuid_generate_v5(uuid, varchar)',
    UUID,
    'The UUID of a name in a namespace, by SHA-1.',
    ([space, name]) => namedUuid('sha1', 5, space, name),
    [`uuid_generate_v5(${DNS}, 'www.example.com')`, '2ed6657d-e927-568b-95e1-2665a8aea6a2'],
  ),
  own(
    'uuid_extract_version(uuid)',
    INTEGER,
    'The version of a UUID; NULL where it is of another variant.',
    ([a]) => (/[89ab]/.test(a[19]) ? Number.parseInt(a[14], 16) : null),
    ["uuid_extract_version('41db1265-8bc1-4ab3-992f-885799a4af1d')", '4'],
  ),
  own(
    'uuid_extract_timestamp(uuid)',
    { kind: 'timestamptz' },
    'The moment in a UUID of version 1, 6 or 7.',
    ([a]) => uuidTime(a),
    ["uuid_extract_timestamp('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')", '2022-02-22 19:22:22+00'],
  ),
  own(
    'is_uuid(varchar)',
    BOOLEAN,
    'Whether a text is a UUID.',
    ([a]) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(a),
    ["is_uuid('x')", 'false'],
  ),
];

/** Hundreds of nanoseconds from 1582-10-15 to 1970. */
const GREGORIAN = 122_192_928_000_000_000n;

function uuidTime(uuid: string): Datum {
  const digits = uuid.replaceAll('-', '');
  if (!/[89ab]/.test(uuid[19])) return null;
  const version = digits[12];
  if (version === '7') return canonicalInteger(BigInt(`0x${digits.slice(0, 12)}`) * 1000n);
  const ticks =
    version === '1'
      ? BigInt(`0x${digits.slice(13, 16)}${digits.slice(8, 12)}${digits.slice(0, 8)}`)
      : version === '6'
        ? BigInt(`0x${digits.slice(0, 12)}${digits.slice(13, 16)}`)
        : null;
  return ticks === null ? null : canonicalInteger((ticks - GREGORIAN) / 10n);
}

export const HASHES: readonly ScalarFunction[] = [
  ...hashes,
  ...ofBytes,
  ...short,
  ...urls,
  ...uuids,
  own(
    'get_byte(bytea, integer)',
    INTEGER,
    'The byte at a place, from 0.',
    ([a, n]) => {
      if (n < 0 || n >= a.length) throw new StreamError('VALUE_DOMAIN', 'get_byte: there is no byte at that place');
      return a[n];
    },
    ["get_byte(decode('00ff', 'hex'), 1)", '255'],
  ),
  own('||(bytea, bytea)', BYTEA, 'The bytes one after the other.', ([a, b]) => Buffer.concat([a, b]), [
    "encode(decode('00', 'hex') || decode('ff', 'hex'), 'hex')",
    '00ff',
  ]),
];
