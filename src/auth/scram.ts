import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type CredentialSource, decoy, hashOf, hmac, type ScramCredential, type ScramName } from './credentials.ts';
import { type SaslExchange, SaslFailure, type SaslMechanism, type SaslStep } from './sasl.ts';

const MOST_NAME_BYTES = 1024;
/** A GS2 header without channel binding, with the identity to act for: RFC 5802 section 7. */
const CLIENT_FIRST =
  /^(([nyp])(?:=[^,]*)?,(?:a=([^,]*))?,)((?:m=[^,]*,)?n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/su;
const CLIENT_FINAL = /^(c=([^,]*),r=([^,]+)(?:,.*)?),p=([^,]+)$/su;

/** SCRAM as the server speaks it (RFC 5802). Channel binding is not offered, and none may be asked for. */
export function scramMechanism(name: ScramName, users: CredentialSource, newNonce = randomNonce): SaslMechanism {
  const secret = randomBytes(32);
  return { name, begin: () => new ScramServer(name, users, secret, newNonce()) };
}

const randomNonce = (): string => randomBytes(18).toString('base64');

class ScramServer implements SaslExchange {
  readonly #name: ScramName;
  readonly #users: CredentialSource;
  readonly #secret: Buffer;
  readonly #serverNonce: string;
  #state: 'first' | 'final' | 'over' = 'first';
  #gs2Header = '';
  #user = '';
  #credential: ScramCredential | undefined;
  #known = false;
  #nonce = '';
  #exchanged = '';

  constructor(name: ScramName, users: CredentialSource, secret: Buffer, serverNonce: string) {
    this.#name = name;
    this.#users = users;
    this.#secret = secret;
    this.#serverNonce = serverNonce;
  }

  step(token: Buffer): SaslStep {
    const { length } = token;
    if (length > 4 * MOST_NAME_BYTES) throw new SaslFailure(`a SCRAM message of ${length} bytes`);
    if (this.#state === 'first') return this.#first(token.toString());
    if (this.#state === 'final') return this.#final(token.toString());
    throw new SaslFailure('the exchange is over');
  }

  #first(message: string): SaslStep {
    const match = CLIENT_FIRST.exec(message);
    if (match === null) throw new SaslFailure('not the first message of a SCRAM client');
    const [, gs2Header, binding, authzid, bare, name, clientNonce] = match as unknown as string[];
    if (binding === 'p') throw new SaslFailure('channel binding is not offered');
    if (bare!.startsWith('m=')) throw new SaslFailure('SCRAM extensions that must be understood are not');
    this.#user = decodeName(name!);
    if (authzid !== undefined && authzid !== '' && decodeName(authzid) !== this.#user)
      throw new SaslFailure('one user cannot act for another');
    const known = this.#users.credential(this.#user, this.#name);
    this.#known = known !== undefined;
    this.#credential = known ?? decoy(this.#name, this.#secret, this.#user);
    this.#gs2Header = gs2Header!;
    this.#nonce = clientNonce! + this.#serverNonce;
    const { salt, iterations } = this.#credential;
    const answer = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
    this.#exchanged = `${bare},${answer}`;
    this.#state = 'final';
    return { token: Buffer.from(answer) };
  }

  #final(message: string): SaslStep {
    this.#state = 'over';
    const match = CLIENT_FINAL.exec(message);
    if (match === null) throw new SaslFailure('not the last message of a SCRAM client');
    const [, withoutProof, binding, nonce, proof] = match as unknown as string[];
    const name = this.#name;
    const { storedKey, serverKey } = this.#credential as ScramCredential;
    const authMessage = `${this.#exchanged},${withoutProof}`;
    const signature = hmac(name, storedKey, authMessage);
    const given = Buffer.from(proof!, 'base64');
    const clientKey = Buffer.alloc(signature.length);
    for (let i = 0; i < signature.length; i++) clientKey[i] = signature[i]! ^ (given[i] ?? 0);
    const right =
      timingSafeEqual(hashOf(name, clientKey), storedKey) &&
      given.length === signature.length &&
      // librdkafka before 2.2 puts its own part before it once more, and Kafka takes that.
      nonce!.endsWith(this.#nonce) &&
      Buffer.from(binding!, 'base64').toString() === this.#gs2Header;
    if (!right || !this.#known) throw new SaslFailure('wrong user or password');
    const token = Buffer.from(`v=${hmac(name, serverKey, authMessage).toString('base64')}`);
    return { token, principal: { type: 'User', name: this.#user } };
  }
}

/** `=2C` and `=3D` stand for comma and equals sign. */
function decodeName(text: string): string {
  if (text === '' || text.length > MOST_NAME_BYTES || /=(?!2C|3D)/u.test(text))
    throw new SaslFailure('not a SCRAM user name');
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
