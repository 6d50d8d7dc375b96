import { api, array, int8, int16, int32, string, type Value } from '../schema.ts';

export const listConfigResources = api({
  key: 74,
  name: 'ListConfigResources',
  versions: '0-1',
  flexible: '0+',
  request: {
    resourceTypes: array(int8(), '1+'),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    configResources: array({
      resourceName: string(),
      resourceType: int8('1+', { default: 16 }),
    }),
  },
});

export type ListConfigResourcesRequest = Value<typeof listConfigResources.request.fields>;
export type ListConfigResourcesResponse = Value<typeof listConfigResources.response.fields>;
