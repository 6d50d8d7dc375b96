/**
 * The Kafka side of the process: a TCP listener (listener.ts, connection.ts), one handler per API (handlers/, listed in
 * apis.ts), the group coordinator over `__consumer_offsets`, transactions over `__transaction_state` and producer ids over `__producer_ids`. All records live in
 * Storage; whoever appends there, through Kafka or not, wakes waiting fetches.
 */
import type { AuthorizerSettings } from '../auth/authorizer.ts';
import type { BearerSettings } from '../auth/bearer.ts';
import { SCRAM_NAMES } from '../auth/credentials.ts';
import { plainMechanism } from '../auth/plain.ts';
import { principalText } from '../auth/principal.ts';
import type { SaslMechanism } from '../auth/sasl.ts';
import { scramMechanism } from '../auth/scram.ts';
import { GroupCoordinator } from '../consumer/group-coordinator.ts';
import type { GroupSettings } from '../consumer/group-settings.ts';
import type { Clock } from '../lib/clock.ts';
import type { HostPort } from '../lib/config-table.ts';
import { StreamError } from '../lib/errors.ts';
import { cannotListen } from '../lib/listen-error.ts';
import type { Log } from '../lib/log.ts';
import type { SinkLog } from '../ports/sink-log.ts';
import type { Chunk } from '../ports/stored-bytes.ts';
import {
  type ApiName,
  decodeRequestBody,
  decodeRequestHeader,
  encodeResponseChunks,
  type RequestBody,
  type RequestHeader,
  type ResponseInput,
} from '../protocol/protocol.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { Storage } from '../storage/storage.ts';
import { TransactionCoordinator } from '../transaction/transaction-coordinator.ts';
import { AclStore } from './acl-store.ts';
import { HANDLERS } from './apis.ts';
import { Audit } from './audit.ts';
import { CHANGES } from './audited-changes.ts';
import { BrokerConfig } from './broker-config.ts';
import { BROKER_DEFAULTS, type BrokerSettings } from './broker-settings.ts';
import type { Connection } from './connection.ts';
import type { Answer, BrokerContext, Call, Handler } from './context.ts';
import { FetchSessions } from './fetch-sessions.ts';
import { FetchWaiters } from './fetch-waiters.ts';
import type { Guard } from './guards/guard.ts';
import { GUARDS } from './guards/guards.ts';
import { apiVersionsAnswer } from './handlers/api-versions.ts';
import { ConnectionCounts, Listener, type ListenerOptions } from './listener.ts';
import { type Network, nodeNetwork } from './network.ts';
import { OffsetsTopic } from './offsets-topic.ts';
import { openProducerIds } from './producer-id-topic.ts';
import { Quotas } from './quotas.ts';
import { hostOf, Rights } from './rights.ts';
import type { SaslOptions } from './sasl-session.ts';
import { BrokerSinkLog } from './sink-log.ts';
import { Telemetry } from './telemetry.ts';
import { throttleMutation } from './throttle.ts';
import { TopicsView } from './topics-view.ts';
import { PartitionMarkers } from './transaction-markers.ts';
import { TransactionsTopic } from './transactions-topic.ts';
import { UserStore } from './user-store.ts';

export interface BrokerOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** At least one; the first is the one that the process itself uses. */
  readonly listeners: readonly ListenerSpec[];
  readonly settings?: Partial<BrokerSettings>;
  /** Users to create if they do not exist, and where the text is from. */
  readonly usersFile?: { readonly text: string; readonly path: string };
  /** Ends of the member ids that groups give; random UUIDs unless told otherwise. */
  readonly newId?: () => string;
}

/** One address that clients connect to, and how they are told from each other there. */
export interface ListenerSpec {
  /** Port 0 takes any free one. */
  readonly listen: HostPort;
  /** Where clients are told to connect; defaults to the address listened on (not its name: librdkafka tries ::1 first for `localhost`). */
  readonly advertised?: HostPort;
  /** Where clients come from; TCP unless told otherwise. */
  readonly network?: Network;
  /** Clients must authenticate by one of these mechanisms. */
  readonly sasl?: {
    readonly mechanisms: readonly string[];
    readonly maxReauthMs: number;
    readonly bearer?: BearerSettings;
  };
  /** Who shows a certificate with this distinguished name. */
  readonly principalOf?: (distinguishedName: string) => string | undefined;
}

export interface BrokerStats {
  readonly connections: number;
  /** By API, since the start. */
  readonly requests: Readonly<Record<string, number>>;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** How long requests under way may take to end when the broker closes. */
const CLOSE_GRACE_MS = 2000;
const API_VERSIONS_KEY = 18;

export class Broker {
  /** HOST:PORT as the first listener advertises it. */
  readonly address: string;
  /** As advertised, in the order of the listeners. */
  readonly addresses: readonly string[];
  readonly #context: BrokerContext;
  readonly #listeners: readonly Listener[];
  readonly #requests: Record<string, number>;
  readonly #shutDown: () => void;
  #closing: Promise<void> | undefined;

  /** Loads groups and producer ids, then accepts clients. OPTION_INVALID when the address cannot be listened on. */
  static async start(options: BrokerOptions): Promise<Broker> {
    const { storage, clock, log } = options;
    const started = { ...BROKER_DEFAULTS };
    for (const key of Object.keys(BROKER_DEFAULTS) as (keyof BrokerSettings)[]) {
      const given = options.settings?.[key];
      if (given !== undefined) Object.assign(started, { [key]: given });
    }
    const sasl = options.listeners.flatMap((listener) => listener.sasl ?? []);
    Object.assign(started, {
      maxReauthMs: Math.max(0, ...sasl.map(({ maxReauthMs }) => maxReauthMs)),
      saslMechanisms: [...new Set(sasl.flatMap(({ mechanisms }) => mechanisms))].join(','),
    });
    const config = await BrokerConfig.open(storage, started);
    const { settings } = config;
    const journal = await OffsetsTopic.open(storage, log);
    const producerIds = await openProducerIds(storage);
    const topics = new TopicsView(storage);
    const groups = new GroupCoordinator({
      clock,
      journal,
      topics,
      ...(options.newId === undefined ? {} : { newId: options.newId }),
      groupConfig: (groupId) => config.timesOf(groupId),
    });
    config.follow(() => groups.configure(groupSettings(settings)));
    groups.load(journal.records(), (topic) => storage.describeTopic(topic)?.id);
    const transactionsTopic = await TransactionsTopic.open(storage, log);
    const markers = new PartitionMarkers(storage, groups, log);
    const transactions = new TransactionCoordinator({
      clock,
      journal: transactionsTopic,
      markers,
      producerIds,
    });
    config.follow(({ transactionMaxTimeoutMs: maxTimeoutMs, transactionalIdExpirationMs: idExpirationMs }) =>
      transactions.configure({ maxTimeoutMs, idExpirationMs }),
    );
    transactions.load(transactionsTopic.records());
    const acls = settings.authorizer ? await AclStore.open(storage, authorizerSettings(settings)) : undefined;
    config.follow(() => acls?.authorizer.configure(authorizerSettings(settings)));
    const quotas = await Quotas.open(storage, clock);
    const users = await UserStore.open(storage);
    if (options.usersFile !== undefined) {
      const { text, path } = options.usersFile;
      const created = await users.createMissing(text, path);
      if (created.length > 0) log.info('users.created', { users: created });
    }
    const audit = settings.audit ? new Audit(storage, log) : undefined;
    const waiters = new FetchWaiters();
    const stopListening = followTopics(storage, topics, groups, waiters);
    let closing = false;
    const shutDown = (): void => {
      closing = true;
      stopListening();
      waiters.wakeAll();
      groups.close();
      transactions.close();
    };
    const sessions = new FetchSessions(clock, settings.maxFetchSessions);
    config.follow(({ maxFetchSessions }) => {
      sessions.most = maxFetchSessions;
    });
    const requests: Record<string, number> = {};
    const isClosing = (): boolean => closing;
    const context: BrokerContext = {
      storage,
      clock,
      log,
      groups,
      producerIds,
      transactions,
      markers,
      waiters,
      sessions,
      settings,
      config,
      acls,
      audit,
      users,
      quotas,
      telemetry: await Telemetry.open(storage),
      isClosing,
    };
    const serve = (frame: Buffer, connection: Connection): Promise<Chunk[] | null> =>
      serveFrame(frame, connection, context, requests);
    const counts = new ConnectionCounts();
    const queued = { used: 0, most: 0 };
    config.follow(({ queuedMaxRequestBytes }) => {
      queued.most = queuedMaxRequestBytes;
    });
    const listeners: Listener[] = [];
    const addresses: string[] = [];
    try {
      for (const spec of options.listeners) {
        const { listen, network = nodeNetwork, principalOf } = spec;
        // Known when the port is.
        const advertised = { host: '', port: 0 };
        const listenerOptions: ListenerOptions = {
          serve,
          log,
          clock,
          counts,
          queued,
          advertised,
          refusesConnection: (ip) => !quotas.isEmpty && quotas.refusesConnection(ip),
          ...settings,
          onRefused: (clientHost, reason) => audit?.unauthenticated(clientHost, reason),
          ...(principalOf === undefined ? {} : { principalOf }),
          ...(spec.sasl === undefined ? {} : { sasl: await saslOptions(spec.sasl, context) }),
        };
        config.follow(({ maxConnections, maxConnectionsPerIp, maxRequestBytes, idleConnectionMs }) => {
          Object.assign(listenerOptions, { maxConnections, maxConnectionsPerIp, maxRequestBytes, idleConnectionMs });
        });
        const { listener, bound } = await Listener.open(network, listen, listenerOptions);
        listeners.push(listener);
        Object.assign(advertised, spec.advertised ?? { host: reachable(bound.host), port: bound.port });
        addresses.push(addressText(advertised));
        log.info('broker.listening', { ...bound });
      }
    } catch (thrown) {
      shutDown();
      await Promise.all(listeners.map((listener) => listener.close(0, clock)));
      if (thrown instanceof StreamError) throw thrown;
      const { listen } = options.listeners[listeners.length]!;
      throw cannotListen('Kafka clients', 'kafka-listen', listen, thrown);
    }
    return new Broker(context, listeners, addresses, requests, shutDown);
  }

  private constructor(
    context: BrokerContext,
    listeners: readonly Listener[],
    addresses: readonly string[],
    requests: Record<string, number>,
    shutDown: () => void,
  ) {
    this.address = addresses[0]!;
    this.addresses = addresses;
    this.#context = context;
    this.#listeners = listeners;
    this.#requests = requests;
    this.#shutDown = shutDown;
  }

  get groups(): GroupCoordinator {
    return this.#context.groups;
  }

  /** How this process's own sinks write. */
  get sinkLog(): SinkLog {
    const { storage, transactions, clock } = this.#context;
    return new BrokerSinkLog(storage, transactions, clock);
  }

  stats(): BrokerStats {
    const total = { connections: 0, bytesIn: 0, bytesOut: 0 };
    for (const listener of this.#listeners) {
      const { connections, bytesIn, bytesOut } = listener.stats();
      total.connections += connections;
      total.bytesIn += bytesIn;
      total.bytesOut += bytesOut;
    }
    return { ...total, requests: this.#requests };
  }

  /** Answers what is under way and closes all connections. The storage stays open: its owner closes it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#shutDown();
    await Promise.all(this.#listeners.map((listener) => listener.close(CLOSE_GRACE_MS, this.#context.clock)));
    await this.#context.audit?.close();
    this.#context.log.info('broker.closed');
  }
}

/** Wakes fetches when a topic changed, and lets offsets go with their topic. Returns the way to stop. */
function followTopics(
  storage: Storage,
  topics: TopicsView,
  groups: GroupCoordinator,
  waiters: FetchWaiters,
): () => void {
  const ids = new Map(storage.listTopics().map(({ name, id }) => [name, id]));
  return storage.onChange((topic) => {
    waiters.changed(topic);
    topics.changed(topic);
    const id = storage.describeTopic(topic)?.id;
    if (ids.get(topic) === id) return;
    if (id === undefined) ids.delete(topic);
    else ids.set(topic, id);
    groups.topicChanged(topic, id);
  });
}

async function serveFrame(
  frame: Buffer,
  connection: Connection,
  broker: BrokerContext,
  requests: Record<string, number>,
): Promise<Chunk[] | null> {
  const { sasl, advertised } = connection;
  if (sasl?.isBare) return lengthPrefixed(await sasl.bareToken(frame));
  const header = decodeRequestHeader(frame);
  const { api, apiVersion, correlationId } = header;
  if (api === undefined) return unknownRequest(header);
  sasl?.check(api);
  requests[api] = (requests[api] ?? 0) + 1;
  const call = {
    version: apiVersion,
    clientId: header.clientId,
    principal: connection.principal,
    advertised,
    sasl,
    software: connection.software,
    clientPort: connection.port,
    sendsStored: connection.sendsStored,
    clientHost: connection.clientHost,
    onClosed: (run: () => void) => connection.onClosed(run),
  };
  const answer = broker.quotas.isEmpty
    ? await answerTo(api, decodeRequestBody(api, header, frame), call, broker)
    : await throttled(api, decodeRequestBody(api, header, frame), frame.length, call, broker, connection);
  return answer === null ? null : encodeResponseChunks(api, apiVersion, correlationId, answer);
}

/** The answer, with how long the client is throttled for; it leaves at once, and the connection is muted meanwhile (KIP-219). */
async function throttled(
  api: ApiName,
  body: RequestBody<ApiName>,
  bytesIn: number,
  call: Call,
  broker: BrokerContext,
  connection: Connection,
): Promise<Answer<ApiName>> {
  const { quotas } = broker;
  const mutation = throttleMutation(api, body, call, broker);
  const began = performance.now();
  const answering = mutation.refusal ?? answerTo(api, body, call, broker);
  const busyMs = performance.now() - began;
  const answer = await answering;
  const who = [call.principal.name, call.clientId ?? ''] as const;
  // Percent of a thread: a second of it is 100.
  let throttleMs = Math.max(mutation.throttleMs, quotas.use('request_percentage', ...who, busyMs / 10));
  if (api === 'produce') throttleMs = Math.max(throttleMs, quotas.use('producer_byte_rate', ...who, bytesIn));
  if (api === 'fetch' && answer !== null)
    throttleMs = Math.max(throttleMs, quotas.use('consumer_byte_rate', ...who, recordBytes(answer as Answer<'fetch'>)));
  if (throttleMs === 0) return answer;
  connection.mute(throttleMs);
  return answer === null ? null : { ...answer, throttleTimeMs: throttleMs };
}

function recordBytes(answer: Answer<'fetch'>): number {
  let bytes = 0;
  for (const { partitions } of answer?.responses ?? [])
    for (const { records } of partitions ?? []) bytes += records?.length ?? 0;
  return bytes;
}

/** What the handler says to as much of the request as its caller may ask for. */
async function answerTo(
  api: ApiName,
  body: RequestBody<ApiName>,
  call: Call,
  broker: BrokerContext,
): Promise<Answer<ApiName>> {
  const handler = HANDLERS[api] as Handler<ApiName>;
  if (broker.acls === undefined && broker.audit === undefined) return handler(body, call, broker);
  let request = body;
  let asked = call;
  let complete: ((answer: ResponseInput<ApiName>) => ResponseInput<ApiName>) | undefined;
  if (broker.acls !== undefined) {
    const rights = new Rights(broker.acls.authorizer, broker.audit, api, call);
    const checked = (GUARDS[api] as Guard<ApiName>)(body, rights, call, broker);
    if ('answer' in checked) return checked.answer;
    request = checked.request;
    asked = { ...call, rights };
    complete = checked.complete;
  }
  const answer = await handler(request, asked, broker);
  const changed = (CHANGES[api] as ((request: RequestBody<ApiName>) => readonly string[]) | undefined)?.(request);
  if (changed !== undefined && changed.length > 0)
    broker.audit?.changed(principalText(call.principal), hostOf(call), api, changed);
  return answer === null || complete === undefined ? answer : complete(answer);
}

/** A client begins with the newest ApiVersions it knows; in the oldest form we tell it what to use (KIP-511). */
function unknownRequest({ apiKey, apiVersion, correlationId }: RequestHeader): Chunk[] {
  if (apiKey === API_VERSIONS_KEY)
    return encodeResponseChunks('apiVersions', 0, correlationId, apiVersionsAnswer(true));
  throw new ProtocolError(`API ${apiKey} version ${apiVersion} is not implemented`);
}

function lengthPrefixed(token: Buffer): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeInt32BE(token.length);
  return [length, token];
}

async function saslOptions(
  { mechanisms, maxReauthMs, bearer }: NonNullable<ListenerSpec['sasl']>,
  { users, clock }: BrokerContext,
): Promise<SaslOptions> {
  const offered: SaslMechanism[] = [];
  for (const name of mechanisms) {
    const scram = SCRAM_NAMES.find((one) => one === name);
    if (scram !== undefined) offered.push(scramMechanism(scram, users));
    else if (name === 'PLAIN') offered.push(plainMechanism(users));
    else if (name === 'OAUTHBEARER' && bearer !== undefined) {
      const { bearerMechanism } = await import('../auth/bearer.ts');
      offered.push(bearerMechanism(bearer, () => clock.nowMs()));
    } else throw new StreamError('OPTION_INVALID', `there is no SASL mechanism ${name} here`);
  }
  return { mechanisms: offered, maxReauthMs };
}

const addressText = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** An address to connect to when everything is listened on. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

const groupSettings = (settings: BrokerSettings): Partial<GroupSettings> => ({
  initialRebalanceDelayMs: settings.groupInitialRebalanceDelayMs,
  minSessionTimeoutMs: settings.groupMinSessionTimeoutMs,
  maxSessionTimeoutMs: settings.groupMaxSessionTimeoutMs,
  offsetsRetentionMs: settings.offsetsRetentionMs,
  offsetMetadataMaxBytes: settings.offsetMetadataMaxBytes,
  maxSize: settings.groupMaxSize,
  consumerMaxSize: settings.groupConsumerMaxSize,
  consumerSessionTimeoutMs: settings.groupConsumerSessionTimeoutMs,
  consumerHeartbeatIntervalMs: settings.groupConsumerHeartbeatIntervalMs,
  migrationPolicy: settings.groupConsumerMigrationPolicy,
});

const authorizerSettings = ({ superUsers, allowIfNoAcl }: BrokerSettings): AuthorizerSettings => ({
  superUsers: superUsers.split(';').map((one) => one.trim()),
  allowIfNoAcl,
});
