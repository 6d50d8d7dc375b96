import type { EngineSettings } from '../../../streamql/engine/runtime/settings.ts';

/** How a test file is run. A view's answers do not depend on it, which is what running a file in all ways shows. */
export interface Way {
  readonly name: string;
  readonly doc: string;
  readonly settings: Partial<EngineSettings>;
  /** Kill the engine after each statement, with a checkpoint before or without. */
  readonly crashes: boolean;
  /** Into how many shards the engine is divided at each start, in turns. */
  readonly shards: readonly number[];
}

export const WAYS: readonly Way[] = [
  { name: 'straight', doc: 'as a server runs it', settings: {}, crashes: false, shards: [1] },
  {
    name: 'records',
    doc: 'every record is a batch and an epoch of its own',
    settings: { batchRecords: 1, sliceMs: 0 },
    crashes: false,
    shards: [1],
  },
  {
    name: 'crashes',
    doc: 'the engine is killed after each statement and goes on from its last checkpoint',
    settings: { batchRecords: 3, sliceMs: 0 },
    crashes: true,
    shards: [1],
  },
  { name: 'workers', doc: 'two workers share the work', settings: {}, crashes: false, shards: [2] },
  {
    name: 'rescaled',
    doc: 'the engine is killed after each statement and goes on with another number of workers',
    settings: { batchRecords: 3, sliceMs: 0 },
    crashes: true,
    shards: [1, 2, 4],
  },
];
