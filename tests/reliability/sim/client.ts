import type { Timer } from '../../../src/lib/clock.ts';
import {
  type ApiName,
  decodeResponse,
  encodeRequest,
  type RequestInput,
  type ResponseBody,
} from '../../../src/protocol/protocol.ts';
import type { Times } from './world.ts';

/** A client's end of a connection. */
export interface ClientStream {
  onData: (chunk: Buffer) => void;
  onClosed: () => void;
  write(chunk: Buffer): void;
  /** Forgets the connection. What was sent may still arrive. */
  abandon(): void;
}

/** The way to the broker. */
export interface Dialer {
  readonly world: Times;
  /** Undefined when nobody listens or the connection is not made. */
  connect(): Promise<ClientStream | undefined>;
}

/** The answer did not come: the request may have been carried out, or be carried out later. */
export class Lost extends Error {}

interface Waiting {
  readonly correlationId: number;
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Lost) => void;
  readonly timer: Timer;
}

/** Speaks the protocol over one connection at a time; makes a new one when the last is gone. Calls may overlap. */
export class SimClient {
  readonly #network: Dialer;
  readonly #name: string;
  readonly #timeoutMs: number;
  #end: ClientStream | undefined;
  #connecting: Promise<ClientStream> | undefined;
  #waiting: Waiting[] = [];
  #received: Buffer = Buffer.alloc(0);
  #correlationId = 0;

  constructor(network: Dialer, name: string, timeoutMs = 1000) {
    this.#network = network;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
  }

  /** Lost when no answer comes in time; the connection is then given up with all calls on it. */
  async call<A extends ApiName>(api: A, version: number, body: RequestInput<A>, extraMs = 0): Promise<ResponseBody<A>> {
    const end = this.#end ?? (await this.#connect());
    const correlationId = ++this.#correlationId;
    const frame = await new Promise<Buffer>((resolve, reject) => {
      const timer = this.#network.world.after(this.#timeoutMs + extraMs, () => this.#lose(end, 'no answer in time'));
      this.#waiting.push({ correlationId, resolve, reject, timer });
      end.write(encodeRequest(api, version, correlationId, this.#name, body));
    });
    const answer = decodeResponse(api, version, frame);
    if (answer.correlationId !== correlationId) {
      throw new Error(`${this.#name}: answer ${answer.correlationId} to request ${correlationId}`);
    }
    return answer.body;
  }

  /** Without an answer: acks=0. */
  async post<A extends ApiName>(api: A, version: number, body: RequestInput<A>): Promise<void> {
    const end = this.#end ?? (await this.#connect());
    end.write(encodeRequest(api, version, ++this.#correlationId, this.#name, body));
  }

  /** Gives the connection up. */
  leave(): void {
    if (this.#end) this.#lose(this.#end, 'given up');
  }

  #connect(): Promise<ClientStream> {
    this.#connecting ??= this.#network.connect().then((end) => {
      this.#connecting = undefined;
      if (end === undefined) throw new Lost(`${this.#name}: connection refused`);
      this.#received = Buffer.alloc(0);
      this.#end = end;
      end.onData = (chunk) => this.#onData(chunk);
      end.onClosed = () => this.#lose(end, 'the connection broke');
      return end;
    });
    return this.#connecting;
  }

  #lose(end: ClientStream, reason: string): void {
    if (this.#end !== end) return;
    this.#end = undefined;
    end.abandon();
    for (const { reject, timer } of this.#waiting.splice(0)) {
      timer.cancel();
      reject(new Lost(`${this.#name}: ${reason}`));
    }
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const size = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < size) return;
      const frame = this.#received.subarray(4, size);
      this.#received = this.#received.subarray(size);
      const first = this.#waiting.shift();
      if (first === undefined) throw new Error(`${this.#name}: an answer that nobody waits for`);
      first.timer.cancel();
      first.resolve(frame);
    }
  }
}
