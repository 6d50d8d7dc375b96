import { readFileSync } from 'node:fs';
import { SCRAM_NAMES } from './auth/credentials.ts';
import { principalMapping } from './auth/principal-mapping.ts';
import type { ListenerSpec } from './broker/broker.ts';
import { type TlsFiles, tlsNetwork } from './broker/tls-network.ts';
import type { Settings } from './config.ts';
import { type HostPort, parseHostPort } from './lib/config-table.ts';
import { StreamError } from './lib/errors.ts';
import type { Log } from './lib/log.ts';

/** Kafka's security protocols, and what they are made of. */
const PROTOCOLS = {
  PLAINTEXT: { tls: false, sasl: false },
  SSL: { tls: true, sasl: false },
  SASL_PLAINTEXT: { tls: false, sasl: true },
  SASL_SSL: { tls: true, sasl: true },
} as const;
type ProtocolName = keyof typeof PROTOCOLS;

const MECHANISMS: readonly string[] = [...SCRAM_NAMES, 'PLAIN', 'OAUTHBEARER'];

interface Address {
  readonly protocol: ProtocolName;
  readonly listen: HostPort;
  readonly advertised?: HostPort;
}

const invalid = (message: string, hint?: string): StreamError =>
  new StreamError('OPTION_INVALID', message, hint === undefined ? {} : { hint });

/** Whether only programs on this machine can connect. */
export const isLoopback = ({ host }: HostPort): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/u.test(host);

/** The Kafka listeners that the settings describe; OPTION_INVALID when they do not go together, or would let anybody in (DESIGN D16). */
export function kafkaListeners(settings: Settings, log: Log): ListenerSpec[] {
  const files = tlsFiles(settings);
  const addresses = addressesOf(settings, files);
  const principalOf = principalMapping(settings.kafkaPrincipalMapping);
  const specs = addresses.map(({ protocol, listen, advertised }): ListenerSpec => {
    const { tls, sasl } = PROTOCOLS[protocol];
    if (tls && files === undefined) throw invalid(`${protocol} needs both --kafka-tls-certificate and --kafka-tls-key`);
    if (!isLoopback(listen) && !sasl && (!tls || files?.clientCa === undefined)) {
      throw invalid(
        `--kafka-listen: ${listen.host} is not a loopback address, and clients of this listener do not authenticate`,
        'use SASL_SSL in --kafka-listeners, or SSL with --kafka-tls-client-ca',
      );
    }
    if ((listen.host === '0.0.0.0' || listen.host === '::') && advertised === undefined && !isLoopback(listen)) {
      throw invalid(
        `--kafka-listen: ${listen.host} is no address that clients can be told to connect to`,
        'say in --kafka-listeners where clients reach it: SASL_SSL://0.0.0.0:9093=kafka.example.com:9093',
      );
    }
    return {
      listen,
      ...(advertised === undefined ? {} : { advertised }),
      ...(tls && files !== undefined ? { network: tlsNetwork(files, log) } : {}),
      ...(tls && !sasl ? { principalOf } : {}),
      ...(sasl ? { sasl: saslOf(settings, tls || isLoopback(listen)) } : {}),
    };
  });
  if (settings.playground) checkPlayground(settings, addresses);
  return specs;
}

/** The text of kafka.users_file. */
export function usersFile({ kafkaUsersFile: path }: Settings): { usersFile?: { text: string; path: string } } {
  if (path === '') return {};
  try {
    return { usersFile: { text: readFileSync(path, 'utf8'), path } };
  } catch (cause) {
    throw new StreamError('OPTION_INVALID', `cannot read the users' file ${path}`, { cause });
  }
}

function addressesOf({ kafkaListeners: text, kafkaListen }: Settings, files: TlsFiles | undefined): Address[] {
  if (text === '') return [{ protocol: files === undefined ? 'PLAINTEXT' : 'SSL', listen: kafkaListen }];
  return text.split(',').map((one) => {
    const match = /^\s*([A-Z_]+):\/\/([^=\s]+)(?:=(\S+))?\s*$/u.exec(one);
    const protocol = match?.[1] as ProtocolName | undefined;
    if (match === null || protocol === undefined || !(protocol in PROTOCOLS)) {
      throw invalid(
        `not a listener: ${one}`,
        `a list of PROTOCOL://HOST:PORT or PROTOCOL://HOST:PORT=HOST:PORT with one of ${Object.keys(PROTOCOLS).join(', ')}`,
      );
    }
    const listen = parseHostPort(match[2]!);
    return { protocol, listen, ...(match[3] === undefined ? {} : { advertised: parseHostPort(match[3]) }) };
  });
}

function saslOf(settings: Settings, isPrivate: boolean): NonNullable<ListenerSpec['sasl']> {
  const named = settings.kafkaSaslMechanisms.split(',').map((one) => one.trim());
  const unknown = named.find((name) => !MECHANISMS.includes(name));
  if (unknown !== undefined)
    throw invalid(`there is no SASL mechanism ${unknown}`, `there are ${MECHANISMS.join(', ')}`);
  const { kafkaOauthJwks: jwks } = settings;
  if (named.includes('OAUTHBEARER') !== (jwks !== ''))
    throw invalid('OAUTHBEARER in --kafka-sasl-mechanisms and --kafka-oauth-jwks go together');
  const bearer = {
    jwks,
    issuer: settings.kafkaOauthIssuer,
    audience: settings.kafkaOauthAudience,
    principalClaim: settings.kafkaOauthPrincipalClaim,
    scope: settings.kafkaOauthScope,
  };
  return {
    // What anybody on the way could read and use again needs TLS.
    mechanisms: named.filter((name) => isPrivate || name.startsWith('SCRAM-')),
    maxReauthMs: settings.kafkaMaxReauthMs,
    ...(jwks === '' ? {} : { bearer }),
  };
}

function tlsFiles(settings: Settings): TlsFiles | undefined {
  const { kafkaTlsCertificate: certificate, kafkaTlsKey: key, kafkaTlsClientCa: clientCa } = settings;
  if (certificate === '' && key === '' && clientCa === '') return undefined;
  if (certificate === '' || key === '') throw invalid('TLS needs both --kafka-tls-certificate and --kafka-tls-key');
  return { certificate, key, ...(clientCa === '' ? {} : { clientCa }) };
}

/** It produces through the first listener, as a client that does not authenticate. */
function checkPlayground({ authorizer, superUsers, allowIfNoAcl }: Settings, [first]: readonly Address[]): void {
  if (first?.protocol !== 'PLAINTEXT')
    throw invalid('--playground produces without TLS and SASL: let the first listener be PLAINTEXT');
  if (authorizer && !allowIfNoAcl && !superUsers.split(';').some((one) => one.trim() === 'User:ANONYMOUS'))
    throw invalid('--playground produces as User:ANONYMOUS, who may nothing', 'add it to --kafka-super-users');
}
