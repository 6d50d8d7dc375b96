import { type AclBinding, type AclFilter, aclKey, matches } from '../auth/acl.ts';
import { Authorizer, type AuthorizerSettings } from '../auth/authorizer.ts';
import { ACLS_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { DurableMap } from './durable-map.ts';

/** The bindings, durable in `__acls`, and the authorizer that goes by them. */
export class AclStore {
  readonly authorizer: Authorizer;
  readonly #map: DurableMap;

  private constructor(map: DurableMap, authorizer: Authorizer) {
    this.#map = map;
    this.authorizer = authorizer;
  }

  static async open(storage: Storage, settings: AuthorizerSettings): Promise<AclStore> {
    const map = await DurableMap.open(storage, ACLS_TOPIC);
    const store = new AclStore(map, new Authorizer(settings));
    for (const [, text] of map.entries()) store.authorizer.add(JSON.parse(text) as AclBinding);
    return store;
  }

  matching(filter: AclFilter): AclBinding[] {
    return [...this.authorizer.bindings()].filter((acl) => matches(filter, acl));
  }

  /** In force when this resolves; all of them or none. STORAGE_FAILED. */
  async add(acls: readonly AclBinding[]): Promise<void> {
    const added = acls.filter((acl) => !this.authorizer.has(acl));
    await this.#map.set(added.map((acl) => [aclKey(acl), JSON.stringify(acl)]));
    for (const acl of added) this.authorizer.add(acl);
  }

  /** As `add`. */
  async remove(acls: readonly AclBinding[]): Promise<void> {
    await this.#map.set(acls.map((acl) => [aclKey(acl), null]));
    for (const acl of acls) this.authorizer.remove(acl);
  }
}
