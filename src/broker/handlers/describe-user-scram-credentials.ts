import { SCRAM, SCRAM_NAMES } from '../../auth/credentials.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';

/** Which mechanisms users have credentials for, and with how many iterations. No users: all (KIP-554). */
export const describeUserScramCredentials: Handler<'describeUserScramCredentials'> = (request, _call, { users }) => {
  const wanted = request.users ?? [];
  const names = wanted.length === 0 ? [...users.names()].sort() : wanted.map(({ name }) => name);
  const results = [...new Set(names)].map((user) => {
    if (names.filter((name) => name === user).length > 1) {
      const errorMessage = `${user} is named more than once`;
      return { user, errorCode: E.DUPLICATE_RESOURCE, errorMessage, credentialInfos: [] };
    }
    const credentialInfos = SCRAM_NAMES.flatMap((mechanism) => {
      const iterations = users.credential(user, mechanism)?.iterations;
      return iterations === undefined ? [] : [{ mechanism: SCRAM[mechanism].code, iterations }];
    });
    if (credentialInfos.length > 0) return { user, ...NO_ERROR, credentialInfos };
    const errorMessage = `there is no SCRAM credential of ${user}`;
    return { user, errorCode: E.RESOURCE_NOT_FOUND, errorMessage, credentialInfos };
  });
  return { ...NO_ERROR, results };
};
