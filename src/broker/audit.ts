import { OPERATION_NAMES, RESOURCE_NAMES } from '../auth/acl.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { AUDIT_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { InternalLog } from './internal-log.ts';

/** Denials that are alike become one record in this time. */
const GATHER_MS = 1000;
/** Different denials in that time; of more only the number is told. */
const MOST_KINDS = 1000;
const CONFIG = { 'retention.ms': '2592000000', 'retention.bytes': '268435456', 'segment.bytes': '16777216' };

/** One record of `__audit`, as JSON. */
interface AuditRecord {
  /** ISO 8601. */
  readonly at: string;
  readonly event: 'denied' | 'unauthenticated' | 'changed' | 'lost';
  readonly reason?: string;
  readonly principal?: string;
  readonly host?: string;
  readonly api?: string;
  /** Names of what was asked for or changed. */
  readonly resources?: readonly string[];
  readonly resourceType?: string;
  readonly operation?: string;
  /** Denials of this kind. */
  readonly count?: number;
}

/**
 * Who was refused what and who changed what: records of the topic `__audit`, kept for 30 days or 256 MB, to be read with SQL or by a consumer. Equal
 * denials within a second are one record with their number, so that a client that tries for ever costs one record a second and not the disk.
 */
export class Audit {
  readonly #topic: InternalLog;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #denials = new Map<string, { readonly record: AuditRecord; count: number }>();
  #lost = 0;
  /** Appends are in order: the last one ends last. */
  #written: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(storage: Storage, log: Log) {
    this.#topic = new InternalLog(storage, AUDIT_TOPIC, CONFIG);
    this.#clock = storage.clock;
    this.#log = log;
  }

  denied(principal: string, host: string, api: string, operation: number, resourceType: number, name: string): void {
    this.#gather(`${principal}\n${host}\n${api}\n${operation}\n${resourceType}\n${name}`, () => ({
      at: this.#now(),
      event: 'denied',
      principal,
      host,
      api,
      operation: OPERATION_NAMES[operation] ?? String(operation),
      resourceType: RESOURCE_NAMES[resourceType] ?? String(resourceType),
      resources: [name],
    }));
  }

  /** Somebody did not show who they are. `clientHost` as Call has it. */
  unauthenticated(clientHost: string, reason: string): void {
    const host = clientHost.slice(1);
    this.#gather(`${host}\n${reason}`, () => ({ at: this.#now(), event: 'unauthenticated', host, reason }));
  }

  /** Something was asked to be changed and was not refused as a whole. */
  changed(principal: string, host: string, api: string, resources: readonly string[]): void {
    this.#write([{ at: this.#now(), event: 'changed', principal, host, api, resources }]);
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    this.#flush();
    await this.#written;
  }

  #gather(kind: string, record: () => AuditRecord): void {
    const known = this.#denials.get(kind);
    if (known !== undefined) {
      known.count++;
      return;
    }
    this.#timer ??= this.#clock.setTimeout(() => this.#flush(), GATHER_MS);
    if (this.#denials.size < MOST_KINDS) this.#denials.set(kind, { record: record(), count: 1 });
    else this.#lost++;
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const records: AuditRecord[] = [...this.#denials.values()].map(({ record, count }) => ({ ...record, count }));
    if (this.#lost > 0) records.push({ at: this.#now(), event: 'lost', count: this.#lost });
    this.#denials.clear();
    this.#lost = 0;
    if (records.length > 0) this.#write(records);
  }

  #write(records: readonly AuditRecord[]): void {
    const lines = records.map((record) => ({
      key: record.principal === undefined ? null : Buffer.from(record.principal),
      value: Buffer.from(JSON.stringify(record)),
    }));
    this.#written = this.#topic.append(lines).catch((thrown: unknown) => {
      this.#log.error('audit.failed', { reason: String(thrown), records: lines.map(({ value }) => String(value)) });
    });
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }
}
