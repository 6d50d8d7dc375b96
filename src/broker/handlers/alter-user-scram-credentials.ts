import {
  credentialOf,
  LEAST_ITERATIONS,
  MOST_ITERATIONS,
  SCRAM,
  SCRAM_NAMES,
  type ScramName,
} from '../../auth/credentials.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { BrokerContext, Handler } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import type { CredentialChange } from '../user-store.ts';

type Request = RequestBody<'alterUserScramCredentials'>;

const mechanismOf = (code: number): ScramName | undefined => SCRAM_NAMES.find((name) => SCRAM[name].code === code);
const fault = (errorCode: number, errorMessage: string): KafkaError => ({ errorCode, errorMessage });

/** One result a user: all that is asked for one is done or nothing of it (KIP-554). */
export const alterUserScramCredentials: Handler<'alterUserScramCredentials'> = async (request, _call, { users }) => {
  const { deletions, upsertions } = request;
  const names = new Set([...deletions, ...upsertions].map(({ name }) => name));
  const results = [];
  for (const user of names) {
    const error = refusal(request, user, users);
    if (error !== undefined) {
      results.push({ user, ...error });
      continue;
    }
    const changes: CredentialChange[] = [
      ...deletions
        .filter(({ name }) => name === user)
        .map(({ mechanism }) => ({ user, mechanism: mechanismOf(mechanism) as ScramName, credential: null })),
      ...upsertions
        .filter(({ name }) => name === user)
        .map(({ mechanism: code, iterations, salt, saltedPassword }) => {
          const mechanism = mechanismOf(code) as ScramName;
          // The request's bytes go with its frame.
          const credential = credentialOf(mechanism, saltedPassword, Buffer.from(salt), iterations);
          return { user, mechanism, credential };
        }),
    ];
    results.push({ user, ...(await users.change(changes).then(() => NO_ERROR, kafkaError)) });
  }
  return { results };
};

function refusal(
  { deletions, upsertions }: Request,
  user: string,
  users: BrokerContext['users'],
): KafkaError | undefined {
  if (user === '') return fault(E.UNACCEPTABLE_CREDENTIAL, 'a user has a name');
  const own = [...deletions, ...upsertions].filter(({ name }) => name === user);
  const codes = own.map(({ mechanism }) => mechanism);
  if (new Set(codes).size < codes.length) return fault(E.DUPLICATE_RESOURCE, 'a mechanism is named more than once');
  const unknown = codes.find((code) => mechanismOf(code) === undefined);
  if (unknown !== undefined) return fault(E.UNSUPPORTED_SASL_MECHANISM, `there is no SCRAM mechanism ${unknown}`);
  for (const { name, iterations, salt, saltedPassword, mechanism } of upsertions) {
    if (name !== user) continue;
    if (iterations < LEAST_ITERATIONS || iterations > MOST_ITERATIONS)
      return fault(
        E.UNACCEPTABLE_CREDENTIAL,
        `${iterations} iterations; from ${LEAST_ITERATIONS} to ${MOST_ITERATIONS} are taken`,
      );
    const { bytes } = SCRAM[mechanismOf(mechanism) as ScramName];
    if (salt.length === 0 || saltedPassword.length !== bytes)
      return fault(E.UNACCEPTABLE_CREDENTIAL, `a salt, and ${bytes} bytes of salted password, are needed`);
  }
  for (const { name, mechanism } of deletions) {
    if (name === user && users.credential(user, mechanismOf(mechanism) as ScramName) === undefined)
      return fault(E.RESOURCE_NOT_FOUND, `there is no such credential of ${user}`);
  }
  return undefined;
}
