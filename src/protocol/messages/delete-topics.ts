import { api, array, int16, int32, string, uuid, type Value } from '../schema.ts';

export const deleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: '1-6',
  flexible: '4+',
  request: {
    topics: array(
      {
        name: string('6+', { nullable: '6+', default: null }),
        topicId: uuid('6+'),
      },
      '6+',
    ),
    topicNames: array(string(), '0-5'),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32('1+'),
    responses: array({
      name: string('0+', { nullable: '6+' }),
      topicId: uuid('6+'),
      errorCode: int16(),
      errorMessage: string('5+', { nullable: '5+', default: null }),
    }),
  },
});

export type DeleteTopicsRequest = Value<typeof deleteTopics.request.fields>;
export type DeleteTopicsResponse = Value<typeof deleteTopics.response.fields>;
