import { asStreamError, ERRORS, type StreamError } from '../../../src/lib/errors.ts';
import type { Sink, SinkToken } from '../../../src/ports/sink.ts';
import type { Batch, ColumnSchema } from '../../../src/values/batch.ts';
import type { Parts } from '../state/piece.ts';
import { decodeBatches, encodeBatches } from './batch-bytes.ts';
import { compactBatch } from './compact-batch.ts';

/** An epoch that a checkpoint holds as prepared. */
export interface PendingCommit {
  readonly epoch: number;
  readonly token: SinkToken;
}

/** What a checkpoint holds of a sink, beside `unsent` batches. */
export interface SinkState {
  /** The last epoch that was committed; 0 before the first. */
  readonly lastEpoch: number;
  readonly pending: readonly PendingCommit[];
  readonly rows: number;
}

/**
 * The exactly-once half of a sink (DESIGN D15). Per checkpoint: `cut` takes the epoch's batches, `prepare` stages them, the manifest with
 * the token is made durable by the caller, `commit` publishes. While the target cannot be reached the batches stay here, and in the checkpoint
 * as `unsent`; a refusal is final and thrown to the caller.
 */
export class SinkWriter {
  readonly #sink: Sink;
  readonly #columns: readonly ColumnSchema[];
  readonly #mostRows: number;
  #opened = false;
  #recovered = false;
  #state: SinkState = { lastEpoch: 0, pending: [], rows: 0 };
  /** Collected since the last cut, and cut but not prepared. */
  #collected: Batch[] = [];
  #unsent: Batch[] = [];
  #waitingRows = 0;
  /** The last checkpoint's epoch up to which everything is staged durably. */
  #preparedEpoch = 0;
  /** Why the target cannot be reached just now. */
  trouble: StreamError | null = null;

  constructor(sink: Sink, columns: readonly ColumnSchema[], mostRows: number) {
    this.#sink = sink;
    this.#columns = columns;
    this.#mostRows = mostRows;
  }

  get rows(): number {
    return this.#state.rows;
  }

  /** Rows that came and are not staged. */
  get waitingRows(): number {
    return this.#waitingRows;
  }

  /** Nothing waits: every row that came is committed. */
  get settled(): boolean {
    return this.#collected.length === 0 && this.#unsent.length === 0 && this.#state.pending.length === 0;
  }

  /** Whether all rows up to the end of this epoch are committed. */
  committed(epoch: number): boolean {
    return this.#preparedEpoch >= epoch && this.#state.pending.every((pending) => pending.epoch > epoch);
  }

  restore(state: SinkState, unsent: Uint8Array | null): void {
    this.#state = state;
    if (unsent !== null) this.#unsent = decodeBatches(unsent, this.#columns);
    for (const batch of this.#unsent) this.#waitingRows += batch.length;
  }

  /** So many rows wait that its query should read no further until some are written. */
  get isFull(): boolean {
    return this.#waitingRows >= this.#mostRows && this.#sink.discards !== true;
  }

  collect(batch: Batch): void {
    this.#waitingRows += batch.length;
    this.#collected.push(
      this.#sink.discards ? { length: batch.length, columns: [], weights: null } : compactBatch(batch),
    );
  }

  /** Opens the target, publishes what a checkpoint left pending and removes what was prepared after it. Does nothing the second time. */
  async ready(): Promise<void> {
    if (!this.#opened) await this.#sink.open();
    this.#opened = true;
    await this.#commitPending();
    if (!this.#recovered) await this.#sink.recover(this.#state.lastEpoch);
    this.#recovered = true;
  }

  /** At an epoch boundary: what came so far belongs to the coming checkpoint. */
  cut(): void {
    this.#unsent.push(...this.#collected);
    this.#collected = [];
  }

  /** Stages what was cut. What `checkpointState` says afterwards belongs into the manifest. Throws only what is final. */
  async prepare(epoch: number): Promise<PreparedSink> {
    const sending = this.#unsent;
    let token: SinkToken | null = null;
    let sent = false;
    await this.#attempt(async () => {
      await this.ready();
      if (sending.length > 0) token = await this.#sink.prepare(epoch, sending);
      sent = true;
    });
    if (!sent)
      return {
        state: this.#state,
        unsent: sending.length === 0 ? null : encodeBatches(sending, this.#columns),
        durable: () => undefined,
      };
    const rows = this.#state.rows + sending.reduce((sum, batch) => sum + batch.length, 0);
    const pending = token === null ? this.#state.pending : [...this.#state.pending, { epoch, token }];
    const state = { ...this.#state, pending, rows };
    return {
      state,
      unsent: null,
      durable: () => {
        // Batches cut meanwhile stand behind those that were sent.
        this.#unsent = this.#unsent.slice(sending.length);
        this.#waitingRows -= rows - this.#state.rows;
        this.#state = state;
        this.#preparedEpoch = epoch;
      },
    };
  }

  /** Publishes what the durable manifest holds. Throws only what is final. */
  async commit(): Promise<void> {
    await this.#attempt(() => this.#commitPending());
  }

  async close(): Promise<void> {
    if (this.#opened) await this.#sink.close();
  }

  async #commitPending(): Promise<void> {
    while (this.#state.pending.length > 0) {
      const [{ epoch, token }, ...pending] = this.#state.pending;
      await this.#sink.commit(epoch, token);
      this.#state = { ...this.#state, lastEpoch: epoch, pending };
    }
  }

  async #attempt(run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.trouble = null;
    } catch (thrown) {
      const error = asStreamError(thrown);
      if (!ERRORS[error.code].retry) throw error;
      this.trouble = error;
    }
  }
}

export interface PreparedSink {
  readonly state: SinkState;
  readonly unsent: Parts | null;
  /** To be called once the manifest with `state` is durable, and before `commit`. */
  durable(): void;
}
