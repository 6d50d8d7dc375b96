import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { APIS, type ApiName, advertisedVersions, type ResponseInput } from '../../protocol/protocol.ts';
import type { Handler } from '../context.ts';

const API_KEYS = (Object.keys(APIS) as ApiName[]).map(advertisedVersions).sort((a, b) => a.apiKey - b.apiKey);

/**
 * The features of the cluster (KIP-584) that clients look at, all at their highest level. The lowest is told as 1: clients before 4.0 cannot
 * read a 0 (KAFKA-17492). group.version 1: the consumer protocol (KIP-848). transaction.version 2: each transaction has an epoch of its own (KIP-890).
 */
export const FEATURES = [
  { name: 'group.version', min: 1, max: 1 },
  { name: 'transaction.version', min: 1, max: 2 },
] as const;

/** All that is implemented, and nothing else: clients take what is advertised for what may be used. */
export const apiVersionsAnswer = (unsupported: boolean): ResponseInput<'apiVersions'> => ({
  errorCode: unsupported ? E.UNSUPPORTED_VERSION : E.NONE,
  apiKeys: API_KEYS,
  supportedFeatures: FEATURES.map(({ name, min, max }) => ({ name, minVersion: min, maxVersion: max })),
  finalizedFeaturesEpoch: 0,
  finalizedFeatures: FEATURES.map(({ name, max }) => ({ name, minVersionLevel: max, maxVersionLevel: max })),
});

/** The client says what it is, too (KIP-511). */
export const apiVersions: Handler<'apiVersions'> = ({ clientSoftwareName, clientSoftwareVersion }, { software }) => {
  software.name = clientSoftwareName;
  software.version = clientSoftwareVersion;
  return apiVersionsAnswer(false);
};
