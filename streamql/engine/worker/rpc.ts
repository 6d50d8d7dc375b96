import { asStreamError, type ErrorCode, StreamError } from '../../../src/lib/errors.ts';

/** The part of MessagePort and Worker that is used. */
export interface RpcPort {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

/** A result whose buffers move to the other side rather than being copied. */
export class Transferred {
  readonly value: unknown;
  readonly buffers: readonly ArrayBuffer[];

  constructor(value: unknown, buffers: readonly ArrayBuffer[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

type PlainError = { code: ErrorCode; detail: string };
type Message =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: string;
      readonly args: readonly unknown[];
      /** Its answer may wait for those of others of the same turn. */
      readonly shared?: true;
    }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'note'; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: 'several'; readonly messages: readonly Message[] };

export type RpcHandlers = Readonly<Record<string, (...args: any[]) => unknown>>;

/**
 * Calls and notes over a message port, both ways. Arguments and results are what structured clone carries; errors cross as StreamErrors. Messages
 * arrive in the order they were sent, whatever their kind.
 */
export class Rpc {
  readonly #port: RpcPort;
  readonly #handlers: RpcHandlers;
  readonly #pending = new Map<number, { resolve: (value: any) => void; reject: (error: StreamError) => void }>();
  #next = 0;
  #failure: StreamError | null = null;
  /** Messages that go together; whatever is sent after them takes them along, so the order holds. */
  #held: Message[] = [];
  #heldBuffers: ArrayBuffer[] = [];

  constructor(port: RpcPort, handlers: RpcHandlers) {
    this.#port = port;
    this.#handlers = handlers;
    port.on('message', (message) => this.#receive(message as Message));
  }

  call<T>(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): Promise<T> {
    return this.#called((id) => this.#send({ kind: 'call', id, method, args }, transfer));
  }

  /**
   * A call that goes in one message with the others of this turn of the event loop, as do their answers: a message costs both sides
   * more than a small call does.
   */
  callTogether<T>(method: string, args: readonly unknown[]): Promise<T> {
    return this.#called((id) => {
      // After everything that this turn has read from its sockets.
      if (this.#held.length === 0) setImmediate(() => this.#sendHeld());
      this.#held.push({ kind: 'call', id, method, args, shared: true });
    });
  }

  note(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): void {
    if (this.#failure === null) this.#send({ kind: 'note', method, args }, transfer);
  }

  #called<T>(send: (id: number) => void): Promise<T> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      try {
        send(id);
      } catch (thrown) {
        this.#pending.delete(id);
        reject(asStreamError(thrown));
      }
    });
  }

  #send(message: Message, transfer: readonly ArrayBuffer[] = []): void {
    this.#sendHeld();
    this.#port.postMessage(message, transfer);
  }

  #sendHeld(): void {
    if (this.#held.length === 0 || this.#failure !== null) return;
    const [messages, buffers] = [this.#held, this.#heldBuffers];
    this.#held = [];
    this.#heldBuffers = [];
    try {
      this.#port.postMessage({ kind: 'several', messages }, buffers);
    } catch (thrown) {
      // Something among them cannot cross; nobody may wait for ever.
      const error = asStreamError(thrown);
      for (const message of messages) {
        if (message.kind === 'call') this.#receive({ kind: 'error', id: message.id, error: error.toJSON() });
        else if (message.kind === 'result')
          this.#port.postMessage({ kind: 'error', id: message.id, error: error.toJSON() });
        else this.#port.postMessage(message);
      }
    }
  }

  /** The other side is gone: every call under way, and every later one, fails with this. */
  fail(error: StreamError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #receive(message: Message): void {
    if (message.kind === 'note') this.#handlers[message.method](...message.args);
    else if (message.kind === 'call') void this.#answer(message);
    else if (message.kind === 'several') for (const one of message.messages) this.#receive(one);
    else {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'result') pending?.resolve(message.value);
      else pending?.reject(StreamError.from(message.error));
    }
  }

  async #answer({ id, method, args, shared }: Message & { kind: 'call' }): Promise<void> {
    let answer: Message;
    let buffers: readonly ArrayBuffer[] = [];
    try {
      const value = await this.#handlers[method](...args);
      const moved = value instanceof Transferred;
      if (moved) buffers = value.buffers;
      answer = { kind: 'result', id, value: moved ? value.value : value };
    } catch (thrown) {
      answer = { kind: 'error', id, error: asStreamError(thrown).toJSON() };
    }
    if (this.#failure !== null) return;
    if (shared === true) {
      // After all that is ready without waiting, which was asked for together.
      if (this.#held.length === 0) process.nextTick(() => this.#sendHeld());
      this.#held.push(answer);
      this.#heldBuffers.push(...buffers);
      return;
    }
    try {
      this.#send(answer, buffers);
    } catch (thrown) {
      this.#send({ kind: 'error', id, error: asStreamError(thrown).toJSON() });
    }
  }
}
