import type { Principal } from './principal.ts';

/** One step of an exchange: what to send, and, when the client has shown who it is, who. */
export interface SaslStep {
  readonly token: Buffer;
  readonly principal?: Principal;
  /** When what the client showed loses its force, ms since 1970 (a bearer token's `exp`). */
  readonly expiresAtMs?: number;
}

/** The server's side of one exchange of tokens. SaslFailure: the client is not who it says, or talks nonsense. */
export interface SaslExchange {
  step(token: Buffer): Promise<SaslStep> | SaslStep;
}

export interface SaslMechanism {
  /** As registered with IANA. */
  readonly name: string;
  begin(): SaslExchange;
}

/** What the client is told must not say whether the user exists. */
export class SaslFailure extends Error {}
