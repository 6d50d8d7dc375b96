import { connect, type Socket } from 'node:net';
import { Broker } from '../../src/broker/broker.ts';
import type { BrokerSettings } from '../../src/broker/broker-settings.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { parseHostPort } from '../../src/lib/config-table.ts';
import { createLog, type Log } from '../../src/lib/log.ts';
import type { Disk } from '../../src/ports/disk.ts';
import {
  type ApiName,
  decodeResponse,
  encodeRequest,
  type RequestInput,
  type ResponseBody,
} from '../../src/protocol/protocol.ts';
import { encodeBatch } from '../../src/protocol/records.ts';
import { Storage } from '../../src/storage/storage.ts';

export interface BrokerRig {
  readonly broker: Broker;
  readonly storage: Storage;
  readonly address: string;
  /** Lines of warnings and errors. */
  readonly lines: string[];
  close(): Promise<void>;
}

export const QUICK: Partial<BrokerSettings> = { groupInitialRebalanceDelayMs: 0 };

/** A broker on a free port, in memory unless given a disk. */
export async function startBroker(
  settings: Partial<BrokerSettings> = QUICK,
  where: { disk?: Disk; dir?: string } = {},
): Promise<BrokerRig> {
  const lines: string[] = [];
  const log: Log = createLog('warn', (line) => lines.push(line));
  const onDisk = where.disk !== undefined || where.dir !== undefined;
  const storage = await Storage.open(onDisk ? { ...where, log } : { inMemory: true, log });
  const broker = await Broker.start({
    storage,
    clock: systemClock,
    log,
    listeners: [{ listen: { host: '127.0.0.1', port: 0 } }],
    settings,
  });
  const close = async (): Promise<void> => {
    await broker.close();
    await storage.close();
  };
  return { broker, storage, address: broker.address, lines, close };
}

/** A raw client: whatever bytes one likes, and typed calls. */
export class WireClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #received: Buffer = Buffer.alloc(0);
  #frames: Buffer[] = [];
  #waiting: ((frame: Buffer) => void)[] = [];
  #correlationId = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#onData(chunk));
  }

  static connect(address: string): Promise<WireClient> {
    const { host, port } = parseHostPort(address);
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      socket.once('connect', () => resolve(new WireClient(socket)));
      socket.once('error', reject);
    });
  }

  /** Sends without waiting; `frame` answers come in order. */
  send<A extends ApiName>(api: A, version: number, body: RequestInput<A>): number {
    const id = ++this.#correlationId;
    this.socket.write(encodeRequest(api, version, id, 'test', body));
    return id;
  }

  /** The next answer, without its length. */
  frame(): Promise<Buffer> {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async call<A extends ApiName>(api: A, version: number, body: RequestInput<A>): Promise<ResponseBody<A>> {
    const id = this.send(api, version, body);
    const answer = decodeResponse(api, version, await this.frame());
    if (answer.correlationId !== id) throw new Error(`answer ${answer.correlationId} to request ${id}`);
    return answer.body;
  }

  /** One batch of text values; the partition's answer. */
  async produce(topic: string, values: readonly string[], options: { partition?: number; acks?: number } = {}) {
    const body = await this.call('produce', 9, produceBody(topic, values, options));
    return body.responses[0]!.partitionResponses[0]!;
  }

  close(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push(frame);
      else waiting(frame);
    }
  }
}

export function produceBody(
  topic: string,
  values: readonly string[],
  options: { partition?: number; acks?: number } = {},
): RequestInput<'produce'> {
  const records = encodeBatch(values.map((value) => ({ key: null, value: Buffer.from(value) })));
  return {
    transactionalId: null,
    acks: options.acks ?? -1,
    timeoutMs: 1000,
    topicData: [{ name: topic, partitionData: [{ index: options.partition ?? 0, records }] }],
  };
}
