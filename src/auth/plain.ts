import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type CredentialSource, credentialOf, decoy, SCRAM_NAMES, saltedPassword } from './credentials.ts';
import { SaslFailure, type SaslMechanism, type SaslStep } from './sasl.ts';

const MOST_BYTES = 4096;

/**
 * PLAIN (RFC 4616): the password itself, to be used over TLS only. It is checked against the user's SCRAM credential, so that there is one
 * kind of user; an unknown user costs the same time.
 */
export function plainMechanism(users: CredentialSource): SaslMechanism {
  const secret = randomBytes(32);
  return { name: 'PLAIN', begin: () => ({ step: (token) => check(users, secret, token) }) };
}

async function check(users: CredentialSource, secret: Buffer, token: Buffer): Promise<SaslStep> {
  const parts = token.length > MOST_BYTES ? [] : token.toString().split('\0');
  const [authzid, user, password] = parts;
  if (parts.length !== 3 || user === '' || password === '') throw new SaslFailure('not a PLAIN message');
  if (authzid !== '' && authzid !== user) throw new SaslFailure('one user cannot act for another');
  if (!(await isPassword(users, secret, user!, password!))) throw new SaslFailure('wrong user or password');
  return { token: Buffer.alloc(0), principal: { type: 'User', name: user! } };
}

/** Takes as long for an unknown user as for a known one. */
async function isPassword(users: CredentialSource, secret: Buffer, user: string, password: string): Promise<boolean> {
  const mechanism = SCRAM_NAMES.find((name) => users.credential(user, name) !== undefined) ?? SCRAM_NAMES[0]!;
  const known = users.credential(user, mechanism);
  const { salt, iterations, storedKey } = known ?? decoy(mechanism, secret, user);
  const salted = await saltedPassword(mechanism, password, salt, iterations);
  const given = credentialOf(mechanism, salted, salt, iterations);
  return timingSafeEqual(given.storedKey, storedKey) && known !== undefined;
}
