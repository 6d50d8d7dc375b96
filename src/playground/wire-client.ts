import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../lib/config-table.ts';
import {
  type ApiName,
  decodeResponse,
  encodeRequest,
  type RequestInput,
  type ResponseBody,
} from '../protocol/protocol.ts';

/** Requests over one Kafka connection; calls may overlap, answers come in order. */
export class WireClient {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void }[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  #correlationId = 0;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  static connect(address: string): Promise<WireClient> {
    const { host, port } = parseHostPort(address);
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => {
        socket.off('error', reject);
        resolve(new WireClient(socket));
      });
      socket.once('error', reject);
    });
  }

  async call<A extends ApiName>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const frame = await this.#exchange(encodeRequest(api, version, ++this.#correlationId, 'streamline', body));
    return decodeResponse(api, version, frame).body;
  }

  close(): void {
    this.#socket.destroy();
  }

  #exchange(request: Buffer): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(request);
    });
  }

  #onData(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < 4) return;
      if (this.#chunks[0].length < 4) this.#join();
      const end = 4 + this.#chunks[0].readInt32BE(0);
      if (this.#bytes < end) return;
      if (this.#chunks[0].length < end) this.#join();
      const frame = this.#chunks[0].subarray(4, end);
      this.#bytes -= end;
      if (this.#chunks[0].length === end) this.#chunks.shift();
      else this.#chunks[0] = this.#chunks[0].subarray(end);
      this.#waiting.shift()?.resolve(frame);
      if (this.#chunks.length === 0) return;
    }
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
