import type { Dialer } from './client.ts';
import type { Recorder } from './recorder.ts';
import type { Times } from './world.ts';

/** A partition. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

export const placeName = ({ topic, partition }: Place): string => `${topic}-${partition}`;

/** What all simulated clients share. */
export interface Lab {
  readonly world: Times;
  readonly network: Dialer;
  readonly recorder: Recorder;
  readonly places: readonly Place[];
  /** Producers begin nothing new. */
  productionOver: boolean;
  /** Everybody ends. */
  over: boolean;
  /** Session timeout of group members. */
  readonly sessionMs: number;
  /** After so long the coordinator aborts a transaction. */
  readonly transactionMs: number;
  /** The log that is trimmed is cut by retention.bytes too. */
  readonly retains?: boolean;
  /** Time by the clients' clocks. */
  readonly nowMs: () => number;
  /** Behind a value: a blank and bytes that make it longer. */
  readonly pad: () => string;
}

export const valueIn = (bytes: Buffer): string => bytes.toString('latin1').split(' ', 1)[0]!;
