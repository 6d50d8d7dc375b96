import { assert } from '../../../src/lib/assert.ts';
import { asStreamError, type StreamError } from '../../../src/lib/errors.ts';
import type { LogReader } from './log-reader.ts';

/** Record batches as they stand in the log, and the offset after the last of them. */
export interface Chunk {
  readonly bytes: Uint8Array;
  readonly end: number;
}

/** Chunks read before they are asked for: with fewer the decoder would wait for the log, with more memory only grows. */
const READ_AHEAD = 2;

/** Reads one partition forward, a little ahead of its consumer. One read is under way at a time. */
export class PartitionFeed {
  readonly #log: LogReader;
  readonly #topic: string;
  readonly #partition: number;
  readonly #chunkBytes: number;
  readonly #onChunk: () => void;
  readonly #onError: (error: StreamError) => void;
  readonly #chunks: Chunk[] = [];
  #next: number;
  #highWatermark = 0;
  #reading = false;
  #stopped = false;

  constructor(
    log: LogReader,
    at: { topic: string; partition: number; offset: number; chunkBytes: number },
    onChunk: () => void,
    onError: (error: StreamError) => void,
  ) {
    this.#log = log;
    this.#topic = at.topic;
    this.#partition = at.partition;
    this.#next = at.offset;
    this.#chunkBytes = at.chunkBytes;
    this.#onChunk = onChunk;
    this.#onError = onError;
  }

  get ready(): boolean {
    return this.#chunks.length > 0;
  }

  /** Reads on when there is more below the high watermark. */
  advance(highWatermark: number): void {
    if (highWatermark > this.#highWatermark) this.#highWatermark = highWatermark;
    this.#fill();
  }

  take(): Chunk | undefined {
    const chunk = this.#chunks.shift();
    this.#fill();
    return chunk;
  }

  stop(): void {
    this.#stopped = true;
    this.#chunks.length = 0;
  }

  #fill(): void {
    if (this.#reading || this.#stopped) return;
    if (this.#chunks.length >= READ_AHEAD || this.#next >= this.#highWatermark) return;
    this.#reading = true;
    this.#log.read(this.#topic, this.#partition, this.#next, this.#chunkBytes).then(
      (bytes) => {
        this.#reading = false;
        if (this.#stopped) return;
        let end: number;
        try {
          end = endOfBatches(bytes);
        } catch (thrown) {
          this.#onError(asStreamError(thrown));
          return;
        }
        // The log went back behind what it said (the topic was made anew): the next description tells.
        if (end <= this.#next) return;
        this.#next = end;
        this.#chunks.push({ bytes, end });
        this.#onChunk();
        this.#fill();
      },
      (thrown: unknown) => {
        this.#reading = false;
        if (!this.#stopped) this.#onError(asStreamError(thrown));
      },
    );
  }
}

/** RecordBatch v2: base offset (8), length after itself (4), … last offset delta (4, at 23). −1 when there is none. */
function endOfBatches(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = -1;
  let at = 0;
  while (at + 61 <= bytes.byteLength) {
    end = Number(view.getBigInt64(at)) + view.getInt32(at + 23) + 1;
    const length = view.getInt32(at + 8);
    assert(length >= 49, 'a record batch of the log is shorter than its header');
    at += 12 + length;
  }
  return end;
}
