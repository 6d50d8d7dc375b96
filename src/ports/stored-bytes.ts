/** Bytes within an open file, which may go from there to a socket without passing through this process. */
export interface StoredBytes {
  readonly length: number;
  /** Where they begin in the file. */
  readonly position: number;
  /** The file, as long as it is open; to be used in the same turn of the event loop. */
  fd(): number | undefined;
  /** What follows the first `skip` bytes. STORAGE_FAILED when the file cannot be read, or is gone. */
  read(skip: number): Promise<Buffer>;
}

/** What a message is sent as, in its order. */
export type Chunk = Buffer | StoredBytes;
