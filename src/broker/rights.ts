import { CLUSTER_NAME, OPERATION, RESOURCE } from '../auth/acl.ts';
import type { Authorizer } from '../auth/authorizer.ts';
import { principalText } from '../auth/principal.ts';
import type { ApiName } from '../protocol/protocol.ts';
import type { Audit } from './audit.ts';
import type { Call } from './context.ts';

/** What the caller of one request may do. `may` asks; `must` also writes a refusal to the audit log. */
export class Rights {
  readonly #authorizer: Authorizer;
  readonly #audit: Audit | undefined;
  readonly #api: ApiName;
  readonly #principal: string;
  readonly #host: string;

  constructor(authorizer: Authorizer, audit: Audit | undefined, api: ApiName, call: Call) {
    this.#authorizer = authorizer;
    this.#audit = audit;
    this.#api = api;
    this.#principal = principalText(call.principal);
    this.#host = hostOf(call);
  }

  may(operation: number, resourceType: number, name: string): boolean {
    return this.#authorizer.allows(this.#principal, this.#host, operation, resourceType, name);
  }

  must(operation: number, resourceType: number, name: string): boolean {
    if (this.may(operation, resourceType, name)) return true;
    this.#audit?.denied(this.#principal, this.#host, this.#api, operation, resourceType, name);
    return false;
  }

  mustOnCluster(operation: number): boolean {
    return this.must(operation, RESOURCE.cluster, CLUSTER_NAME);
  }

  /** Whether to give producer ids to somebody without a transaction: whoever may write to any topic may have one (KIP-679). */
  mustWriteIdempotently(): boolean {
    if (this.#authorizer.allowsAny(this.#principal, this.#host, OPERATION.write, RESOURCE.topic)) return true;
    return this.mustOnCluster(OPERATION.idempotentWrite);
  }

  /** Of operations as a bit field those that are allowed. */
  masked(bits: number, resourceType: number, name: string): number {
    let allowed = 0;
    for (let operation = 0; operation < 31; operation++) {
      const bit = 1 << operation;
      if ((bits & bit) !== 0 && this.may(operation, resourceType, name)) allowed |= bit;
    }
    return allowed;
  }
}

/** The address as ACLs write it. */
export const hostOf = ({ clientHost }: Call): string => clientHost.slice(1).replace(/^::ffff:/u, '');
