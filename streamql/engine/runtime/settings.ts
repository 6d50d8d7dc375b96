/** How the engine spends its time; platform settings override some. */
export interface EngineSettings {
  /** A checkpoint is taken this long after the last one began, when something changed. */
  readonly checkpointIntervalMs: number;
  /** An epoch takes in new input for about this long, so a read waits no longer. */
  readonly sliceMs: number;
  /** Epochs begin at least this far apart while the input is only trickling; batches stay worthwhile. */
  readonly epochIntervalMs: number;
  /** Records decoded into one batch at most. */
  readonly batchRecords: number;
  /** Bytes of log asked for at a time, shared by the partitions of a source when they are many. */
  readonly chunkBytes: number;
  /** How long a read waits for a view that is still catching up with the log; then TIMEOUT. */
  readonly readWaitMs: number;
  /** With so many rows waiting for its target a sink reads no further, and its input waits in the log. */
  readonly sinkBufferRows: number;
}

export const DEFAULT_ENGINE_SETTINGS: EngineSettings = {
  checkpointIntervalMs: 1000,
  sliceMs: 8,
  epochIntervalMs: 10,
  batchRecords: 4096,
  chunkBytes: 1 << 20,
  readWaitMs: 30_000,
  sinkBufferRows: 250_000,
};
