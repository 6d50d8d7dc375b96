import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { StreamError } from '../lib/errors.ts';
import {
  ATTRIBUTE_CONTROL,
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  batchSizeAt,
  sealBatch,
} from '../protocol/record-batch.ts';

/** An attribute of a batch that Kafka does not use: its records are encrypted. No client sees it. */
const ATTRIBUTE_ENCRYPTED = 0x4000;
const ATTRIBUTES_AT = 21;
const CRC_AT = 17;
const KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;
const CIPHER = 'aes-256-gcm';

/** Where a batch stands: one moved to another place does not decrypt. */
export interface BatchPlace {
  /** UUID text. */
  readonly topicId: string;
  readonly partition: number;
}

/**
 * Keys for records at rest (topic setting streamline.encryption). An encrypted batch is a batch: header and checksum as ever, so that what scans,
 * recovers and commits needs no key; instead of its records stand key id u32, nonce (12 random bytes), the records under
 * AES-256-GCM, and the tag (16). Topic, partition and header are authenticated with them. Each topic has a key of its own, derived by HKDF-SHA-256 from
 * the master key with the topic's id, so that random nonces stay far from repeating.
 */
export class KeyRing {
  readonly #masters: ReadonlyMap<number, Buffer>;
  readonly #derived = new Map<string, Buffer>();
  /** Encrypts; the others only decrypt. */
  readonly current: number;

  /** Lines `<id> <32 bytes in base64>`, comments after #; the highest id encrypts. OPTION_INVALID naming `path`. */
  static parse(text: string, path: string): KeyRing {
    const masters = new Map<number, Buffer>();
    const refuse = (line: number, reason: string): never => {
      throw new StreamError('OPTION_INVALID', `key file ${path}, line ${line}: ${reason}`, {
        hint: 'a line is an id from 1 to 4294967295, a space, and 32 random bytes in base64: `openssl rand -base64 32`',
      });
    };
    text.split('\n').forEach((line, at) => {
      const bare = line.replace(/#.*/, '').trim();
      if (bare === '') return;
      const [, id, base64] = /^(\d{1,10})\s+([A-Za-z0-9+/]+=*)$/.exec(bare) ?? refuse(at + 1, 'is not an id and a key');
      const key = Buffer.from(base64!, 'base64');
      if (Number(id) < 1 || Number(id) > 0xffffffff) refuse(at + 1, `${id} is no key id`);
      if (key.length !== KEY_BYTES) refuse(at + 1, `the key has ${key.length} bytes, not ${KEY_BYTES}`);
      if (masters.has(Number(id))) refuse(at + 1, `key ${id} is there twice`);
      masters.set(Number(id), key);
    });
    if (masters.size === 0) throw new StreamError('OPTION_INVALID', `key file ${path} has no key`);
    return new KeyRing(masters);
  }

  private constructor(masters: ReadonlyMap<number, Buffer>) {
    this.#masters = masters;
    this.current = Math.max(...masters.keys());
  }

  has(keyId: number): boolean {
    return this.#masters.has(keyId);
  }

  /** The batch as it is stored. Its offset and leader epoch must be set. Control batches hold nothing of a user's and stay as they are. */
  encrypt(batch: Buffer, place: BatchPlace): Buffer {
    if ((batch.readInt16BE(ATTRIBUTES_AT) & ATTRIBUTE_CONTROL) !== 0) return batch;
    const out = Buffer.allocUnsafeSlow(batch.length + OVERHEAD_BYTES);
    batch.copy(out, 0, 0, BATCH_HEADER_BYTES);
    out.writeInt32BE(out.length - BATCH_PREFIX_BYTES, 8);
    out.writeInt16BE(batch.readInt16BE(ATTRIBUTES_AT) | ATTRIBUTE_ENCRYPTED, ATTRIBUTES_AT);
    out.writeUInt32BE(this.current, BATCH_HEADER_BYTES);
    const nonce = randomBytes(NONCE_BYTES);
    out.set(nonce, BATCH_HEADER_BYTES + KEY_ID_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key(this.current, place.topicId), nonce);
    cipher.setAAD(authenticated(out, place));
    const sealed = cipher.update(batch.subarray(BATCH_HEADER_BYTES));
    cipher.final();
    out.set(sealed, BATCH_HEADER_BYTES + KEY_ID_BYTES + NONCE_BYTES);
    out.set(cipher.getAuthTag(), out.length - TAG_BYTES);
    sealBatch(out, 0, out.length);
    return out;
  }

  /** The batch as it was before. STORAGE_FAILED when the key is missing, or something was changed. */
  decrypt(stored: Buffer, place: BatchPlace): Buffer {
    const at = BATCH_HEADER_BYTES;
    if (stored.length < at + OVERHEAD_BYTES) throw unreadable('it is too short');
    const nonce = stored.subarray(at + KEY_ID_BYTES, at + KEY_ID_BYTES + NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, this.#key(stored.readUInt32BE(at), place.topicId), nonce);
    decipher.setAAD(authenticated(stored, place));
    decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
    const out = Buffer.allocUnsafeSlow(stored.length - OVERHEAD_BYTES);
    stored.copy(out, 0, 0, at);
    out.set(decipher.update(stored.subarray(at + KEY_ID_BYTES + NONCE_BYTES, stored.length - TAG_BYTES)), at);
    try {
      decipher.final();
    } catch {
      throw unreadable('it does not fit its key, or was changed, or stood elsewhere');
    }
    out.writeInt32BE(out.length - BATCH_PREFIX_BYTES, 8);
    out.writeInt16BE(stored.readInt16BE(ATTRIBUTES_AT) & ~ATTRIBUTE_ENCRYPTED, ATTRIBUTES_AT);
    sealBatch(out, 0, out.length);
    return out;
  }

  #key(id: number, topicId: string): Buffer {
    const name = `${id}/${topicId}`;
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const master = this.#masters.get(id);
    if (master === undefined) throw unreadable(`the key file has no key ${id}`);
    const key = Buffer.from(hkdfSync('sha256', master, uuidBytes(topicId), 'streamline records', KEY_BYTES));
    this.#derived.set(name, key);
    return key;
  }
}

export const isEncrypted = (batches: Buffer, at = 0): boolean =>
  (batches.readInt16BE(at + ATTRIBUTES_AT) & ATTRIBUTE_ENCRYPTED) !== 0;

/** Whole batches as clients know them: the same buffer when none is encrypted. STORAGE_FAILED as KeyRing.decrypt. */
export function decryptBatches(batches: Buffer, keys: KeyRing | undefined, place: BatchPlace): Buffer {
  let out: Buffer[] | undefined;
  for (let at = 0; at < batches.length; ) {
    const end = at + batchSizeAt(batches, at);
    if (isEncrypted(batches, at)) {
      if (keys === undefined) throw unreadable('there is no key file');
      out ??= at === 0 ? [] : [batches.subarray(0, at)];
      out.push(keys.decrypt(batches.subarray(at, end), place));
    } else {
      out?.push(batches.subarray(at, end));
    }
    at = end;
  }
  if (out === undefined) return batches;
  return out.length === 1 ? out[0]! : Buffer.concat(out);
}

/** Everything about a stored batch but its checksum and its records. */
function authenticated(stored: Buffer, { topicId, partition }: BatchPlace): Buffer {
  const where = Buffer.alloc(4);
  where.writeUInt32BE(partition);
  const header = [stored.subarray(0, CRC_AT), stored.subarray(ATTRIBUTES_AT, BATCH_HEADER_BYTES)];
  return Buffer.concat([uuidBytes(topicId), where, ...header]);
}

const uuidBytes = (text: string): Buffer => Buffer.from(text.replaceAll('-', ''), 'hex');

const unreadable = (reason: string): StreamError =>
  new StreamError('STORAGE_FAILED', `an encrypted batch cannot be read: ${reason}`, {
    hint: 'storage.encryption_key_file must hold every key that something was encrypted with',
  });
