import type { EngineSettings } from '../../../streamql/engine/runtime/settings.ts';

/** How a test file is run. A view's answers do not depend on it, which is what running a file in all ways shows. */
export interface Way {
  readonly name: string;
  readonly doc: string;
  readonly settings: Partial<EngineSettings>;
  /** Kill the engine after each statement, with a checkpoint before or without. */
  readonly crashes: boolean;
}

export const WAYS: readonly Way[] = [
  { name: 'straight', doc: 'as a server runs it', settings: {}, crashes: false },
  {
    name: 'records',
    doc: 'every record is a batch and an epoch of its own',
    settings: { batchRecords: 1, sliceMs: 0 },
    crashes: false,
  },
  {
    name: 'crashes',
    doc: 'the engine is killed after each statement and goes on from its last checkpoint',
    settings: { batchRecords: 3, sliceMs: 0 },
    crashes: true,
  },
];
