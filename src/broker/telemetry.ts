import { StreamError } from '../lib/errors.ts';
import { Regex } from '../lib/regex.ts';
import { CLIENT_METRICS_TOPIC, METRIC_SUBSCRIPTIONS_TOPIC } from '../ports/internal-topics.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import type { Storage } from '../storage/storage.ts';
import { DurableMap } from './durable-map.ts';
import { InternalLog } from './internal-log.ts';
import type { ClientMetric } from './otlp.ts';

const CONFIG = { 'retention.ms': '604800000', 'retention.bytes': '268435456', 'segment.bytes': '16777216' };
const LEAST_INTERVAL_MS = 100;
const MOST_INTERVAL_MS = 3_600_000;
const DEFAULT_INTERVAL_MS = 300_000;
/** Clients that are remembered; the longest silent go first. */
const MOST_CLIENTS = 10_000;
const CLIENT_KEYS = [
  'client_instance_id',
  'client_id',
  'client_software_name',
  'client_software_version',
  'client_source_address',
  'client_source_port',
] as const;

/** What a subscription can match on. */
export type ClientFacts = Readonly<Record<(typeof CLIENT_KEYS)[number], string>>;

/** The settings of a subscription (KIP-714), as DescribeConfigs shows them. */
export const SUBSCRIPTION_CONFIG = [
  {
    name: 'interval.ms',
    default: String(DEFAULT_INTERVAL_MS),
    type: 'int',
    doc: 'How often clients push, in milliseconds.',
  },
  { name: 'metrics', default: '', type: 'list', doc: 'Prefixes of the names of the metrics that are wanted; `*` all.' },
  {
    name: 'match',
    default: '',
    type: 'list',
    doc: `Which clients: name=regular expression, all of which must match, of ${CLIENT_KEYS.join(', ')}.`,
  },
] as const;

interface Subscription {
  readonly intervalMs: number;
  readonly metrics: readonly string[];
  readonly match: readonly { readonly key: keyof ClientFacts; readonly regex: Regex }[];
}

export interface Subscribed {
  readonly id: number;
  readonly intervalMs: number;
  /** Prefixes; empty: nothing. */
  readonly metrics: readonly string[];
}

interface Client {
  lastPushMs: number;
  terminated: boolean;
}

/**
 * Metrics that clients push of themselves (KIP-714): who is to push what is set by subscriptions, durable in `__client_metric_subscriptions`;
 * what they push are JSON records of the topic `__client_metrics`, kept for 7 days or 256 MB.
 */
export class Telemetry {
  readonly #map: DurableMap;
  readonly #topic: InternalLog;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #clients = new Map<string, Client>();

  private constructor(map: DurableMap, topic: InternalLog) {
    this.#map = map;
    this.#topic = topic;
  }

  static async open(storage: Storage): Promise<Telemetry> {
    const map = await DurableMap.open(storage, METRIC_SUBSCRIPTIONS_TOPIC);
    const telemetry = new Telemetry(map, new InternalLog(storage, CLIENT_METRICS_TOPIC, CONFIG));
    for (const [name, text] of map.entries())
      telemetry.#subscriptions.set(name, parse(JSON.parse(text) as Record<string, string>));
    return telemetry;
  }

  get subscriptions(): ReadonlyMap<string, unknown> {
    return this.#subscriptions;
  }

  /** What was set of a subscription; nothing for one that does not exist. */
  settings(name: string): Readonly<Record<string, string>> {
    return JSON.parse(this.#map.get(name) ?? '{}') as Record<string, string>;
  }

  /** Sets settings, or with null takes them back; a subscription without any is gone. OPTION_INVALID; STORAGE_FAILED. */
  async alter(name: string, changes: Readonly<Record<string, string | null>>, dryRun: boolean): Promise<void> {
    const settings = { ...this.settings(name) };
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) delete settings[key];
      else settings[key] = value;
    }
    const parsed = parse(settings);
    if (dryRun) return;
    const isGone = Object.keys(settings).length === 0;
    await this.#map.set([[name, isGone ? null : JSON.stringify(settings)]]);
    if (isGone) this.#subscriptions.delete(name);
    else this.#subscriptions.set(name, parsed);
  }

  /** What a client is to push: what all subscriptions that match it want, as often as the most eager of them. */
  subscribed(facts: ClientFacts): Subscribed {
    const fitting = [...this.#subscriptions.values()].filter(({ match }) =>
      match.every(({ key, regex }) => regex.matches(facts[key])),
    );
    const metrics = [...new Set(fitting.flatMap((subscription) => subscription.metrics))].sort();
    const intervalMs = Math.min(
      ...fitting.map((one) => one.intervalMs),
      metrics.length > 0 ? MOST_INTERVAL_MS : DEFAULT_INTERVAL_MS,
    );
    return {
      id: hashOf(JSON.stringify([metrics, intervalMs])),
      intervalMs,
      metrics: metrics.includes('*') ? ['*'] : metrics,
    };
  }

  /** Whether a push comes too soon; a client may always push when it ends, once. Books the push. */
  isTooSoon(clientInstanceId: string, intervalMs: number, terminating: boolean, nowMs: number): boolean {
    const client = this.#clients.get(clientInstanceId) ?? { lastPushMs: Number.NEGATIVE_INFINITY, terminated: false };
    if (client.terminated || (!terminating && nowMs - client.lastPushMs < intervalMs / 2)) return true;
    client.lastPushMs = nowMs;
    client.terminated = terminating;
    this.#clients.delete(clientInstanceId);
    this.#clients.set(clientInstanceId, client);
    if (this.#clients.size > MOST_CLIENTS) this.#clients.delete(this.#clients.keys().next().value as string);
    return false;
  }

  /** Resolves when they are durable. STORAGE_FAILED. */
  async record(facts: ClientFacts, principal: string, metrics: readonly ClientMetric[]): Promise<void> {
    const { client_instance_id, client_id, client_software_name, client_software_version, client_source_address } =
      facts;
    const of = { client_instance_id, client_id, client_software_name, client_software_version, client_source_address };
    const records = metrics.map(({ timeMs, ...metric }): NewRecord => {
      const time = new Date(timeMs).toISOString();
      return {
        key: Buffer.from(client_instance_id),
        value: Buffer.from(JSON.stringify({ time, ...of, principal, ...metric })),
      };
    });
    if (records.length > 0) await this.#topic.append(records);
  }
}

function parse(settings: Readonly<Record<string, string>>): Subscription {
  const invalid = (message: string): StreamError => new StreamError('OPTION_INVALID', message);
  for (const name of Object.keys(settings)) {
    if (!SUBSCRIPTION_CONFIG.some((known) => known.name === name))
      throw invalid(`there is no setting ${name} of client metrics`);
  }
  const intervalMs = Number(settings['interval.ms'] ?? DEFAULT_INTERVAL_MS);
  if (!Number.isInteger(intervalMs) || intervalMs < LEAST_INTERVAL_MS || intervalMs > MOST_INTERVAL_MS)
    throw invalid(
      `interval.ms is ${settings['interval.ms']}; from ${LEAST_INTERVAL_MS} to ${MOST_INTERVAL_MS} are taken`,
    );
  const list = (text = ''): string[] =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
  const match = list(settings['match']).map((pair) => {
    const [key, ...pattern] = pair.split('=');
    const known = CLIENT_KEYS.find((one) => one === key?.trim());
    if (known === undefined) throw invalid(`match knows ${CLIENT_KEYS.join(', ')}, not ${key}`);
    try {
      return { key: known, regex: new Regex(pattern.join('=')) };
    } catch (thrown) {
      throw invalid(`match, ${key}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  });
  return { intervalMs, metrics: list(settings['metrics']), match };
}

function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}
