import { api, array, bool, int8, int16, int32, string, type Value } from '../schema.ts';

export const updateFeatures = api({
  key: 57,
  name: 'UpdateFeatures',
  versions: '0-2',
  flexible: '0+',
  request: {
    timeoutMs: int32('0+', { default: 60000 }),
    featureUpdates: array({
      feature: string(),
      maxVersionLevel: int16(),
      allowDowngrade: bool('0'),
      upgradeType: int8('1+', { default: 1 }),
    }),
    validateOnly: bool('1+'),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    results: array(
      {
        feature: string(),
        errorCode: int16(),
        errorMessage: string('0+', { nullable: '0+' }),
      },
      '0-1',
    ),
  },
});

export type UpdateFeaturesRequest = Value<typeof updateFeatures.request.fields>;
export type UpdateFeaturesResponse = Value<typeof updateFeatures.response.fields>;
