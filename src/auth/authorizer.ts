import {
  type AclBinding,
  aclKey,
  covers,
  EVERYBODY,
  IMPLIED_BY,
  OPERATION,
  PATTERN,
  PERMISSION,
  WILDCARD,
} from './acl.ts';

export interface AuthorizerSettings {
  /** Principals (`User:name`) that may do everything. */
  readonly superUsers: readonly string[];
  /** What holds for a resource that no binding covers (allow.everyone.if.no.acl.found). */
  readonly allowIfNoAcl: boolean;
}

/** Verdicts kept before all are forgotten. */
const MOST_VERDICTS = 20_000;

/**
 * Who may do what, by the rules of Kafka's StandardAuthorizer: super users everything; else a binding that denies wins over all that allow,
 * and without one that allows the answer is no. A denial of an operation is of that one only; to be allowed some implies others (acl.ts).
 * A check looks at the bindings that cover the name: one look-up for the name, one for `*`, one for each length of a prefix that exists.
 * Verdicts are kept until a binding changes.
 */
export class Authorizer {
  #superUsers: ReadonlySet<string> = new Set();
  #allowIfNoAcl = false;
  readonly #bindings = new Map<string, AclBinding>();
  /** By resource type and name, or by resource type and prefix. */
  readonly #literal = new Map<string, Set<AclBinding>>();
  readonly #prefixed = new Map<string, Set<AclBinding>>();
  /** How many prefixes have each length. */
  readonly #prefixLengths = new Map<number, number>();
  readonly #verdicts = new Map<string, boolean>();

  constructor(settings: AuthorizerSettings) {
    this.configure(settings);
  }

  /** Takes other settings, from the next check on. */
  configure({ superUsers, allowIfNoAcl }: AuthorizerSettings): void {
    this.#superUsers = new Set(superUsers);
    this.#allowIfNoAcl = allowIfNoAcl;
    this.#verdicts.clear();
  }

  bindings(): IterableIterator<AclBinding> {
    return this.#bindings.values();
  }

  has(acl: AclBinding): boolean {
    return this.#bindings.has(aclKey(acl));
  }

  add(acl: AclBinding): void {
    const key = aclKey(acl);
    if (this.#bindings.has(key)) return;
    this.#verdicts.clear();
    this.#bindings.set(key, acl);
    const index = acl.patternType === PATTERN.prefixed ? this.#prefixed : this.#literal;
    const place = placeOf(acl.resourceType, acl.resourceName);
    const known = index.get(place);
    if (known !== undefined) {
      known.add(acl);
      return;
    }
    index.set(place, new Set([acl]));
    if (index === this.#prefixed) {
      const { length } = acl.resourceName;
      this.#prefixLengths.set(length, (this.#prefixLengths.get(length) ?? 0) + 1);
    }
  }

  remove(acl: AclBinding): void {
    const key = aclKey(acl);
    const known = this.#bindings.get(key);
    if (known === undefined) return;
    this.#verdicts.clear();
    this.#bindings.delete(key);
    const index = acl.patternType === PATTERN.prefixed ? this.#prefixed : this.#literal;
    const place = placeOf(acl.resourceType, acl.resourceName);
    const there = index.get(place);
    there?.delete(known);
    if (there?.size !== 0) return;
    index.delete(place);
    if (index === this.#prefixed) {
      const { length } = acl.resourceName;
      const left = (this.#prefixLengths.get(length) ?? 1) - 1;
      if (left === 0) this.#prefixLengths.delete(length);
      else this.#prefixLengths.set(length, left);
    }
  }

  /** `principal` as `User:name`, `host` as an address. */
  allows(principal: string, host: string, operation: number, resourceType: number, name: string): boolean {
    if (this.#superUsers.has(principal)) return true;
    const asked = `${operation} ${resourceType} ${host} ${principal}\n${name}`;
    const known = this.#verdicts.get(asked);
    if (known !== undefined) return known;
    const verdict = this.#decide(principal, host, operation, resourceType, name);
    if (this.#verdicts.size >= MOST_VERDICTS) this.#verdicts.clear();
    this.#verdicts.set(asked, verdict);
    return verdict;
  }

  /** Whether there is any resource of the type on which the operation is allowed (Authorizer.authorizeByResourceType). */
  allowsAny(principal: string, host: string, operation: number, resourceType: number): boolean {
    if (this.#superUsers.has(principal)) return true;
    const mine = [...this.#bindings.values()].filter(
      (acl) => acl.resourceType === resourceType && isOf(acl, principal, host) && concerns(acl, operation),
    );
    const denied = mine.filter(({ permission }) => permission === PERMISSION.deny);
    const everything = (acl: AclBinding): boolean =>
      acl.patternType === PATTERN.literal && acl.resourceName === WILDCARD;
    if (denied.some(everything)) return false;
    if (this.#allowIfNoAcl) return true;
    return mine.some((acl) => {
      if (acl.permission !== PERMISSION.allow) return false;
      if (everything(acl)) return true;
      return !denied.some((other) =>
        acl.patternType === PATTERN.prefixed && other.patternType !== PATTERN.prefixed
          ? false
          : covers(other, acl.resourceName),
      );
    });
  }

  #decide(principal: string, host: string, operation: number, resourceType: number, name: string): boolean {
    const enough = IMPLIED_BY[operation] ?? [];
    let found = false;
    let allowed = false;
    for (const acl of this.#covering(resourceType, name)) {
      found = true;
      if (!isOf(acl, principal, host)) continue;
      if (acl.permission === PERMISSION.deny) {
        if (concerns(acl, operation)) return false;
      } else if (concerns(acl, operation) || enough.includes(acl.operation)) allowed = true;
    }
    return allowed || (!found && this.#allowIfNoAcl);
  }

  *#covering(resourceType: number, name: string): IterableIterator<AclBinding> {
    yield* this.#literal.get(placeOf(resourceType, name)) ?? [];
    if (name !== WILDCARD) yield* this.#literal.get(placeOf(resourceType, WILDCARD)) ?? [];
    for (const length of this.#prefixLengths.keys()) {
      if (length <= name.length) yield* this.#prefixed.get(placeOf(resourceType, name.slice(0, length))) ?? [];
    }
  }
}

const placeOf = (resourceType: number, name: string): string => `${resourceType} ${name}`;

const isOf = (acl: AclBinding, principal: string, host: string): boolean =>
  (acl.principal === principal || acl.principal === EVERYBODY) && (acl.host === host || acl.host === WILDCARD);

const concerns = (acl: AclBinding, operation: number): boolean =>
  acl.operation === operation || acl.operation === OPERATION.all;
