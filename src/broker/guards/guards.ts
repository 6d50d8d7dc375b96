import type { ApiName } from '../../protocol/protocol.ts';
import { ADMIN_GUARDS } from './admin-guards.ts';
import { DATA_GUARDS } from './data-guards.ts';
import { GROUP_GUARDS } from './group-guards.ts';
import type { Guards } from './guard.ts';
import { TRANSACTION_GUARDS } from './transaction-guards.ts';

/**
 * For each API what its caller must be allowed, and how it is told otherwise: the one place where that is said (the operations are those of
 * Kafka's documentation, "Authorization and ACLs"). A guard takes out of the request what is refused, and puts the refusals into the handler's answer.
 */
export const GUARDS: Guards<ApiName> = {
  ...DATA_GUARDS,
  ...GROUP_GUARDS,
  ...TRANSACTION_GUARDS,
  ...ADMIN_GUARDS,
};
