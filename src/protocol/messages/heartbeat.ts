import { api, int16, int32, string, type Value } from '../schema.ts';

export const heartbeat = api({
  key: 12,
  name: 'Heartbeat',
  versions: '0-4',
  flexible: '4+',
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string('3+', { nullable: '3+', default: null }),
  },
  response: {
    throttleTimeMs: int32('1+'),
    errorCode: int16(),
  },
});

export type HeartbeatRequest = Value<typeof heartbeat.request.fields>;
export type HeartbeatResponse = Value<typeof heartbeat.response.fields>;
