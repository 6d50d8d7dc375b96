import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Kafka, logLevel, type SASLOptions } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearerMechanism } from '../../src/auth/bearer.ts';
import { SaslFailure } from '../../src/auth/sasl.ts';
import { Broker, type ListenerSpec } from '../../src/broker/broker.ts';
import { SETTINGS } from '../../src/config.ts';
import { kafkaListeners } from '../../src/kafka-listeners.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { resolveSettings } from '../../src/lib/config-table.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { Storage } from '../../src/storage/storage.ts';
import { temporaryDirectory } from '../support/process.ts';
import { ScramClient } from '../support/scram-client.ts';
import { QUICK, WireClient } from './rig.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN', 'OAUTHBEARER'];
const AUDIENCE = 'streamline';

let storage: Storage;
let broker: Broker;
let jwks: Server;
let fetched = 0;
/** Port of the listener that tells clients another address. */
let other = 0;

function newKey(kid: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, key: privateKey, shown: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } };
}
const issuer = newKey('one');

function tokenOf({ kid, key }: { kid: string; key: KeyObject }, claims: object, alg = 'ES256'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg, kid, typ: 'JWT' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

const inSeconds = (s: number): number => Math.floor(Date.now() / 1000) + s;

async function start(on: Storage): Promise<Broker> {
  const free = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => free.once('listening', resolve));
  other = (free.address() as AddressInfo).port;
  await new Promise((resolve) => free.close(resolve));
  const { port } = jwks.address() as AddressInfo;
  const bearer = {
    jwks: `http://127.0.0.1:${port}/keys`,
    issuer: 'https://issuer',
    audience: AUDIENCE,
    principalClaim: 'sub',
    scope: 'kafka',
  };
  const sasl: ListenerSpec = { listen: LOOPBACK, sasl: { mechanisms: MECHANISMS, maxReauthMs: 0, bearer } };
  return Broker.start({
    storage: on,
    clock: systemClock,
    log: silentLog,
    listeners: [
      { listen: LOOPBACK },
      sasl,
      { listen: LOOPBACK, sasl: { mechanisms: ['PLAIN'], maxReauthMs: 400 } },
      { listen: { ...LOOPBACK, port: other }, advertised: { host: 'kafka.example', port: 9 } },
    ],
    settings: { ...QUICK, authorizer: true, superUsers: 'User:ANONYMOUS;User:alice' },
    usersFile: { text: '# people\nalice wonderland\nbob builder\n', path: 'users' },
  });
}

beforeAll(async () => {
  jwks = createServer((_, answer) => {
    fetched++;
    answer.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [issuer.shown] }));
  });
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
  storage = await Storage.open({ inMemory: true, log: silentLog });
  broker = await start(storage);
});

afterAll(async () => {
  await broker.close();
  await storage.close();
  await new Promise((resolve) => jwks.close(resolve));
});

const connect = (listener = 1): Promise<WireClient> => WireClient.connect(broker.addresses[listener]!);

async function authenticate(client: WireClient, mechanism: string, token: string | Buffer, version = 2) {
  await client.call('saslHandshake', 1, { mechanism });
  return client.call('saslAuthenticate', version, { authBytes: Buffer.from(token) });
}

const lists = async (sasl: SASLOptions): Promise<string[]> => {
  const kafka = new Kafka({
    brokers: [broker.addresses[1]!],
    sasl,
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 5000,
  });
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await admin.listTopics();
  } finally {
    await admin.disconnect();
  }
};

describe('kafkajs', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s', async (mechanism) => {
    await expect(lists({ mechanism, username: 'alice', password: 'wonderland' })).resolves.toBeInstanceOf(Array);
    await expect(lists({ mechanism, username: 'alice', password: 'wrong' })).rejects.toThrow(/wrong user or password/);
    await expect(lists({ mechanism, username: 'nobody', password: 'x' })).rejects.toThrow(/wrong user or password/);
  });
});

test('the principal is who authenticated: bob may nothing', async () => {
  const client = await connect();
  const { errorCode, sessionLifetimeMs } = await authenticate(client, 'PLAIN', '\0bob\0builder');
  expect([errorCode, sessionLifetimeMs]).toEqual([E.NONE, 0]);
  await storage.createTopic('t', { partitions: 1 });
  expect((await client.produce('t', ['v'])).errorCode).toBe(E.TOPIC_AUTHORIZATION_FAILED);
  const wanted = await client.call('metadata', 12, { topics: null });
  expect(wanted.topics).toEqual([]);
  expect(`${wanted.brokers[0]!.host}:${wanted.brokers[0]!.port}`).toBe(broker.addresses[1]);
  client.close();
});

test('each listener tells its own address', async () => {
  const client = await WireClient.connect(`127.0.0.1:${other}`);
  const told = { host: 'kafka.example', port: 9 };
  expect((await client.call('metadata', 12, { topics: [] })).brokers[0]).toMatchObject(told);
  expect(await client.call('findCoordinator', 2, { key: 'g' })).toMatchObject(told);
  client.close();
});

describe('before it has authenticated a client may', () => {
  test('ask for versions and mechanisms', async () => {
    const client = await connect();
    expect(
      (await client.call('apiVersions', 3, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })).errorCode,
    ).toBe(0);
    const answer = await client.call('saslHandshake', 1, { mechanism: 'GSSAPI' });
    expect(answer).toEqual({ errorCode: E.UNSUPPORTED_SASL_MECHANISM, mechanisms: MECHANISMS });
    client.close();
  });

  test('nothing else: the connection is closed', async () => {
    for (const send of [
      (client: WireClient) => client.send('metadata', 12, { topics: [] }),
      (client: WireClient) => client.socket.write(Buffer.from([0, 9, 0, 0, 1, 2, 3])),
    ]) {
      const client = await connect();
      send(client);
      await client.closed;
    }
  });

  test('not send tokens without a handshake, nor anything after a failure', async () => {
    const client = await connect();
    const early = await client.call('saslAuthenticate', 2, { authBytes: Buffer.from('\0alice\0wonderland') });
    expect(early.errorCode).toBe(E.ILLEGAL_SASL_STATE);
    client.send('saslHandshake', 1, { mechanism: 'PLAIN' });
    await client.closed;
    const failing = await connect();
    const began = performance.now();
    expect((await authenticate(failing, 'PLAIN', '\0alice\0no')).errorCode).toBe(E.SASL_AUTHENTICATION_FAILED);
    expect(performance.now() - began).toBeGreaterThan(90);
    failing.send('saslHandshake', 1, { mechanism: 'PLAIN' });
    await failing.closed;
  });
});

test('after a handshake v0 tokens are bare frames', async () => {
  const client = await connect();
  const frame = (token: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(token.length);
    client.socket.write(Buffer.concat([length, token]));
    return client.frame();
  };
  expect((await client.call('saslHandshake', 0, { mechanism: 'SCRAM-SHA-512' })).errorCode).toBe(E.NONE);
  const scram = new ScramClient('SCRAM-SHA-512', 'alice', 'wonderland');
  const challenge = await frame(scram.first());
  scram.verify(await frame(scram.final(challenge)));
  expect((await client.call('metadata', 12, { topics: [] })).brokers).toHaveLength(1);
  client.close();
  const other = await connect();
  await other.call('saslHandshake', 0, { mechanism: 'PLAIN' });
  other.socket.write(Buffer.from([0, 0, 0, 4, 0, 97, 0, 98]));
  await other.closed;
});

test('a session ends unless the client authenticates again, as the same user', async () => {
  const client = await connect(2);
  const first = await authenticate(client, 'PLAIN', '\0alice\0wonderland', 1);
  expect(first.sessionLifetimeMs).toBe(400);
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect((await authenticate(client, 'PLAIN', '\0alice\0wonderland')).errorCode).toBe(E.NONE);
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect((await client.call('metadata', 12, { topics: [] })).brokers).toHaveLength(1);
  await new Promise((resolve) => setTimeout(resolve, 250));
  client.send('metadata', 12, { topics: [] });
  await client.closed;
  const other = await connect(2);
  await authenticate(other, 'PLAIN', '\0alice\0wonderland');
  const changed = await authenticate(other, 'PLAIN', '\0bob\0builder');
  expect(changed.errorMessage).toBe('a session of alice cannot go on as bob');
  other.close();
});

describe('bearer tokens', () => {
  const good = (more: object = {}) => ({
    iss: 'https://issuer',
    aud: AUDIENCE,
    sub: 'alice',
    scope: 'kafka other',
    exp: inSeconds(300),
    ...more,
  });
  const present = async (token: string) => {
    const client = await connect();
    const answer = await authenticate(client, 'OAUTHBEARER', `n,,\x01auth=Bearer ${token}\x01\x01`);
    if (answer.authBytes.length === 0) {
      client.close();
      return answer;
    }
    expect(JSON.parse(String(answer.authBytes))).toEqual({ status: 'invalid_token', scope: 'kafka' });
    const last = await client.call('saslAuthenticate', 2, { authBytes: Buffer.from('\x01') });
    client.close();
    return last;
  };

  test('are taken as long as they last; the keys are fetched once', async () => {
    const answer = await present(tokenOf(issuer, good()));
    expect(answer.errorCode).toBe(E.NONE);
    expect(answer.sessionLifetimeMs).toBeGreaterThan(290_000);
    expect(answer.sessionLifetimeMs).toBeLessThanOrEqual(300_000);
    expect((await present(tokenOf(issuer, good()))).errorCode).toBe(E.NONE);
    expect(fetched).toBe(1);
  });

  test('of a new key of the issuer are taken, when keys are in a file', async () => {
    const directory = temporaryDirectory();
    const path = join(directory.path, 'jwks.json');
    const show = (...keys: object[]) => writeFileSync(path, JSON.stringify({ keys }));
    const settings = { jwks: path, issuer: '', audience: '', principalClaim: 'sub', scope: '' };
    const mechanism = bearerMechanism(settings, () => Date.now());
    const say = (token: string) => mechanism.begin().step(Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`));
    show(issuer.shown);
    expect((await say(tokenOf(issuer, good()))).principal?.name).toBe('alice');
    const next = newKey('two');
    expect((await say(tokenOf(next, good()))).principal).toBeUndefined();
    show(issuer.shown, next.shown);
    expect((await say(tokenOf(next, good()))).principal?.name).toBe('alice');
    for (const message of [
      '',
      'n,,',
      'n,,\x01auth=Basic x\x01\x01',
      'y,,\x01auth=Bearer x\x01\x01',
      'n,,\x01auth=Bearer x\x01',
    ])
      await expect(mechanism.begin().step(Buffer.from(message)), JSON.stringify(message)).rejects.toThrow(SaslFailure);
    directory.remove();
  });

  test.each([
    ['expired', { exp: inSeconds(-60) }, /exp/],
    ['not yet valid', { nbf: inSeconds(600) }, /nbf/],
    ['of another issuer', { iss: 'https://evil' }, /iss/],
    ['for another audience', { aud: 'other' }, /aud/],
    ['without the scope', { scope: 'other' }, /scope kafka/],
    ['of nobody', { sub: undefined }, /sub/],
    ['without an end', { exp: undefined }, /exp/],
  ])('%s are refused', async (_, claims, reason) => {
    const answer = await present(tokenOf(issuer, good(claims)));
    expect(answer.errorCode).toBe(E.SASL_AUTHENTICATION_FAILED);
    expect(answer.errorMessage).toMatch(reason);
  });

  test('signed by others, by nobody or with a shared secret are refused', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = tokenOf({ kid: 'one', key: privateKey }, good());
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const token of [
      forged,
      tokenOf(issuer, good(), 'HS256'),
      `${part({ alg: 'none' })}.${part(good())}.`,
      'nonsense',
    ])
      expect((await present(token)).errorCode).toBe(E.SASL_AUTHENTICATION_FAILED);
  });
});

test('SCRAM users are created, described, changed and deleted, and there after a restart', async () => {
  const admin = await connect(0);
  const { newCredential, saltedPassword } = await import('../../src/auth/credentials.ts');
  const { salt } = await newCredential('SCRAM-SHA-256', 'x');
  const salted = await saltedPassword('SCRAM-SHA-256', 'carols', salt, 4096);
  const upsertion = { name: 'carol', mechanism: 1, iterations: 4096, salt, saltedPassword: salted };
  const alter = async (deletions: { name: string; mechanism: number }[], upsertions: (typeof upsertion)[]) => {
    const { results } = await admin.call('alterUserScramCredentials', 0, { deletions, upsertions });
    return Object.fromEntries(results.map(({ user, errorCode }) => [user, errorCode]));
  };
  expect(
    await alter(
      [
        { name: 'nobody', mechanism: 1 },
        { name: 'alice', mechanism: 1 },
      ],
      [
        upsertion,
        { ...upsertion, name: 'weak', iterations: 100 },
        { ...upsertion, name: 'odd', mechanism: 7 },
        { ...upsertion, name: 'short', saltedPassword: Buffer.alloc(3) },
        { ...upsertion, name: '' },
      ],
    ),
  ).toEqual({
    nobody: E.RESOURCE_NOT_FOUND,
    alice: E.NONE,
    carol: E.NONE,
    weak: E.UNACCEPTABLE_CREDENTIAL,
    odd: E.UNSUPPORTED_SASL_MECHANISM,
    short: E.UNACCEPTABLE_CREDENTIAL,
    '': E.UNACCEPTABLE_CREDENTIAL,
  });
  expect(await alter([{ name: 'carol', mechanism: 1 }], [upsertion])).toEqual({ carol: E.DUPLICATE_RESOURCE });
  const described = async (users: { name: string }[] | null) =>
    (await admin.call('describeUserScramCredentials', 0, { users })).results;
  expect(await described(null)).toMatchObject([
    { user: 'alice', credentialInfos: [{ mechanism: 2, iterations: 8192 }] },
    { user: 'bob', credentialInfos: [{ mechanism: 1 }, { mechanism: 2 }] },
    { user: 'carol', credentialInfos: [{ mechanism: 1, iterations: 4096 }] },
  ]);
  expect((await described([{ name: 'dave' }]))[0]!.errorCode).toBe(E.RESOURCE_NOT_FOUND);
  admin.close();
  await broker.close();
  broker = await start(storage);
  const client = await connect();
  const scram = new ScramClient('SCRAM-SHA-256', 'carol', 'carols');
  const challenge = await authenticate(client, 'SCRAM-SHA-256', scram.first());
  const done = await client.call('saslAuthenticate', 2, { authBytes: scram.final(challenge.authBytes) });
  scram.verify(done.authBytes);
  // The file names alice, who exists: what was deleted of her stays so.
  const again = await connect(0);
  const { results } = await again.call('describeUserScramCredentials', 0, { users: [{ name: 'alice' }] });
  expect(results[0]!.credentialInfos).toHaveLength(1);
  for (const one of [client, again]) one.close();
});

test('listeners that would let anybody in, or cannot be, are refused with the reason', () => {
  const specs = (settings: Record<string, string>) =>
    kafkaListeners(resolveSettings(SETTINGS, settings, {}, {}), silentLog);
  const refused: [Record<string, string>, RegExp][] = [
    [{ kafkaListen: '10.0.0.1:9092' }, /not a loopback address/],
    [{ kafkaListeners: 'PLAINTEXT://127.0.0.1:1,PLAINTEXT://10.0.0.1:2' }, /not a loopback address/],
    [{ kafkaListeners: 'SASL_SSL://10.0.0.1:1' }, /needs both/],
    [{ kafkaListeners: 'SASL_PLAINTEXT://0.0.0.0:1' }, /no address that clients/],
    [{ kafkaListeners: 'HTTP://127.0.0.1:1' }, /not a listener/],
    [{ kafkaListeners: 'SASL_PLAINTEXT://127.0.0.1:1', kafkaSaslMechanisms: 'GSSAPI' }, /no SASL mechanism GSSAPI/],
    [{ kafkaListeners: 'SASL_PLAINTEXT://127.0.0.1:1', kafkaOauthJwks: 'f' }, /go together/],
    [{ kafkaListeners: 'SASL_PLAINTEXT://127.0.0.1:1', playground: 'true' }, /first listener be PLAINTEXT/],
    [{ authorizer: 'true', playground: 'true' }, /User:ANONYMOUS/],
  ];
  for (const [settings, reason] of refused) expect(() => specs(settings), JSON.stringify(settings)).toThrow(reason);
  const [one, two] = specs({
    kafkaListeners: 'PLAINTEXT://127.0.0.1:1, SASL_PLAINTEXT://0.0.0.0:2=kafka.example.com:3',
  });
  expect(one).toEqual({ listen: { host: '127.0.0.1', port: 1 } });
  // PLAIN would show the password to whoever listens.
  expect(two).toMatchObject({
    advertised: { host: 'kafka.example.com', port: 3 },
    sasl: { mechanisms: ['SCRAM-SHA-256', 'SCRAM-SHA-512'] },
  });
});
