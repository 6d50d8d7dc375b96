import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A listener that librdkafka's cases about SASL ask for: how the server is started, and what the client is told. */
export interface SecuredListener {
  readonly serverArgs: readonly string[];
  readonly conf: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  close(): void;
}

/** Cases, by what they need, and of which only some sub-tests are run: the others are about share consumers (KIP-932). */
export const SECURED_CASES: readonly {
  readonly name: string;
  readonly listener: (folder: string) => SecuredListener | Promise<SecuredListener>;
  /** Each is run by itself. */
  readonly subtests: readonly string[];
  readonly note: string;
}[] = [
  {
    name: '0126_oauthbearer_oidc',
    listener: oidc,
    subtests: [
      'producer and consumer with oidc configuration: client_credentials',
      'do_test_produce_consumer_with_OIDC_should_fail',
      'do_test_produce_consumer_with_OIDC_expired',
    ],
    note: 'without its parts about share consumers (KIP-932), private keys of clients and cloud metadata',
  },
  {
    name: '0135_sasl_credentials',
    listener: scram,
    subtests: ['do_test:'],
    note: 'without its parts about share consumers (KIP-932)',
  },
  {
    name: '0142_reauthentication',
    listener: scram,
    subtests: ['do_test_consumer:', 'do_test_producer:', 'do_test_txn_producer:', 'do_test_reauth_failure:'],
    note: 'without its parts about share consumers (KIP-932)',
  },
];

function scram(folder: string): SecuredListener {
  const users = join(folder, 'users');
  writeFileSync(users, 'alice wonderland\n');
  return {
    serverArgs: [
      '--kafka-listeners',
      'SASL_PLAINTEXT://127.0.0.1:0',
      '--kafka-users-file',
      users,
      '--kafka-max-reauth-ms',
      '6000',
    ],
    conf: {
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanism': 'SCRAM-SHA-256',
      'sasl.username': 'alice',
      'sasl.password': 'wonderland',
    },
    env: {},
    close: () => {},
  };
}

/** An issuer of tokens: good ones, some that are over, and some that are none. */
async function oidc(folder: string): Promise<SecuredListener> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('hex').slice(0, 8);
  writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: [{ ...jwk, kid, alg: 'RS256', use: 'sig' }] }));
  const text = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = (lifeSeconds: number): string => {
    const now = Math.floor(Date.now() / 1000);
    const body = `${text({ alg: 'RS256', kid })}.${text({ sub: 'alice', iat: now - 1000, exp: now + lifeSeconds })}`;
    return `${body}.${sign('sha256', Buffer.from(body), privateKey).toString('base64url')}`;
  };
  const tokens: Readonly<Record<string, () => string>> = {
    '/valid': () => token(600),
    '/expired': () => token(-500),
    '/invalid': () => 'this.is.none',
  };
  const server = createServer((request, response) => {
    const make = tokens[request.url ?? ''] ?? (() => '');
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: make(), token_type: 'Bearer', expires_in: 600 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    serverArgs: [
      '--kafka-listeners',
      'SASL_PLAINTEXT://127.0.0.1:0',
      '--kafka-sasl-mechanisms',
      'OAUTHBEARER',
      '--kafka-oauth-jwks',
      join(folder, 'keys.json'),
    ],
    conf: {
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanism': 'OAUTHBEARER',
      'sasl.oauthbearer.method': 'OIDC',
      'sasl.oauthbearer.client.id': 'alice',
      'sasl.oauthbearer.client.secret': 'wonderland',
      'sasl.oauthbearer.token.endpoint.url': `${url}/valid`,
    },
    env: {
      VALID_OIDC_URL: `${url}/valid`,
      EXPIRED_TOKEN_OIDC_URL: `${url}/expired`,
      INVALID_OIDC_URL: `${url}/invalid`,
    },
    close: () => server.close(),
  };
}
