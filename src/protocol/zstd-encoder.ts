import { createRequire } from 'node:module';

/** Writing of Zstandard by a native package with prebuilt binaries, loaded when it is first asked for; where there is none, zstd is only read. */

interface Encoder {
  encodeSync(data: Buffer): Buffer;
}

/** Kafka's default level. */
const LEVEL = 3;

let encoder: Encoder | null | undefined;

function load(): Encoder | null {
  if (encoder !== undefined) return encoder;
  try {
    const native = createRequire(import.meta.url)('@toondepauw/node-zstd') as {
      Encoder: new (level: number) => Encoder;
    };
    encoder = new native.Encoder(LEVEL);
  } catch {
    encoder = null;
  }
  return encoder;
}

export const writesZstd = (): boolean => load() !== null;

/** Only where `writesZstd`. */
export function zstdEncode(bytes: Buffer): Buffer {
  const native = load();
  if (native === null) throw new Error('zstd cannot be written here');
  return native.encodeSync(bytes);
}
