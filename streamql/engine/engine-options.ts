import type { Clock } from '../../src/lib/clock.ts';
import type { Log } from '../../src/lib/log.ts';
import type { Disk } from '../../src/ports/disk.ts';
import type { SinkKind } from '../../src/ports/sink.ts';
import type { SinkLog } from '../../src/ports/sink-log.ts';
import { CheckpointStore, type LoadedCheckpoint } from './runtime/checkpoint-store.ts';
import type { LogReader } from './runtime/log-reader.ts';
import type { EngineSettings } from './runtime/settings.ts';
import type { Crew } from './shards/shard.ts';

/** What an engine is made with. */
export interface EngineOptions {
  readonly log: LogReader;
  /** Null: nothing survives (`--in-memory`). */
  readonly disk: Disk | null;
  readonly clock: Clock;
  readonly logger: Log;
  readonly sinks: readonly SinkKind[];
  /** Absolute; given to sinks. */
  readonly dataDir: string;
  /** For sinks into topics; without it there are none. */
  readonly sinkLog?: SinkLog;
  readonly settings?: Partial<EngineSettings>;
  /** Shards in threads of their own, beside this one. They were made with the same checkpoint. */
  readonly crew?: Crew;
  /** Without a crew: how many shards share this thread. One does all by itself. */
  readonly shards?: number;
  /** As of ShardParts. */
  readonly readsWait?: () => boolean;
}

const CHECKPOINT_DIRECTORY = 'engine';

export interface StoredState {
  readonly store: CheckpointStore | null;
  readonly loaded: LoadedCheckpoint | null;
}

/** STORAGE_FAILED when there are checkpoints and none is whole. */
export async function openState({
  disk,
  logger,
  clock,
}: Pick<EngineOptions, 'disk' | 'logger' | 'clock'>): Promise<StoredState> {
  const store = disk === null ? null : new CheckpointStore(disk, CHECKPOINT_DIRECTORY, logger);
  return { store, loaded: (await store?.load(clock.nowMs())) ?? null };
}
