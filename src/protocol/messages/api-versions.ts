import { api, array, bool, int16, int32, int64, string, type Value } from '../schema.ts';

export const apiVersions = api({
  key: 18,
  name: 'ApiVersions',
  versions: '0-4',
  flexible: '3+',
  request: {
    clientSoftwareName: string('3+'),
    clientSoftwareVersion: string('3+'),
  },
  response: {
    errorCode: int16(),
    apiKeys: array({
      apiKey: int16(),
      minVersion: int16(),
      maxVersion: int16(),
    }),
    throttleTimeMs: int32('1+'),
    supportedFeatures: array(
      {
        name: string('3+'),
        minVersion: int16('3+'),
        maxVersion: int16('3+'),
      },
      '3+',
      { tag: 0, tagged: '3+' },
    ),
    finalizedFeaturesEpoch: int64('3+', { default: -1, tag: 1, tagged: '3+' }),
    finalizedFeatures: array(
      {
        name: string('3+'),
        maxVersionLevel: int16('3+'),
        minVersionLevel: int16('3+'),
      },
      '3+',
      { tag: 2, tagged: '3+' },
    ),
    zkMigrationReady: bool('3+', { tag: 3, tagged: '3+' }),
  },
});

export type ApiVersionsRequest = Value<typeof apiVersions.request.fields>;
export type ApiVersionsResponse = Value<typeof apiVersions.response.fields>;
