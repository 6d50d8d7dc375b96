import { StreamError } from '../../src/lib/errors.ts';
import { bytesFromEscapes } from '../../src/values/bytea-text.ts';

/** The textual formats of encode and decode. */
interface ByteFormat {
  readonly encode: (bytes: Buffer) => string;
  /** Undefined where the text is not of the format. */
  readonly decode: (text: string) => Buffer | undefined;
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const unspaced = (text: string): string => text.replace(/[ \t\n\r]/g, '');

/** Postgres writes a zero byte, and bytes beyond ASCII, in octal. */
function escaped(bytes: Buffer): string {
  let out = '';
  for (const byte of bytes) {
    if (byte === 0 || byte > 127) out += `\\${byte.toString(8).padStart(3, '0')}`;
    else out += byte === 92 ? '\\\\' : String.fromCharCode(byte);
  }
  return out;
}

const FORMATS: Readonly<Record<string, ByteFormat>> = {
  hex: {
    encode: (bytes) => bytes.toString('hex'),
    decode: (text) => (HEX.test(unspaced(text)) ? Buffer.from(unspaced(text), 'hex') : undefined),
  },
  base64: {
    // As MIME: lines of 76 characters.
    encode: (bytes) => bytes.toString('base64').replace(/.{76}(?=.)/g, '$&\n'),
    decode: (text) => (BASE64.test(unspaced(text)) ? Buffer.from(unspaced(text), 'base64') : undefined),
  },
  escape: { encode: escaped, decode: bytesFromEscapes },
};

function formatOf(name: string, fn: string): ByteFormat {
  const lower = name.toLowerCase();
  if (Object.hasOwn(FORMATS, lower)) return FORMATS[lower];
  throw new StreamError(
    'VALUE_DOMAIN',
    `${fn}: there is no format ${name.slice(0, 40)}; there are hex, base64 and escape`,
  );
}

export const encodeBytes = (bytes: Uint8Array, format: string): string =>
  formatOf(format, 'encode').encode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));

export function decodeBytes(text: string, format: string): Buffer {
  const bytes = formatOf(format, 'decode').decode(text);
  if (bytes === undefined) throw new StreamError('VALUE_DOMAIN', `decode: the text is not ${format.toLowerCase()}`);
  return bytes;
}
