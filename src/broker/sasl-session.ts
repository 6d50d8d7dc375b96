import { ANONYMOUS, type Principal, principalText } from '../auth/principal.ts';
import { type SaslExchange, SaslFailure, type SaslMechanism } from '../auth/sasl.ts';
import type { Clock } from '../lib/clock.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import type { ApiName } from '../protocol/protocol.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';

/** What a listener with SASL offers. */
export interface SaslOptions {
  readonly mechanisms: readonly SaslMechanism[];
  /** After so long a client must authenticate again (connections.max.reauth.ms); 0: never. */
  readonly maxReauthMs: number;
}

/** A refused client waits so long for its answer, so that passwords are not tried out quickly (connection.failed.authentication.delay.ms). */
const REFUSAL_DELAY_MS = 100;
const BEFORE: readonly ApiName[] = ['apiVersions', 'saslHandshake', 'saslAuthenticate'];

export interface SaslAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly authBytes: Buffer;
  readonly sessionLifetimeMs: number;
}

/**
 * Whether one connection of a SASL listener has authenticated: SaslHandshake names the mechanism, SaslAuthenticate carries its tokens (KIP-43,
 * KIP-152; after a handshake v0 they come as bare frames), until then nothing else is served. A session may end, after which only authenticating
 * again, as the same user, is (KIP-368).
 */
export class SaslSession {
  readonly #options: SaslOptions;
  readonly #clock: Clock;
  readonly #onRefused: (reason: string) => void;
  #principal: Principal | undefined;
  #exchange: SaslExchange | undefined;
  #bare = false;
  #failed = false;
  /** On the monotonic clock; infinite when the session does not end. */
  #endsAtMs = Number.POSITIVE_INFINITY;

  /** `onRefused` is told why somebody was refused. */
  constructor(options: SaslOptions, clock: Clock, onRefused: (reason: string) => void) {
    this.#options = options;
    this.#clock = clock;
    this.#onRefused = onRefused;
  }

  get principal(): Principal {
    return this.#principal ?? ANONYMOUS;
  }

  /** Whether the client has authenticated. */
  get isOpen(): boolean {
    return this.#principal !== undefined;
  }

  /** Frames are tokens and not requests. */
  get isBare(): boolean {
    return this.#bare;
  }

  /** ProtocolError, which closes the connection, when the API may not be used now. */
  check(api: ApiName): void {
    if (this.#failed) throw new ProtocolError('a request after a failed authentication');
    if (BEFORE.includes(api)) return;
    if (this.#principal === undefined) throw new ProtocolError(`${api} before the client has authenticated`);
    if (this.#clock.monotonicMs() > this.#endsAtMs)
      throw new ProtocolError(`${principalText(this.#principal)} has not authenticated again in time`);
  }

  /** An error code. */
  handshake(mechanism: string, version: number): number {
    const wanted = this.#options.mechanisms.find(({ name }) => name === mechanism);
    if (wanted === undefined) return E.UNSUPPORTED_SASL_MECHANISM;
    if (version === 0 && this.#principal !== undefined) return E.ILLEGAL_SASL_STATE;
    this.#exchange = wanted.begin();
    this.#bare = version === 0;
    return E.NONE;
  }

  get mechanisms(): string[] {
    return this.#options.mechanisms.map(({ name }) => name);
  }

  async authenticate(token: Buffer): Promise<SaslAnswer> {
    const exchange = this.#exchange;
    const nothing = { authBytes: Buffer.alloc(0), sessionLifetimeMs: 0 };
    if (exchange === undefined) {
      this.#failed = true;
      return { errorCode: E.ILLEGAL_SASL_STATE, errorMessage: 'SaslHandshake comes first', ...nothing };
    }
    try {
      const step = await exchange.step(token);
      if (step.principal === undefined) {
        return { ...nothing, errorCode: E.NONE, errorMessage: null, authBytes: step.token };
      }
      if (this.#principal !== undefined && this.#principal.name !== step.principal.name)
        throw new SaslFailure(`a session of ${this.#principal.name} cannot go on as ${step.principal.name}`);
      this.#principal = step.principal;
      this.#exchange = undefined;
      this.#bare = false;
      const sessionLifetimeMs = this.#begin(step.expiresAtMs);
      return { errorCode: E.NONE, errorMessage: null, authBytes: step.token, sessionLifetimeMs };
    } catch (thrown) {
      this.#failed = true;
      this.#exchange = undefined;
      if (!(thrown instanceof SaslFailure)) throw thrown;
      this.#onRefused(thrown.message);
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, REFUSAL_DELAY_MS));
      return { errorCode: E.SASL_AUTHENTICATION_FAILED, errorMessage: thrown.message, ...nothing };
    }
  }

  /** A token as a bare frame: the answer to send, or ProtocolError. */
  async bareToken(token: Buffer): Promise<Buffer> {
    const { errorCode, errorMessage, authBytes } = await this.authenticate(token);
    if (errorCode !== E.NONE) throw new ProtocolError(errorMessage ?? 'not authenticated');
    return authBytes;
  }

  /** Begins a session; its length in ms, 0 when it does not end. */
  #begin(expiresAtMs: number | undefined): number {
    const most = this.#options.maxReauthMs || Number.POSITIVE_INFINITY;
    const lifetimeMs = Math.min(most, (expiresAtMs ?? Number.POSITIVE_INFINITY) - this.#clock.nowMs());
    this.#endsAtMs = this.#clock.monotonicMs() + lifetimeMs;
    return Number.isFinite(lifetimeMs) ? Math.max(1, Math.floor(lifetimeMs)) : 0;
  }
}
