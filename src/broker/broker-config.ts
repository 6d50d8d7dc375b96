import type { ConsumerTimes } from '../consumer/group-settings.ts';
import { StreamError } from '../lib/errors.ts';
import { CONFIGS_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { BROKER_CONFIG, type BrokerConfigRow, GROUP_CONFIG, isFixed } from './broker-config-rows.ts';
import { BROKER_DEFAULTS, type BrokerSettings } from './broker-settings.ts';
import { DurableMap } from './durable-map.ts';

/** Whom a change is for: all brokers, or the one there is. The second goes before the first. */
export type BrokerScope = 'cluster' | 'broker';

export type Changes = Readonly<Record<string, string | null>>;
type Values = Readonly<Record<string, string>>;

const ROWS = new Map(BROKER_CONFIG.map((row) => [row.name, row]));
const invalid = (message: string, hint?: string): StreamError =>
  new StreamError('OPTION_INVALID', message, hint === undefined ? {} : { hint });

/**
 * The settings of the broker and of groups that are changed while it runs, durable in `__configs`. What was set goes before what the broker was started
 * with; that before the defaults. `settings` is one object for the broker's whole life whose fields change.
 */
export class BrokerConfig {
  readonly settings: BrokerSettings;
  readonly #started: BrokerSettings;
  readonly #storage: Storage;
  readonly #map: DurableMap;
  readonly #listeners: ((settings: BrokerSettings) => void)[] = [];
  #groups = new Map<string, Values>();

  static async open(storage: Storage, started: BrokerSettings): Promise<BrokerConfig> {
    const config = new BrokerConfig(storage, await DurableMap.open(storage, CONFIGS_TOPIC), started);
    config.#apply();
    return config;
  }

  private constructor(storage: Storage, map: DurableMap, started: BrokerSettings) {
    this.#storage = storage;
    this.#map = map;
    this.#started = started;
    this.settings = { ...started };
  }

  /** Called whenever the settings have changed, and at once. */
  follow(listener: (settings: BrokerSettings) => void): void {
    this.#listeners.push(listener);
    listener(this.settings);
  }

  /** What was set, by Kafka's names. */
  ofBroker(scope: BrokerScope): Values {
    return this.#read(`broker/${scope}`);
  }

  /** What the broker was started with, in Kafka's unit; undefined for what it was not told. */
  startedWith({ setting, unit = 1 }: BrokerConfigRow): string | undefined {
    if (setting === undefined || this.#started[setting] === BROKER_DEFAULTS[setting]) return undefined;
    return shown(this.#started[setting], unit);
  }

  /** In force and durable when this resolves. OPTION_INVALID, STORAGE_FAILED; with `dryRun` only checks. */
  async alterBroker(scope: BrokerScope, changes: Changes, dryRun: boolean): Promise<void> {
    for (const [name, value] of Object.entries(changes)) checkBroker(name, value, this.#started.authorizer);
    const next = merged(this.ofBroker(scope), changes);
    this.#storage.changeDefaults(this.#topicDefaults({ [scope]: next }), { dryRun: true });
    if (dryRun) return;
    await this.#write(`broker/${scope}`, next);
    this.#apply();
  }

  /** Of each group for which something is set. */
  get groups(): ReadonlyMap<string, Values> {
    return this.#groups;
  }

  /** As members are told, within the bounds that the broker has now. */
  timesOf(groupId: string): Partial<ConsumerTimes> {
    const own = this.#groups.get(groupId);
    if (own === undefined) return {};
    const times: Partial<Record<keyof ConsumerTimes, number>> = {};
    for (const { name, time, least, most } of GROUP_CONFIG) {
      const value = own[name];
      if (value !== undefined)
        times[time] = Math.max(this.settings[least], Math.min(this.settings[most], Number(value)));
    }
    return times;
  }

  /** As alterBroker. */
  async alterGroup(groupId: string, changes: Changes, dryRun: boolean): Promise<void> {
    if (groupId === '') throw invalid('settings of a group need the name of one');
    for (const name of Object.keys(changes)) {
      if (!GROUP_CONFIG.some((row) => row.name === name))
        throw invalid(
          `there is no group setting ${name}`,
          `settings: ${GROUP_CONFIG.map((row) => row.name).join(', ')}`,
        );
    }
    const next = merged(this.#groups.get(groupId) ?? {}, changes);
    const values = GROUP_CONFIG.map(({ name, setting, least, most }) => {
      const value = next[name];
      if (value === undefined) return this.settings[setting];
      const isBound = /^\d{1,9}$/u.test(value) && +value >= this.settings[least] && +value <= this.settings[most];
      if (!isBound)
        throw invalid(
          `${name} must be a whole number from ${this.settings[least]} to ${this.settings[most]}, not ${value}`,
        );
      return Number(value);
    });
    const [heartbeatMs, sessionMs] = values as [number, number];
    if (heartbeatMs >= sessionMs)
      throw invalid(
        `the heartbeat interval of ${heartbeatMs} ms must be shorter than the session timeout of ${sessionMs} ms`,
      );
    if (dryRun) return;
    await this.#write(`group/${groupId}`, next);
    this.#apply();
  }

  #apply(): void {
    const set = { ...this.ofBroker('cluster'), ...this.ofBroker('broker') };
    const next: Record<string, unknown> = { ...this.#started };
    for (const { name, setting, unit = 1, type } of BROKER_CONFIG) {
      const value = set[name];
      if (value === undefined || setting === undefined) continue;
      next[setting] = type === 'boolean' ? value === 'true' : type === 'string' ? value : Number(value) * unit;
    }
    Object.assign(this.settings, next);
    this.#storage.changeDefaults(this.#topicDefaults({}));
    this.#groups = new Map();
    for (const [key, text] of this.#map.entries())
      if (key.startsWith('group/')) this.#groups.set(key.slice('group/'.length), JSON.parse(text) as Values);
    for (const listener of this.#listeners) listener(this.settings);
  }

  #topicDefaults(instead: Partial<Record<BrokerScope, Values>>): Values {
    const set = { ...(instead.cluster ?? this.ofBroker('cluster')), ...(instead.broker ?? this.ofBroker('broker')) };
    return Object.fromEntries(
      Object.entries(set).flatMap(([name, value]) => {
        const topic = ROWS.get(name)?.topic;
        return topic === undefined ? [] : [[topic, value]];
      }),
    );
  }

  #read(key: string): Values {
    return JSON.parse(this.#map.get(key) ?? '{}') as Values;
  }

  #write(key: string, values: Values): Promise<void> {
    return this.#map.set([[key, Object.keys(values).length === 0 ? null : JSON.stringify(values)]]);
  }
}

export const shown = (value: number | boolean | string, unit: number): string =>
  String(typeof value === 'number' ? value / unit : value);

function merged(before: Values, changes: Changes): Values {
  const next: Record<string, string> = { ...before };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete next[name];
    else next[name] = value;
  }
  return next;
}

function checkBroker(name: string, value: string | null, authorizes: boolean): void {
  const row = ROWS.get(name);
  if (row === undefined)
    throw invalid(
      `there is no broker setting ${name}, or it would have no effect here`,
      'DescribeConfigs of the broker lists those there are',
    );
  if (value === null) return;
  if (isFixed(row)) throw invalid(`broker setting ${name} cannot be changed while the broker runs`);
  if (row.needsAuthorizer === true && !authorizes)
    throw invalid(
      `broker setting ${name} has no effect without the authorizer`,
      'start the server with kafka.authorizer',
    );
  if (!row.valid(value)) throw invalid(`broker setting ${name} must be ${row.allowed}, not ${value}`);
}
