/**
 * The file operations that durable parts use. Injected, so that a simulator can lose, tear and reorder what was not
 * synced. Paths are absolute or relative to the data directory that the disk was opened with. Sync calls are for start-up and
 * small control files only; the hot path is async.
 */
export interface Disk {
  open(path: string, mode: 'read' | 'append' | 'create'): Promise<DiskFile>;
  readFile(path: string): Promise<Buffer>;
  /** Writes a temporary file, syncs it, renames it over `path` and syncs the directory: all or nothing, durable. */
  replaceFile(path: string, content: Uint8Array): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Names in a directory, sorted; empty when the directory is missing. */
  list(path: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  /** Removes a file or a whole directory; fine when missing. */
  remove(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes the directory's entries (creations, renames) durable. */
  syncDirectory(path: string): Promise<void>;
}

/** A disk whose files outlive the process. */
export interface DurableDisk extends Disk {
  /** Makes the file when it is missing, and leaves what is in it. */
  openDurable(path: string): Promise<DurableFile>;
}

export interface DiskFile {
  /** The operating system's handle, negative once closed; absent where there is none. */
  readonly fd?: number;
  /** Bytes in the file when opened plus what was appended since. */
  readonly size: number;
  /** Appends all buffers, in order, whole. */
  append(buffers: readonly Uint8Array[]): Promise<void>;
  /** Fills `into` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** What was appended survives a power loss once this resolves (fdatasync). */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** A file that is written in place. */
export interface DurableFile {
  /** Writes all buffers, in order, over what is at `position`; what was written survives a power loss once this resolves. */
  overwrite(buffers: readonly Uint8Array[], position: number): Promise<void>;
  close(): Promise<void>;
}
