import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

export const saslAuthenticate: Handler<'saslAuthenticate'> = ({ authBytes }, { sasl }) =>
  sasl?.authenticate(authBytes) ?? {
    errorCode: E.ILLEGAL_SASL_STATE,
    errorMessage: 'this listener has no SASL',
    authBytes: Buffer.alloc(0),
  };
