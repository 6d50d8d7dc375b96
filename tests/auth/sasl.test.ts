import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  credentialOf,
  newCredential,
  SCRAM_NAMES,
  type ScramCredential,
  type ScramName,
  saltedPassword,
} from '../../src/auth/credentials.ts';
import { plainMechanism } from '../../src/auth/plain.ts';
import { principalMapping } from '../../src/auth/principal-mapping.ts';
import { SaslFailure } from '../../src/auth/sasl.ts';
import { scramMechanism } from '../../src/auth/scram.ts';
import { ScramClient } from '../support/scram-client.ts';

const source = (credentials: Record<string, ScramCredential>) => ({
  credential: (user: string, mechanism: ScramName) => credentials[`${user} ${mechanism}`],
});

describe('SCRAM', () => {
  test('the exchange of RFC 7677 section 3', async () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    const salted = await saltedPassword('SCRAM-SHA-256', 'pencil', salt, 4096);
    const users = source({ 'user SCRAM-SHA-256': credentialOf('SCRAM-SHA-256', salted, salt, 4096) });
    const exchange = scramMechanism('SCRAM-SHA-256', users, () => '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0').begin();
    const first = await exchange.step(Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'));
    const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
    expect(String(first.token)).toBe(`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
    const last = await exchange.step(Buffer.from(`c=biws,r=${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`));
    expect(String(last.token)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
    expect(last.principal).toEqual({ type: 'User', name: 'user' });
  });

  test.each(SCRAM_NAMES)('%s: the right password, a wrong one, somebody unknown', async (name) => {
    const users = source({ [`a,b=c ${name}`]: await newCredential(name, 'pässword') });
    const mechanism = scramMechanism(name, users);
    const attempt = async (user: string, password: string) => {
      const client = new ScramClient(name, user, password);
      const exchange = mechanism.begin();
      const challenge = await exchange.step(client.first());
      const done = await exchange.step(client.final(challenge.token));
      client.verify(done.token);
      return done.principal?.name;
    };
    expect(await attempt('a,b=c', 'pässword')).toBe('a,b=c');
    await expect(attempt('a,b=c', 'password')).rejects.toThrow('wrong user or password');
    await expect(attempt('nobody', 'pässword')).rejects.toThrow('wrong user or password');
  });

  test('a nonce that is not the one given is refused, but not one with the client’s part twice, as old librdkafka sends it', async () => {
    const users = source({ 'u SCRAM-SHA-256': await newCredential('SCRAM-SHA-256', 'p') });
    const attempt = async (change: (nonce: string) => string) => {
      const client = new ScramClient('SCRAM-SHA-256', 'u', 'p', change);
      const exchange = scramMechanism('SCRAM-SHA-256', users).begin();
      const challenge = await exchange.step(client.first());
      return exchange.step(client.final(challenge.token));
    };
    expect((await attempt((nonce) => nonce.slice(0, 24) + nonce)).principal?.name).toBe('u');
    await expect(attempt((nonce) => `${nonce}x`)).rejects.toThrow(SaslFailure);
    await expect(attempt((nonce) => nonce.slice(0, 24))).rejects.toThrow(SaslFailure);
  });

  test('an unknown user is always asked for the same, as a known one is', async () => {
    const mechanism = scramMechanism('SCRAM-SHA-256', source({}));
    const asked = () => String((mechanism.begin().step(Buffer.from('n,,n=eve,r=abc')) as { token: Buffer }).token);
    const part = (text: string) => text.replace(/^r=[^,]*/u, '');
    expect(part(asked())).toBe(part(asked()));
    expect(asked()).toMatch(/,s=[A-Za-z0-9+/]{32},i=8192$/u);
  });

  test('what is no SCRAM, asks for channel binding or acts for others is refused; any bytes are', () => {
    const begin = (message: string | Uint8Array) => () =>
      scramMechanism('SCRAM-SHA-256', source({}))
        .begin()
        .step(Buffer.from(message as string));
    for (const message of [
      '',
      'n,,',
      'p=tls-unique,,n=u,r=x',
      'n,a=other,n=u,r=x',
      'n,,m=x,n=u,r=x',
      'n,,n==2X,r=x',
      'n,,n=,r=x',
    ])
      expect(begin(message), message).toThrow(SaslFailure);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(begin(bytes)).toThrow(SaslFailure);
      }),
    );
    const exchange = scramMechanism('SCRAM-SHA-256', source({})).begin();
    exchange.step(Buffer.from('n,,n=u,r=x'));
    expect(() => exchange.step(Buffer.from('c=biws,r=x,p=AAAA'))).toThrow(SaslFailure);
    expect(() => exchange.step(Buffer.from('c=biws,r=x,p=AAAA'))).toThrow('over');
  });
});

test('PLAIN is checked against the same credentials', async () => {
  const users = source({ 'u SCRAM-SHA-512': await newCredential('SCRAM-SHA-512', 'secret') });
  const say = async (text: string) => plainMechanism(users).begin().step(Buffer.from(text));
  expect((await say('\0u\0secret')).principal).toEqual({ type: 'User', name: 'u' });
  expect((await say('u\0u\0secret')).principal?.name).toBe('u');
  for (const text of ['\0u\0wrong', '\0v\0secret', 'v\0u\0secret', '\0u\0', 'u', '\0u\0secret\0'])
    await expect(say(text), JSON.stringify(text)).rejects.toThrow(SaslFailure);
});

test('distinguished names are mapped by the first rule that fits', () => {
  // The example of Kafka's documentation of ssl.principal.mapping.rules.
  const rules =
    'RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,' +
    'RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT';
  const map = principalMapping(rules);
  expect(map('CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown')).toBe('serviceuser');
  expect(map('CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown')).toBe('adminuser@admin');
  expect(map('O=x,CN=Some.One')).toBe('some.one');
  expect(map('O=only')).toBe('O=only');
  expect(principalMapping('RULE:^CN=(.*)$/$1/U')('O=x')).toBeUndefined();
  expect(principalMapping('RULE:^CN=(.*)$/$1/U')('CN=x')).toBe('X');
  expect(() => principalMapping('RULE:x')).toThrow(/not a principal mapping rule/);
  expect(() => principalMapping('RULE:(/x/')).toThrow(/not a regular expression/);
});
