import { api, array, int16, int32, string, type Value } from '../schema.ts';

export const deleteGroups = api({
  key: 42,
  name: 'DeleteGroups',
  versions: '0-2',
  flexible: '2+',
  request: {
    groupsNames: array(string()),
  },
  response: {
    throttleTimeMs: int32(),
    results: array({
      groupId: string(),
      errorCode: int16(),
    }),
  },
});

export type DeleteGroupsRequest = Value<typeof deleteGroups.request.fields>;
export type DeleteGroupsResponse = Value<typeof deleteGroups.response.fields>;
