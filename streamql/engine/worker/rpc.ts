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
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: PlainError }
  | { readonly kind: 'note'; readonly method: string; readonly args: readonly unknown[] };

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

  constructor(port: RpcPort, handlers: RpcHandlers) {
    this.#port = port;
    this.#handlers = handlers;
    port.on('message', (message) => this.#receive(message as Message));
  }

  call<T>(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      try {
        this.#port.postMessage({ kind: 'call', id, method, args }, transfer);
      } catch (thrown) {
        this.#pending.delete(id);
        reject(asStreamError(thrown));
      }
    });
  }

  note(method: string, args: readonly unknown[], transfer: readonly ArrayBuffer[] = []): void {
    if (this.#failure === null) this.#port.postMessage({ kind: 'note', method, args }, transfer);
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
    else if (message.kind === 'call') void this.#answer(message.id, message.method, message.args);
    else {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'result') pending?.resolve(message.value);
      else pending?.reject(StreamError.from(message.error));
    }
  }

  async #answer(id: number, method: string, args: readonly unknown[]): Promise<void> {
    try {
      const value = await this.#handlers[method](...args);
      if (this.#failure !== null) return;
      if (value instanceof Transferred)
        this.#port.postMessage({ kind: 'result', id, value: value.value }, value.buffers);
      else this.#port.postMessage({ kind: 'result', id, value });
    } catch (thrown) {
      if (this.#failure === null) this.#port.postMessage({ kind: 'error', id, error: asStreamError(thrown).toJSON() });
    }
  }
}
