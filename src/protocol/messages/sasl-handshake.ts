import { api, array, int16, string, type Value } from '../schema.ts';

export const saslHandshake = api({
  key: 17,
  name: 'SaslHandshake',
  versions: '0-1',
  flexible: 'none',
  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    mechanisms: array(string()),
  },
});

export type SaslHandshakeRequest = Value<typeof saslHandshake.request.fields>;
export type SaslHandshakeResponse = Value<typeof saslHandshake.response.fields>;
