import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { type SaslExchange, SaslFailure, type SaslMechanism, type SaslStep } from './sasl.ts';

export interface BearerSettings {
  /** An http(s) URL or a file with the JSON Web Key Set of the issuer. */
  readonly jwks: string;
  /** What `iss` and `aud` must be; empty: not looked at. */
  readonly issuer: string;
  readonly audience: string;
  /** The claim that names the principal. */
  readonly principalClaim: string;
  /** Scopes that the token must have, separated by spaces. */
  readonly scope: string;
}

/** Signatures by key pairs only: with a shared secret whoever checks could also sign. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const CLOCK_SKEW_S = 30;
const MOST_BYTES = 64 << 10;
const SEPARATOR = '\x01';

/** OAUTHBEARER (RFC 7628): a JWT signed by a key of the issuer, who may change keys: an unknown key id has the set fetched again. */
export function bearerMechanism(settings: BearerSettings, nowMs: () => number): SaslMechanism {
  const keys = keySource(settings.jwks);
  return { name: 'OAUTHBEARER', begin: () => new BearerServer(settings, keys, nowMs) };
}

function keySource(jwks: string): JWTVerifyGetKey {
  if (/^https?:\/\//u.test(jwks)) return createRemoteJWKSet(new URL(jwks));
  let known: JWTVerifyGetKey | undefined;
  const read = async (): Promise<JWTVerifyGetKey> => {
    known = createLocalJWKSet(JSON.parse(await readFile(jwks, 'utf8')) as JSONWebKeySet);
    return known;
  };
  return async (header, token) => {
    try {
      return await (known ?? (await read()))(header, token);
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSNoMatchingKey)) throw thrown;
      return (await read())(header, token);
    }
  };
}

class BearerServer implements SaslExchange {
  readonly #settings: BearerSettings;
  readonly #keys: JWTVerifyGetKey;
  readonly #nowMs: () => number;
  #refusal: string | undefined;

  constructor(settings: BearerSettings, keys: JWTVerifyGetKey, nowMs: () => number) {
    this.#settings = settings;
    this.#keys = keys;
    this.#nowMs = nowMs;
  }

  async step(message: Buffer): Promise<SaslStep> {
    // The client acknowledges that it was refused, so that both know why.
    if (this.#refusal !== undefined) throw new SaslFailure(this.#refusal);
    const { token, authzid } = partsOf(message);
    try {
      return await this.#accept(token, authzid);
    } catch (thrown) {
      this.#refusal = thrown instanceof Error ? thrown.message : String(thrown);
      const { scope } = this.#settings;
      return { token: Buffer.from(JSON.stringify({ status: 'invalid_token', ...(scope === '' ? {} : { scope }) })) };
    }
  }

  async #accept(token: string, authzid: string | undefined): Promise<SaslStep> {
    const { issuer, audience, principalClaim, scope } = this.#settings;
    const { payload } = await jwtVerify(token, this.#keys, {
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_SKEW_S,
      currentDate: new Date(this.#nowMs()),
      requiredClaims: ['exp', principalClaim],
      ...(issuer === '' ? {} : { issuer }),
      ...(audience === '' ? {} : { audience }),
    });
    const name = payload[principalClaim];
    if (typeof name !== 'string' || name === '') throw new SaslFailure(`the claim ${principalClaim} names nobody`);
    if (authzid !== undefined && authzid !== '' && authzid !== name)
      throw new SaslFailure('one user cannot act for another');
    const scopes = scopesOf(payload['scope'] ?? payload['scp']);
    const missing = scope.split(' ').find((wanted) => wanted !== '' && !scopes.includes(wanted));
    if (missing !== undefined) throw new SaslFailure(`the token has no scope ${missing}`);
    return {
      token: Buffer.alloc(0),
      principal: { type: 'User', name },
      expiresAtMs: (payload.exp as number) * 1000,
    };
  }
}

/** A GS2 header, then `name=value` pairs, each with a separator after it, and one more at the end (RFC 7628 section 3.1). */
function partsOf(message: Buffer): { token: string; authzid: string | undefined } {
  const parts = message.length > MOST_BYTES ? [] : message.toString().split(SEPARATOR);
  const header = /^n,(?:a=([^,]*))?,$/u.exec(parts[0] ?? '');
  const token = /^auth=Bearer +([\w.~+/=-]+)$/iu.exec(parts.find((part) => /^auth=/u.test(part)) ?? '')?.[1];
  if (header === null || token === undefined || parts.at(-1) !== '' || parts.at(-2) !== '')
    throw new SaslFailure('not an OAUTHBEARER message');
  return { token, authzid: header[1] };
}

const scopesOf = (claim: unknown): readonly unknown[] =>
  typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
