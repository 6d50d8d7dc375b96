import { api, array, int16, int32, string, type Value } from '../schema.ts';

export const listGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexible: '3+',
  request: {
    statesFilter: array(string(), '4+'),
    typesFilter: array(string(), '5+'),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16(),
    groups: array({
      groupId: string(),
      protocolType: string(),
      groupState: string('4+'),
      groupType: string('5+'),
    }),
  },
});

export type ListGroupsRequest = Value<typeof listGroups.request.fields>;
export type ListGroupsResponse = Value<typeof listGroups.response.fields>;
