import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { principalMapping } from '../../src/auth/principal-mapping.ts';
import { Broker } from '../../src/broker/broker.ts';
import { tlsNetwork } from '../../src/broker/tls-network.ts';
import { SETTINGS } from '../../src/config.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { parseHostPort, resolveSettings } from '../../src/lib/config-table.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startPlatform } from '../../src/platform.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { Storage } from '../../src/storage/storage.ts';
import { temporaryDirectory } from '../support/process.ts';

const dir = temporaryDirectory();
const file = (name: string): string => join(dir.path, name);
const text = (name: string): string => readFileSync(file(name), 'utf8');

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: dir.path, stdio: 'ignore' });
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-x509', '-days', '2'];

function authority(name: string): void {
  openssl('req', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`);
}

function certificate(name: string, by: string): void {
  const signed = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE'];
  openssl(
    'req',
    ...NEW_KEY,
    ...signed,
    ...leaf,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-subj',
    `/CN=${name}`,
  );
}

let storage: Storage;
let broker: Broker;

beforeAll(async () => {
  for (const name of ['root', 'stranger']) authority(name);
  for (const name of ['server', 'next', 'alice']) certificate(name, 'root');
  certificate('mallory', 'stranger');
  for (const end of ['pem', 'key']) copyFileSync(file(`server.${end}`), file(`live.${end}`));
  storage = await Storage.open({ disk: new MemoryDisk(), dir: null, clock: systemClock, log: silentLog });
  const files = { certificate: file('live.pem'), key: file('live.key'), clientCa: file('root.pem') };
  broker = await Broker.start({
    storage,
    clock: systemClock,
    log: silentLog,
    listeners: [
      {
        listen: parseHostPort('127.0.0.1:0'),
        network: tlsNetwork(files, silentLog),
        principalOf: principalMapping('RULE:^CN=(.*)$/$1/U'),
      },
    ],
    // So that nothing works unless the certificate says who comes.
    settings: { groupInitialRebalanceDelayMs: 0, authorizer: true, superUsers: 'User:ALICE' },
  });
}, 60_000);

afterAll(async () => {
  await broker.close();
  await storage.close();
  dir.remove();
});

function kafka(ssl: object | undefined): Kafka {
  return new Kafka({
    brokers: [broker.address],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 5000,
    requestTimeout: 5000,
    ...(ssl === undefined ? {} : { ssl }),
  });
}

async function refused(ssl: object | undefined): Promise<void> {
  const admin = kafka(ssl).admin();
  await expect(admin.connect().then(() => admin.listTopics())).rejects.toThrow();
  await admin.disconnect().catch(() => undefined);
}

test('kafkajs produces with a certificate of the authority', async () => {
  const client = kafka({ ca: [text('root.pem')], cert: text('alice.pem'), key: text('alice.key') });
  const admin = client.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'secret', numPartitions: 1 }] });
  const producer = client.producer();
  await producer.connect();
  await producer.send({ topic: 'secret', messages: [{ value: 'x'.repeat(100_000) }] });
  expect(await admin.fetchTopicOffsets('secret')).toMatchObject([{ offset: '1' }]);
  await producer.disconnect();
  await admin.disconnect();
});

test.each([
  ['without a certificate', () => ({ ca: [text('root.pem')] })],
  [
    'with one of another authority',
    () => ({ ca: [text('root.pem')], cert: text('mallory.pem'), key: text('mallory.key') }),
  ],
  ['without TLS', () => undefined],
])('refuses a client %s', (_, ssl) => refused(ssl()));

/** The common name that the server shows. */
function shown(): Promise<string> {
  const { host, port } = parseHostPort(broker.address);
  return new Promise((resolve, reject) => {
    const who = { ca: text('root.pem'), cert: text('alice.pem'), key: text('alice.key') };
    const socket = connect({ host, port, ...who }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a changed certificate is used without a restart, garbage is not', async () => {
  expect(await shown()).toBe('server');
  for (const end of ['key', 'pem']) copyFileSync(file(`next.${end}`), file(`live.${end}`));
  await expect.poll(shown, { timeout: 15_000, interval: 300 }).toBe('next');
  writeFileSync(file('live.pem'), 'garbage');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(await shown()).toBe('next');
}, 30_000);

test.each([
  [{ kafkaListen: '0.0.0.0:0' }, /not a loopback/],
  [{ kafkaTlsKey: 'k' }, /needs both/],
  [{ kafkaTlsCertificate: 'c', kafkaTlsKey: 'k', kafkaListen: '10.0.0.1:0' }, /not a loopback/],
  [{ kafkaTlsCertificate: 'c', kafkaTlsKey: 'k', kafkaTlsClientCa: 'a', kafkaListen: '0.0.0.0:0' }, /told to connect/],
  [{ kafkaTlsCertificate: '/none', kafkaTlsKey: '/none' }, /cannot use the TLS files/],
])('refuses to start with %j', async (flags, message) => {
  const settings = resolveSettings(
    SETTINGS,
    { inMemory: 'true', httpListen: '127.0.0.1:0', pgListen: '127.0.0.1:0', ...flags },
    {},
    {},
  );
  await expect(startPlatform(settings, 'test', silentLog)).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringMatching(message),
  });
});
