import { mappingOf } from './scratch-files.ts';

/** What state lies in: growable arrays, of texts too. */
export type StateArray = Uint8Array | Int32Array | Float64Array;

/**
 * Is given each array of some state, and its answer takes the array's place. `isText`: a chunk of texts, which never grows, and which batches may go on reading
 * when the state has it no more.
 */
export type Visit = <T extends StateArray>(array: T, isText?: boolean) => T;

/** State whose arrays can be counted, and put elsewhere between epochs. */
export interface HasArrays {
  arrays(visit: Visit): void;
}

/** The array's values and then zeros, where the array lies: in memory or in its file. The array itself is not to be written to any more. */
export function grown<T extends StateArray>(array: T, length: number): T {
  const mapping = mappingOf(array);
  if (mapping !== undefined) return mapping.grown(array, length);
  const bigger = new (array.constructor as new (length: number) => T)(length);
  bigger.set(array);
  return bigger;
}

/** Zeros, to take the place of an array where that lies. */
export function replaced<T extends StateArray>(array: T, length: number): T {
  const mapping = mappingOf(array);
  if (mapping !== undefined) return mapping.replaced(array, length);
  return new (array.constructor as new (length: number) => T)(length);
}

export interface ArrayBytes {
  readonly inMemory: number;
  /** In memory too: what texts are written to. */
  readonly texts: number;
  readonly spilled: number;
}

/** Where the bytes of some arrays are. */
export function bytesOf(arrays: HasArrays['arrays']): ArrayBytes {
  let inMemory = 0;
  let texts = 0;
  let spilled = 0;
  arrays((array, isText = false) => {
    if (mappingOf(array) !== undefined) spilled += array.byteLength;
    else if (isText) texts += array.byteLength;
    else inMemory += array.byteLength;
    return array;
  });
  return { inMemory, texts, spilled };
}
