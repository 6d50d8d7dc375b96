import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** The client's side of SCRAM, written from RFC 5802 on its own so that both sides do not share a mistake. */
export class ScramClient {
  readonly #hash: string;
  readonly #user: string;
  readonly #password: string;
  readonly #nonce = randomBytes(12).toString('hex');
  readonly #changed: (nonce: string) => string;
  #bare = '';
  #serverSignature = '';

  /** `changed` spoils the nonce of the last message. */
  constructor(mechanism: string, user: string, password: string, changed = (nonce: string): string => nonce) {
    this.#changed = changed;
    this.#hash = mechanism === 'SCRAM-SHA-512' ? 'sha512' : 'sha256';
    this.#user = user.replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#password = password;
  }

  first(): Buffer {
    this.#bare = `n=${this.#user},r=${this.#nonce}`;
    return Buffer.from(`n,,${this.#bare}`);
  }

  final(challenge: Buffer): Buffer {
    const text = String(challenge);
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/u.exec(text) as unknown as string[];
    if (!nonce!.startsWith(this.#nonce)) throw new Error('the nonce is another');
    const mac = (key: Buffer, data: string) => createHmac(this.#hash, key).update(data).digest();
    const length = this.#hash === 'sha512' ? 64 : 32;
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt!, 'base64'), Number(iterations), length, this.#hash);
    const clientKey = mac(salted, 'Client Key');
    const storedKey = createHash(this.#hash).update(clientKey).digest();
    const last = `c=biws,r=${this.#changed(nonce!)}`;
    const message = `${this.#bare},${text},${last}`;
    const signature = mac(storedKey, message);
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
    this.#serverSignature = mac(mac(salted, 'Server Key'), message).toString('base64');
    return Buffer.from(`${last},p=${proof.toString('base64')}`);
  }

  verify(last: Buffer): void {
    if (String(last) !== `v=${this.#serverSignature}`) throw new Error('the server does not know the password');
  }
}
