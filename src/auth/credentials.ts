import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/** The mechanisms of SCRAM (RFC 5802, RFC 7677) with Kafka's codes for them (KIP-554). */
export const SCRAM = {
  'SCRAM-SHA-256': { code: 1, hash: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { code: 2, hash: 'sha512', bytes: 64 },
} as const;
export type ScramName = keyof typeof SCRAM;
export const SCRAM_NAMES = Object.keys(SCRAM) as ScramName[];

export const LEAST_ITERATIONS = 4096;
export const MOST_ITERATIONS = 16_384;
/** Of credentials that are made here. */
const ITERATIONS = 8192;

/** What is kept of a password: it can be checked, and not be found out without trying. */
export interface ScramCredential {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Where credentials are. */
export interface CredentialSource {
  credential(user: string, mechanism: ScramName): ScramCredential | undefined;
}

const derive = promisify(pbkdf2);

export const hmac = (name: ScramName, key: Buffer, data: Buffer | string): Buffer =>
  createHmac(SCRAM[name].hash, key).update(data).digest();

export const hashOf = (name: ScramName, data: Buffer): Buffer => createHash(SCRAM[name].hash).update(data).digest();

/** SaltedPassword of RFC 5802: PBKDF2 in a thread of the pool, some milliseconds of processor time. */
export function saltedPassword(name: ScramName, password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  return derive(Buffer.from(password), salt, iterations, SCRAM[name].bytes, SCRAM[name].hash);
}

export function credentialOf(name: ScramName, salted: Buffer, salt: Buffer, iterations: number): ScramCredential {
  return {
    iterations,
    salt,
    storedKey: hashOf(name, hmac(name, salted, 'Client Key')),
    serverKey: hmac(name, salted, 'Server Key'),
  };
}

export async function newCredential(name: ScramName, password: string): Promise<ScramCredential> {
  const salt = randomBytes(24);
  return credentialOf(name, await saltedPassword(name, password, salt, ITERATIONS), salt, ITERATIONS);
}

/** What an unknown user is asked for: the same at every try, as a known one's is, so that nobody learns which users there are. */
export function decoy(name: ScramName, secret: Buffer, user: string): ScramCredential {
  const salt = hmac(name, secret, `salt ${user}`).subarray(0, 24);
  const key = hmac(name, secret, `key ${user}`);
  return { iterations: ITERATIONS, salt, storedKey: key, serverKey: key };
}
