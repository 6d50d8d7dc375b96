import { RESOURCE as RES } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ApiName, RequestBody, ResponseInput } from '../../protocol/protocol.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { UNKNOWN_OPERATIONS } from '../authorized-operations.ts';
import type { BrokerContext, Call } from '../context.ts';
import type { Rights } from '../rights.ts';

/** Either an answer at once, or the part of the request that is allowed and what to make of its answer. */
export type Checked<A extends ApiName> =
  | { readonly answer: ResponseInput<A> }
  | {
      readonly request: RequestBody<A>;
      readonly complete?: (answer: ResponseInput<A>) => ResponseInput<A>;
    };

export type Guard<A extends ApiName> = (
  request: RequestBody<A>,
  rights: Rights,
  call: Call,
  broker: BrokerContext,
) => Checked<A>;

export type Guards<Names extends ApiName> = { readonly [A in Names]: Guard<A> };

/** What items of a request the caller may have, and the others. */
export function split<T>(items: readonly T[], isAllowed: (item: T) => boolean): [allowed: T[], refused: T[]] {
  const allowed: T[] = [];
  const refused: T[] = [];
  for (const item of items) (isAllowed(item) ? allowed : refused).push(item);
  return [allowed, refused];
}

export const pass = <A extends ApiName>(request: RequestBody<A>): Checked<A> => ({ request });
export const REFUSED_GROUP = {
  errorCode: E.GROUP_AUTHORIZATION_FAILED,
  errorMessage: 'not authorized to access the group',
};
export const REFUSED_CLUSTER = {
  errorCode: E.CLUSTER_AUTHORIZATION_FAILED,
  errorMessage: 'not authorized to do this to the cluster',
};
export const REFUSED_TOPIC = {
  errorCode: E.TOPIC_AUTHORIZATION_FAILED,
  errorMessage: 'not authorized to access the topic',
};

export const mayGroup = (rights: Rights, operation: number, groupId: string): boolean =>
  rights.must(operation, RES.group, groupId);

/** By name, or by id where the request has ids; a topic that does not exist is nobody's secret and left to the handler. */
export function mayTopic(
  rights: Rights,
  operation: number,
  broker: BrokerContext,
  name: string | null,
  id?: string,
): boolean {
  const known = id === undefined || id === ZERO_UUID ? name : broker.storage.topicById(id)?.name;
  return known === undefined || known === null || rights.must(operation, RES.topic, known);
}

export const onCluster =
  <A extends ApiName>(operation: number, refused: ResponseInput<A>): Guard<A> =>
  (request, rights) =>
    rights.mustOnCluster(operation) ? pass<A>(request) : { answer: refused };

/** Operations that were asked for, as far as they are allowed; none without `needed`. */
export function maskedBits(
  rights: Rights,
  bits: number | undefined,
  type: number,
  name: string,
  needed?: number,
): number {
  if (bits === undefined || bits === UNKNOWN_OPERATIONS) return UNKNOWN_OPERATIONS;
  if (needed !== undefined && !rights.may(needed, type, name)) return 0;
  return rights.masked(bits, type, name);
}
