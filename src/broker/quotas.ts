import type { Clock } from '../lib/clock.ts';
import { CLIENT_QUOTAS_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { DurableMap } from './durable-map.ts';

/** What can be limited, by what it is about, with the unit of the number (Kafka's documentation, "Quotas"; KIP-599, KIP-612). */
export const QUOTA_KEYS: Readonly<Record<string, { readonly of: 'client' | 'ip'; readonly doc: string }>> = {
  producer_byte_rate: { of: 'client', doc: 'bytes of Produce requests a second' },
  consumer_byte_rate: { of: 'client', doc: 'bytes of Fetch answers a second' },
  request_percentage: { of: 'client', doc: 'processor time of requests, in percent of one thread' },
  controller_mutation_rate: { of: 'client', doc: 'partitions created or deleted a second' },
  connection_creation_rate: { of: 'ip', doc: 'connections a second' },
};
export type QuotaKey = keyof typeof QUOTA_KEYS;

export type EntityType = 'user' | 'client-id' | 'ip';
const ENTITY_ORDER: readonly EntityType[] = ['user', 'client-id', 'ip'];

/** Whom a quota is for: one or two of these; a null name is everybody that has no quota by name. */
export interface Entity {
  readonly type: EntityType;
  readonly name: string | null;
}

export const isEntityType = (type: string): type is EntityType => ENTITY_ORDER.includes(type as EntityType);

/** An answer is held back no longer than this, so that a client does not take the server for dead; what is owed stays owed. */
const MOST_THROTTLE_MS = 10_000;
/** What may be used at once after a pause, in seconds of the rate. */
const BURST_MS = 1000;
/** Accounts that are kept; the oldest go, and with them at most what they owe. */
const MOST_ACCOUNTS = 100_000;

/**
 * Quotas of users, client ids and addresses, durable in `__client_quotas`, and what everybody has used of them. Use is booked as time that has to
 * pass at the rate of the quota: who is ahead of the clock is throttled until it has caught up. The most specific quota that fits holds (KIP-13).
 */
export class Quotas {
  readonly #map: DurableMap;
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly entity: readonly Entity[]; readonly values: Map<string, number> }>();
  /** How far each account is paid for, monotonic ms. */
  readonly #paidUntilMs = new Map<string, number>();

  private constructor(map: DurableMap, clock: Clock) {
    this.#map = map;
    this.#clock = clock;
  }

  static async open(storage: Storage, clock: Clock): Promise<Quotas> {
    const map = await DurableMap.open(storage, CLIENT_QUOTAS_TOPIC);
    const quotas = new Quotas(map, clock);
    for (const [key, text] of map.entries()) {
      const entity = JSON.parse(key) as Entity[];
      quotas.#entries.set(key, { entity, values: new Map(Object.entries(JSON.parse(text) as Record<string, number>)) });
    }
    return quotas;
  }

  /** Without any quota nothing needs to be booked. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  entries(): IterableIterator<{ readonly entity: readonly Entity[]; readonly values: ReadonlyMap<string, number> }> {
    return this.#entries.values();
  }

  /** Sets quotas of an entity; null takes one away. In force when this resolves. STORAGE_FAILED. */
  async change(entity: readonly Entity[], changes: ReadonlyMap<string, number | null>): Promise<void> {
    const sorted = [...entity].sort((a, b) => ENTITY_ORDER.indexOf(a.type) - ENTITY_ORDER.indexOf(b.type));
    const key = JSON.stringify(sorted.map(({ type, name }) => ({ type, name })));
    const values = new Map(this.#entries.get(key)?.values ?? []);
    for (const [name, value] of changes) {
      if (value === null) values.delete(name);
      else values.set(name, value);
    }
    await this.#map.set([[key, values.size === 0 ? null : JSON.stringify(Object.fromEntries(values))]]);
    if (values.size === 0) this.#entries.delete(key);
    else this.#entries.set(key, { entity: sorted, values });
  }

  /** Books the use of a client and tells for how many ms it is to be throttled. */
  use(key: QuotaKey, user: string, clientId: string, amount: number): number {
    const found = this.#find(key, user, clientId);
    return found === undefined ? 0 : this.#book(`${key} ${found.account}`, (amount / found.value) * 1000);
  }

  /** As `use`, without booking anything. */
  owes(key: QuotaKey, user: string, clientId: string): number {
    const found = this.#find(key, user, clientId);
    return found === undefined ? 0 : this.#book(`${key} ${found.account}`, 0);
  }

  /** Books a connection from an address; whether there is one too many. */
  refusesConnection(ip: string): boolean {
    const value = this.#valueOf('connection_creation_rate', [{ type: 'ip', name: ip }], [{ type: 'ip', name: null }]);
    if (value === undefined) return false;
    const account = `connection ${ip}`;
    if (this.#book(account, 0) > 0) return true;
    this.#book(account, 1000 / value);
    return false;
  }

  /** The quota of the most specific entity, and the account that it is booked on: each user or client of a default has one of its own. */
  #find(key: QuotaKey, user: string, clientId: string): { value: number; account: string } | undefined {
    const users: readonly (string | null)[] = [user, null];
    const clients: readonly (string | null)[] = [clientId, null];
    for (const ofUser of users) {
      for (const ofClient of clients) {
        const value = this.#entries
          .get(entityKey({ type: 'user', name: ofUser }, { type: 'client-id', name: ofClient }))
          ?.values.get(key);
        if (value !== undefined) return { value, account: JSON.stringify([user, clientId]) };
      }
      const value = this.#entries.get(entityKey({ type: 'user', name: ofUser }))?.values.get(key);
      if (value !== undefined) return { value, account: JSON.stringify([user]) };
    }
    for (const ofClient of clients) {
      const value = this.#entries.get(entityKey({ type: 'client-id', name: ofClient }))?.values.get(key);
      if (value !== undefined) return { value, account: JSON.stringify([null, clientId]) };
    }
    return undefined;
  }

  #valueOf(key: QuotaKey, ...entities: readonly (readonly Entity[])[]): number | undefined {
    for (const entity of entities) {
      const value = this.#entries.get(entityKey(...entity))?.values.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #book(account: string, costMs: number): number {
    const now = this.#clock.monotonicMs();
    const before = this.#paidUntilMs.get(account) ?? now - BURST_MS;
    const paidUntilMs = Math.max(before, now - BURST_MS) + costMs;
    if (costMs > 0) {
      this.#paidUntilMs.delete(account);
      this.#paidUntilMs.set(account, paidUntilMs);
      if (this.#paidUntilMs.size > MOST_ACCOUNTS) {
        for (const oldest of this.#paidUntilMs.keys()) {
          this.#paidUntilMs.delete(oldest);
          break;
        }
      }
    }
    return Math.min(MOST_THROTTLE_MS, Math.max(0, Math.ceil(paidUntilMs - now)));
  }
}

const entityKey = (...entity: readonly Entity[]): string =>
  JSON.stringify(entity.map(({ type, name }) => ({ type, name })));
