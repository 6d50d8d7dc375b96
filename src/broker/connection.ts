import { ANONYMOUS, type Principal } from '../auth/principal.ts';
import type { Clock } from '../lib/clock.ts';
import type { HostPort } from '../lib/config-table.ts';
import type { Log } from '../lib/log.ts';
import type { Chunk, StoredBytes } from '../ports/stored-bytes.ts';
import { apiOfKey } from '../protocol/protocol.ts';
import { ProtocolError } from '../protocol/protocol-error.ts';
import type { ByteStream } from './network.ts';
import { type SaslOptions, SaslSession } from './sasl-session.ts';

/** Requests of one connection that may wait or run before no more is read from it. */
const MOST_WAITING = 128;
/** Bytes of waiting requests before no more is read; one request may be larger. */
const MOST_WAITING_BYTES = 16 << 20;
/** Unsent bytes before no further request is begun. */
const MOST_UNSENT_BYTES = 8 << 20;
/** Waiting bytes that a connection may have whatever the others have. */
const FAIR_BYTES = 1 << 20;
const PRODUCE_KEY = 0;
const LEAST_REQUEST_BYTES = 8;
/** Of a client that has not authenticated (sasl.server.max.receive.size). */
const MOST_STRANGERS_BYTES = 512 << 10;
const LENGTH_BYTES = 4;

/** Handles one request frame (without its length); null when there is no answer. A rejection closes the connection. */
export type ServeFrame = (frame: Buffer, connection: Connection) => Promise<Chunk[] | null>;

/** Bytes of requests that came in and have not begun, of all connections together. */
export interface QueuedBytes {
  used: number;
  readonly most: number;
}

export interface ConnectionOptions {
  readonly serve: ServeFrame;
  readonly log: Log;
  readonly maxRequestBytes: number;
  readonly idleConnectionMs: number;
  readonly queued: QueuedBytes;
  readonly clock: Clock;
  /** Where clients of this listener are told to connect. */
  readonly advertised: HostPort;
  /** Clients must authenticate first. */
  readonly sasl?: SaslOptions;
  /** Who shows a certificate with this name; undefined: nobody that is known. */
  readonly principalOf?: (distinguishedName: string) => string | undefined;
  /** Told of clients that did not authenticate. */
  readonly onRefused: (clientHost: string, reason: string) => void;
}

/**
 * One client. Cuts the byte stream into frames and keeps Kafka's order: answers leave in the order of the requests, and a request
 * begins when the one before was answered. Only Produce may overtake its own waiting for the disk: a run of produce
 * requests is begun one after another, in order, and their fsyncs are shared. What is wrong with one connection ends
 * that connection, with a line in the log, and nothing else.
 */
export class Connection {
  readonly peer: string;
  /** As Kafka names a client's host. */
  readonly clientHost: string;
  /** The authentication, where it is asked for. */
  readonly sasl: SaslSession | undefined;
  readonly advertised: HostPort;
  readonly software = { name: '', version: '' };
  readonly port: string;
  readonly #certified: Principal;
  bytesIn = 0;
  bytesOut = 0;
  readonly #socket: ByteStream;
  readonly #options: ConnectionOptions;
  /** Bytes of the frame that is coming in. */
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** What of `queued.used` is this connection's. */
  #queuedBytes = 0;
  /** Answers in order; undefined while the request runs. */
  #answers: { chunks: Chunk[] | null | undefined }[] = [];
  /** What is still to be given to the socket, in order: not empty only while bytes of a file are read. */
  #unsent: Chunk[] = [];
  #reading = false;
  /** Whether what runs are produce requests. */
  #producing = false;
  #paused = false;
  #draining = false;
  #sending = false;
  #closed = false;
  #mutedUntilMs = 0;
  readonly #onClosed = new Set<() => void>();

  constructor(socket: ByteStream, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.clientHost = `/${socket.remoteAddress}`;
    this.advertised = options.advertised;
    this.port = String(socket.remotePort ?? '');
    const { distinguishedName } = socket;
    const name = distinguishedName === undefined ? undefined : options.principalOf?.(distinguishedName);
    this.#certified = name === undefined ? ANONYMOUS : { type: 'User', name };
    if (options.sasl !== undefined) {
      this.sasl = new SaslSession(options.sasl, options.clock, (reason) => {
        options.log.warn('authentication.refused', { peer: this.peer, reason });
        options.onRefused(this.clientHost, reason);
      });
    }
    socket.setNoDelay(true);
    socket.setTimeout(options.idleConnectionMs);
    socket.on('timeout', () => {
      if (this.#answers.length === 0) this.close('idle');
    });
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#proceed());
    // A peer that vanishes is everyday life.
    socket.on('error', (error) => options.log.debug('connection.error', { peer: this.peer, reason: error.message }));
    socket.on('close', () => this.#ended());
  }

  /** Requests run, or answers are not yet on their way. What waits to begin does not count: it is not begun while draining. */
  get isBusy(): boolean {
    return !this.#closed && (this.#answers.length > 0 || this.#isSending || this.#socket.writableLength > 0);
  }

  get #isSending(): boolean {
    return this.#reading || this.#unsent.length > 0;
  }

  /** Whether bytes may go from a file to the client without being read. */
  get sendsStored(): boolean {
    return this.#socket.sendStored !== undefined;
  }

  /** Who the client is. */
  get principal(): Principal {
    return this.sasl?.principal ?? this.#certified;
  }

  /** Runs when the connection is gone, once, unless the result is called before. */
  onClosed(run: () => void): () => void {
    this.#onClosed.add(run);
    return () => this.#onClosed.delete(run);
  }

  /** Begins no request for so long; answers under way leave (KIP-219). */
  mute(ms: number): void {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + ms;
    if (untilMs <= this.#mutedUntilMs) return;
    this.#mutedUntilMs = untilMs;
    clock.setTimeout(() => {
      if (!this.#closed) this.#proceed();
    }, ms);
  }

  /** Takes no further request. */
  drain(): void {
    this.#draining = true;
    this.#socket.pause();
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#options.log.debug('connection.closed', { peer: this.peer, reason });
    this.#socket.destroy();
    this.#ended();
  }

  #refuse(reason: string): void {
    if (this.#closed) return;
    this.#options.log.warn('connection.refused', { peer: this.peer, reason });
    this.close(reason);
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    this.#chunkBytes = 0;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#count();
    this.#answers = [];
    this.#unsent = [];
    for (const run of [...this.#onClosed]) run();
    this.#onClosed.clear();
  }

  #onData(chunk: Buffer): void {
    this.bytesIn += chunk.length;
    let rest = chunk;
    while (rest.length > 0 && !this.#closed) {
      if (this.#chunks.length === 0 && rest.length >= LENGTH_BYTES) {
        const size = this.#frameSize(rest);
        if (size < 0) return;
        if (rest.length >= LENGTH_BYTES + size) {
          this.#accept(rest.subarray(LENGTH_BYTES, LENGTH_BYTES + size));
          rest = rest.subarray(LENGTH_BYTES + size);
          continue;
        }
      }
      rest = this.#gather(rest);
    }
    this.#proceed();
    const { used, most } = this.#options.queued;
    if (used > most && this.#queuedBytes > FAIR_BYTES) {
      this.#refuse(`${used} bytes of requests wait on all connections; ${most} may`);
    }
  }

  /** Keeps what belongs to the frame under way and returns the rest. */
  #gather(bytes: Buffer): Buffer {
    if (this.#chunkBytes < LENGTH_BYTES) {
      // The length itself is cut: put what there is of it together.
      const head = Buffer.concat([...this.#chunks, bytes.subarray(0, LENGTH_BYTES - this.#chunkBytes)]);
      const taken = head.length - this.#chunkBytes;
      this.#chunks = [head];
      this.#chunkBytes = head.length;
      if (head.length === LENGTH_BYTES && this.#frameSize(head) < 0) return bytes.subarray(bytes.length);
      return bytes.subarray(taken);
    }
    const size = LENGTH_BYTES + this.#chunks[0].readInt32BE(0);
    const taken = Math.min(bytes.length, size - this.#chunkBytes);
    this.#chunks.push(bytes.subarray(0, taken));
    this.#chunkBytes += taken;
    if (this.#chunkBytes === size) {
      const frame = Buffer.concat(this.#chunks, size).subarray(LENGTH_BYTES);
      this.#chunks = [];
      this.#chunkBytes = 0;
      this.#accept(frame);
    }
    return bytes.subarray(taken);
  }

  /** −1 after having closed the connection for a length that cannot be. */
  #frameSize(head: Buffer): number {
    const size = head.readInt32BE(0);
    const least = this.sasl?.isBare ? 0 : LEAST_REQUEST_BYTES;
    const most = this.sasl?.isOpen === false ? MOST_STRANGERS_BYTES : this.#options.maxRequestBytes;
    if (size >= least && size <= most) return size;
    this.#refuse(`a request of ${size} bytes; from ${least} to ${most} are possible`);
    return -1;
  }

  #accept(frame: Buffer): void {
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
  }

  /** Begins what may begin, and reads on or stops reading. */
  #proceed(): void {
    while (this.#waiting.length > 0 && this.#mayBegin(this.#waiting[0])) {
      const frame = this.#waiting.shift() as Buffer;
      this.#waitingBytes -= frame.length;
      this.#begin(frame);
      if (this.#closed) return;
    }
    this.#count();
    const full =
      this.#draining ||
      this.#waiting.length + this.#answers.length > MOST_WAITING ||
      this.#waitingBytes > MOST_WAITING_BYTES ||
      this.#socket.writableLength > MOST_UNSENT_BYTES;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  #count(): void {
    const now = this.#chunkBytes + this.#waitingBytes;
    this.#options.queued.used += now - this.#queuedBytes;
    this.#queuedBytes = now;
  }

  #mayBegin(frame: Buffer): boolean {
    if (this.#draining || this.#isSending || this.#socket.writableLength > MOST_UNSENT_BYTES) return false;
    if (this.#mutedUntilMs > 0 && this.#options.clock.monotonicMs() < this.#mutedUntilMs) return false;
    if (this.#answers.length === 0) return true;
    return this.#producing && isProduce(frame) && this.#answers.length < MOST_WAITING;
  }

  #begin(frame: Buffer): void {
    const answer: { chunks: Chunk[] | null | undefined } = { chunks: undefined };
    this.#producing = isProduce(frame);
    this.#answers.push(answer);
    this.#options.serve(frame, this).then(
      (chunks) => {
        answer.chunks = chunks;
        this.#sendSoon();
      },
      (thrown: unknown) => this.#failed(frame, thrown),
    );
  }

  /** One fsync completes many produce requests in one go: their answers leave in one write. */
  #sendSoon(): void {
    if (this.#sending) return;
    this.#sending = true;
    process.nextTick(() => this.#send());
  }

  #send(): void {
    this.#sending = false;
    if (this.#closed) return;
    while (this.#answers.length > 0 && this.#answers[0].chunks !== undefined) {
      const { chunks } = this.#answers.shift() as { chunks: Chunk[] | null };
      if (chunks !== null) this.#unsent.push(...chunks);
    }
    this.#flush();
    this.#proceed();
  }

  #flush(): void {
    this.#socket.cork();
    while (this.#unsent.length > 0 && !this.#reading) {
      const chunk = this.#unsent.shift() as Chunk;
      this.bytesOut += chunk.length;
      if (chunk instanceof Uint8Array) this.#socket.write(chunk);
      else this.#sendStored(chunk);
    }
    this.#socket.uncork();
  }

  /** From the file to the socket as far as that goes at once, the rest through memory. */
  #sendStored(bytes: StoredBytes): void {
    // What comes before must be with the kernel, and nothing may wait to follow it.
    this.#socket.uncork();
    const sent = this.#socket.writableLength === 0 ? (this.#socket.sendStored?.(bytes) ?? 0) : 0;
    this.#socket.cork();
    if (sent === bytes.length) return;
    this.#reading = true;
    bytes.read(sent).then(
      (rest) => {
        this.#reading = false;
        if (this.#closed) return;
        this.#socket.write(rest);
        this.#flush();
        this.#proceed();
      },
      // The length is sent already: the client has to come again. Retention or a deletion was faster than we.
      (thrown: unknown) => this.close(`stored records: ${thrown instanceof Error ? thrown.message : String(thrown)}`),
    );
  }

  #failed(frame: Buffer, thrown: unknown): void {
    const where = nameOf(frame);
    if (thrown instanceof ProtocolError) {
      this.#refuse(`${where}: ${thrown.message}`);
      return;
    }
    if (this.#closed) return;
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#options.log.error('request.failed', { peer: this.peer, request: where, reason });
    this.close(where);
  }
}

/** A bare SASL token may be shorter than any request. */
const isProduce = (frame: Buffer): boolean =>
  frame.length >= LEAST_REQUEST_BYTES && frame.readInt16BE(0) === PRODUCE_KEY;

function nameOf(frame: Buffer): string {
  if (frame.length < LEAST_REQUEST_BYTES) return `${frame.length} bytes`;
  const key = frame.readInt16BE(0);
  return `${apiOfKey(key) ?? key} v${frame.readInt16BE(2)}`;
}
