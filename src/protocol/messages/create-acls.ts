import { api, array, int8, int16, int32, string, type Value } from '../schema.ts';

export const createAcls = api({
  key: 30,
  name: 'CreateAcls',
  versions: '1-3',
  flexible: '2+',
  request: {
    creations: array({
      resourceType: int8(),
      resourceName: string(),
      resourcePatternType: int8('1+', { default: 3 }),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  },
  response: {
    throttleTimeMs: int32(),
    results: array({
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
});

export type CreateAclsRequest = Value<typeof createAcls.request.fields>;
export type CreateAclsResponse = Value<typeof createAcls.response.fields>;
