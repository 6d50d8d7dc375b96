import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../lib/config-table.ts';
import { StreamError } from '../lib/errors.ts';
import { decodeResponse, encodeRequest } from '../protocol/protocol.ts';
import { encodeBatch } from '../protocol/records.ts';

const PRODUCE_VERSION = 9;

/**
 * A small Kafka producer over one connection, acks=all: what the playground and `streamline produce` send with. Calls may
 * overlap; answers come in order.
 */
export class WireProducer {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void }[] = [];
  #received: Buffer = Buffer.alloc(0);
  #correlationId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  static connect(address: string): Promise<WireProducer> {
    const { host, port } = parseHostPort(address);
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => {
        socket.off('error', reject);
        resolve(new WireProducer(socket));
      });
      socket.once('error', reject);
    });
  }

  /** Appends values without keys; resolves with the first one's offset. */
  async produce(topic: string, partition: number, values: readonly Buffer[]): Promise<number> {
    const records = encodeBatch(values.map((value) => ({ key: null, value })));
    const body = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    };
    const frame = await this.#call(
      encodeRequest('produce', PRODUCE_VERSION, ++this.#correlationId, 'streamline', body),
    );
    const answer = decodeResponse('produce', PRODUCE_VERSION, frame).body as unknown as {
      responses: { partitionResponses: { errorCode: number; baseOffset: number; errorMessage: string | null }[] }[];
    };
    const [result] = answer.responses[0].partitionResponses;
    if (result.errorCode !== 0)
      throw new StreamError(
        'STORAGE_FAILED',
        `produce to ${topic} failed with error ${result.errorCode} ${result.errorMessage ?? ''}`,
      );
    return result.baseOffset;
  }

  close(): void {
    this.#socket.destroy();
  }

  #call(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(request);
    });
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      this.#waiting.shift()?.resolve(frame);
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
