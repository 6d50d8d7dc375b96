import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A listener that librdkafka's cases about TLS and SASL ask for: how the server is started, and what the client is told. */
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
  readonly subtests: readonly (string | undefined)[];
  readonly note: string;
}[] = [
  {
    name: '0097_ssl_verify',
    listener: tls,
    subtests: [undefined],
    note: 'by a listener that asks for no client certificates: Node sends no TLS alert for one that it refuses, which the other variant waits for',
  },
  {
    name: '0126_oauthbearer_oidc',
    listener: oidc,
    subtests: [
      'do_test_produce_consumer_with_OIDC:',
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

const PASSWORD = 'conformance';

/** An authority, a certificate of the server and one of a client, in every form that the case reads. */
function tls(folder: string): SecuredListener {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=authority',
    '-days',
    '2',
  );
  for (const who of ['server', 'client']) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${who}.key`,
      '-out',
      `${who}.csr`,
      '-subj',
      `/CN=${who}`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${who}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${who}.pem`,
      '-days',
      '2',
      '-extfile',
      'san',
    );
  }
  openssl('rsa', '-aes256', '-in', 'client.key', '-passout', `pass:${PASSWORD}`, '-out', 'client.locked.key');
  openssl('rsa', '-in', 'client.key', '-outform', 'DER', '-out', 'client.key.der');
  openssl('x509', '-in', 'client.pem', '-outform', 'DER', '-out', 'client.der');
  openssl('x509', '-in', 'ca.pem', '-outform', 'DER', '-out', 'ca.der');
  openssl(
    'pkcs12',
    '-export',
    '-in',
    'client.pem',
    '-inkey',
    'client.key',
    '-certfile',
    'ca.pem',
    '-passout',
    `pass:${PASSWORD}`,
    '-out',
    'client.p12',
  );
  return {
    serverArgs: [
      '--kafka-listeners',
      'SSL://127.0.0.1:0',
      '--kafka-tls-certificate',
      file('server.pem'),
      '--kafka-tls-key',
      file('server.key'),
    ],
    conf: {
      'security.protocol': 'ssl',
      'ssl.ca.location': file('ca.pem'),
      'ssl.certificate.location': file('client.pem'),
      'ssl.key.location': file('client.locked.key'),
      'ssl.key.password': PASSWORD,
    },
    env: {
      SSL_client_auth: 'requested',
      SSL_password: PASSWORD,
      SSL_pkcs: file('client.p12'),
      SSL_pub_der: file('client.der'),
      SSL_pub_pem: file('client.pem'),
      SSL_priv_der: file('client.key.der'),
      SSL_priv_pem: file('client.locked.key'),
      SSL_ca_der: file('ca.der'),
      SSL_all_cas_pem: file('ca.pem'),
    },
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
