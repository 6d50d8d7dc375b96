import type { Principal } from '../auth/principal.ts';
import type { GroupCoordinator } from '../consumer/group-coordinator.ts';
import type { Clock } from '../lib/clock.ts';
import type { HostPort } from '../lib/config-table.ts';
import type { Log } from '../lib/log.ts';
import type { ApiName, RequestBody, ResponseInput } from '../protocol/protocol.ts';
import type { Storage } from '../storage/storage.ts';
import type { ProducerIds } from '../transaction/producer-ids.ts';
import type { TransactionCoordinator } from '../transaction/transaction-coordinator.ts';
import type { AclStore } from './acl-store.ts';
import type { Audit } from './audit.ts';
import type { BrokerConfig } from './broker-config.ts';
import type { BrokerSettings } from './broker-settings.ts';
import type { FetchSessions } from './fetch-sessions.ts';
import type { FetchWaiters } from './fetch-waiters.ts';
import type { Quotas } from './quotas.ts';
import type { Rights } from './rights.ts';
import type { SaslSession } from './sasl-session.ts';
import type { Telemetry } from './telemetry.ts';
import type { PartitionMarkers } from './transaction-markers.ts';
import type { UserStore } from './user-store.ts';

/** The one broker of this cluster: leader of everything, coordinator of everything, controller. */
export const NODE_ID = 1;

/** What handlers work with. */
export interface BrokerContext {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly groups: GroupCoordinator;
  readonly producerIds: ProducerIds;
  readonly transactions: TransactionCoordinator;
  readonly markers: PartitionMarkers;
  readonly waiters: FetchWaiters;
  readonly sessions: FetchSessions;
  /** As they are now: fields change while the broker runs. */
  readonly settings: BrokerSettings;
  readonly config: BrokerConfig;
  /** Undefined: everybody may do everything. */
  readonly acls: AclStore | undefined;
  /** Undefined: none is kept. */
  readonly audit: Audit | undefined;
  readonly users: UserStore;
  readonly quotas: Quotas;
  readonly telemetry: Telemetry;
  /** Set while the broker goes down: long polls end at once. */
  readonly isClosing: () => boolean;
}

/** One request beside its body. */
export interface Call {
  readonly version: number;
  readonly clientId: string | null;
  /** Who asks. */
  readonly principal: Principal;
  /** What the caller may do; undefined: everything. */
  readonly rights?: Rights;
  /** Where clients of this listener are told to connect. */
  readonly advertised: HostPort;
  /** The authentication of the connection; undefined where none is asked for. */
  readonly sasl: SaslSession | undefined;
  /** What the client's program is, as far as it has said. */
  readonly software: { name: string; version: string };
  readonly clientPort: string;
  /** Whether the answer may hold bytes that are still in a file. */
  readonly sendsStored?: boolean;
  /** Address of the peer, as Kafka shows it: "/127.0.0.1". */
  readonly clientHost: string;
  /** Calls back when the connection is gone and no answer is wanted any more; returns the way to forget that. */
  onClosed(run: () => void): () => void;
}

/** Null: no answer (acks=0). A rejection closes the connection. */
export type Answer<A extends ApiName> = ResponseInput<A> | null;
export type Handler<A extends ApiName> = (
  request: RequestBody<A>,
  call: Call,
  broker: BrokerContext,
) => Answer<A> | Promise<Answer<A>>;
