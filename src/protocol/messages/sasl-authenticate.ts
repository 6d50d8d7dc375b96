import { api, bytes, int16, int64, string, type Value } from '../schema.ts';

export const saslAuthenticate = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: '0-2',
  flexible: '2+',
  request: {
    authBytes: bytes(),
  },
  response: {
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    authBytes: bytes(),
    sessionLifetimeMs: int64('1+'),
  },
});

export type SaslAuthenticateRequest = Value<typeof saslAuthenticate.request.fields>;
export type SaslAuthenticateResponse = Value<typeof saslAuthenticate.response.fields>;
