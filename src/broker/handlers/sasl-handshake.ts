import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

/** On a listener without SASL there is nothing to shake hands about. */
export const saslHandshake: Handler<'saslHandshake'> = ({ mechanism }, { version, sasl }) => ({
  errorCode: sasl === undefined ? E.ILLEGAL_SASL_STATE : sasl.handshake(mechanism, version),
  mechanisms: sasl?.mechanisms ?? [],
});
