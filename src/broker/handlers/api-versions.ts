import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { APIS, type ApiName, advertisedVersions, type ResponseInput } from '../../protocol/protocol.ts';
import type { Handler } from '../context.ts';

const API_KEYS = (Object.keys(APIS) as ApiName[]).map(advertisedVersions).sort((a, b) => a.apiKey - b.apiKey);

/** All that is implemented, and nothing else: clients take what is advertised for what may be used. */
export const apiVersionsAnswer = (unsupported: boolean): ResponseInput<'apiVersions'> => ({
  errorCode: unsupported ? E.UNSUPPORTED_VERSION : E.NONE,
  apiKeys: API_KEYS,
});

export const apiVersions: Handler<'apiVersions'> = () => apiVersionsAnswer(false);
