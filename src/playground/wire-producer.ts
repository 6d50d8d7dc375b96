import { StreamError } from '../lib/errors.ts';
import { encodeBatch } from '../protocol/records.ts';
import { WireClient } from './wire-client.ts';

const PRODUCE_VERSION = 9;
const TIMEOUT_MS = 30_000;

/** A small Kafka producer over one connection, acks=all: what the playground and `streamline bench` send with. */
export class WireProducer {
  readonly #client: WireClient;

  private constructor(client: WireClient) {
    this.#client = client;
  }

  static async connect(address: string): Promise<WireProducer> {
    return new WireProducer(await WireClient.connect(address));
  }

  /** Appends values without keys as one batch; resolves with the first one's offset after the fsync. */
  produce(topic: string, partition: number, values: readonly Buffer[]): Promise<number> {
    return this.produceBatch(topic, partition, encodeBatch(values.map((value) => ({ key: null, value }))));
  }

  /** The same for a batch that is encoded already. */
  async produceBatch(topic: string, partition: number, records: Buffer): Promise<number> {
    const answer = await this.#client.call('produce', PRODUCE_VERSION, {
      acks: -1,
      timeoutMs: TIMEOUT_MS,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    });
    const [result] = answer.responses[0].partitionResponses;
    if (result.errorCode !== 0) {
      throw new StreamError(
        'STORAGE_FAILED',
        `produce to ${topic} failed with error ${result.errorCode} ${result.errorMessage ?? ''}`,
      );
    }
    return result.baseOffset;
  }

  close(): void {
    this.#client.close();
  }
}
