import { createHash } from 'node:crypto';
import { StreamError } from '../../../src/lib/errors.ts';
import type { EngineObject } from '../../../src/ports/engine.ts';
import type { ObjectEntry } from './checkpoint-store.ts';

/** Names a definition: state saved for another one is of no use. The object's name may change, whether it is paused, what its state is limited to, and how much of its past is kept. */
export function fingerprintOf(spec: EngineObject): string {
  const text = JSON.stringify(
    {
      ...spec,
      name: '',
      paused: undefined,
      firstName: undefined,
      backfillRate: undefined,
      stateLimit: undefined,
      retainHistoryMs: undefined,
      indexes: undefined,
    },
    (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? { bytes: [...value] } : value,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

export type Restoration =
  | { readonly how: 'fresh' }
  | { readonly how: 'load'; readonly entry: ObjectEntry }
  | { readonly how: 'failed'; readonly error: StreamError };

/**
 * What becomes of an object's saved state. A source or view whose definition, or whose input, is not what the state was made from
 * starts again from the log. A sink that has written cannot: its rows would come twice, so it stays stopped until it is dropped.
 */
export function restorationOf(
  spec: EngineObject,
  entry: ObjectEntry | undefined,
  inputsRestored: boolean,
  isOvertaken = false,
): Restoration {
  if (isOvertaken) return lost(spec, 'the checkpoint by which it wrote last is damaged');
  if (entry === undefined) return { how: 'fresh' };
  if (entry.failed !== undefined) {
    const code = entry.failed.code as ConstructorParameters<typeof StreamError>[0];
    return { how: 'failed', error: new StreamError(code, entry.failed.detail) };
  }
  if (entry.fingerprint === fingerprintOf(spec) && inputsRestored) return { how: 'load', entry };
  const { sink } = entry;
  const wrote = sink !== undefined && (sink.lastEpoch > 0 || sink.pending.length > 0);
  if (!wrote) return { how: 'fresh' };
  return lost(spec, inputsRestored ? 'its definition has changed' : 'what it reads was built again from the beginning');
}

function lost({ name }: EngineObject, reason: string): Restoration {
  const error = new StreamError('SINK_REJECTED', `sink ${name} cannot go on exactly once: ${reason}`, {
    hint: 'drop the sink and create it again with a new target',
  });
  return { how: 'failed', error };
}
