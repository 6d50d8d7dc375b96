import type { Clock } from '../lib/clock.ts';
import { StreamError } from '../lib/errors.ts';
import { isInternalTopic } from '../ports/internal-topics.ts';
import type { SinkLog, TransactionGrant } from '../ports/sink-log.ts';
import { ERROR_CODES as E, errorName } from '../protocol/error-codes.ts';
import { appendError } from '../storage/record-set.ts';
import type { Storage } from '../storage/storage.ts';
import { NEVER_MS } from '../transaction/transaction.ts';
import type { TransactionCoordinator } from '../transaction/transaction-coordinator.ts';

/** While the end of the transaction before is still being marked. */
const RETRY_MS = 5;

/** SinkLog over this process's storage and coordinator: what a transactional Kafka producer does, without the wire. */
export class BrokerSinkLog implements SinkLog {
  readonly #storage: Storage;
  readonly #transactions: TransactionCoordinator;
  readonly #clock: Clock;

  constructor(storage: Storage, transactions: TransactionCoordinator, clock: Clock) {
    this.#storage = storage;
    this.#transactions = transactions;
    this.#clock = clock;
  }

  async ensureTopic(topic: string, options: Parameters<SinkLog['ensureTopic']>[1]) {
    if (isInternalTopic(topic))
      throw new StreamError('REQUEST_INVALID', `topic "${topic}" is the server's own and can only be read`);
    const info = this.#storage.describeTopic(topic) ?? (await this.#storage.createTopic(topic, options));
    const settings = this.#storage.partition(topic, 0)?.settings;
    return {
      partitions: info.partitions,
      maxMessageBytes: settings?.maxMessageBytes ?? 1 << 20,
      compacted: settings?.compacts ?? false,
    };
  }

  async begin(transactionalId: string): Promise<TransactionGrant & { readonly nowMs: number }> {
    for (;;) {
      const { error, ...grant } = await new Promise<{ error: number } & TransactionGrant>((resolve) => {
        const request = { transactionalId, timeoutMs: NEVER_MS, producerId: -1, producerEpoch: -1, own: true };
        this.#transactions.init(request, (code, producerId, producerEpoch) =>
          resolve({ error: code, producerId, producerEpoch }),
        );
      });
      if (error === E.NONE) return { ...grant, nowMs: this.#clock.nowMs() };
      if (error !== E.CONCURRENT_TRANSACTIONS) throw failed(error);
      await this.#pause();
    }
  }

  async append(
    transactionalId: string,
    grant: TransactionGrant,
    topic: string,
    partition: number,
    batches: Uint8Array,
  ) {
    const log = this.#storage.partition(topic, partition);
    if (log === undefined) throw new StreamError('SINK_UNAVAILABLE', `topic ${topic} has no partition ${partition}`);
    const admitted = await this.#transactions.admit({ transactionalId, ...grant }, topic, partition, true);
    if (admitted !== E.NONE) throw failed(admitted);
    const { lastOffset, error } = log.append(Buffer.from(batches), { origin: 'transaction' });
    if (error !== undefined) throw this.#storage.failure ?? log.offline ?? appendError(error, topic, partition);
    await log.durable(lastOffset);
  }

  async commit(transactionalId: string, grant: TransactionGrant): Promise<void> {
    for (;;) {
      const transaction = this.#transactions.get(transactionalId);
      if (transaction === undefined) return;
      // A decided transaction has raised the epoch, so the grant is no longer the present one.
      const { status, producerId, epoch } = transaction.state;
      const present = producerId === grant.producerId && epoch === grant.producerEpoch;
      if (!transaction.changing && !transaction.isPreparing) {
        if (!present || status !== 'Ongoing') return;
        const error = await this.#end(transactionalId, grant, true);
        if (error === E.NONE) return;
        if (error !== E.CONCURRENT_TRANSACTIONS) throw failed(error);
      }
      await this.#pause();
    }
  }

  async abort(transactionalId: string): Promise<void> {
    if (this.#transactions.get(transactionalId)?.state.status === 'Ongoing') await this.begin(transactionalId);
  }

  #end(transactionalId: string, grant: TransactionGrant, committed: boolean): Promise<number> {
    return new Promise((resolve) => {
      this.#transactions.end({ transactionalId, ...grant, committed, raisesEpoch: true }, resolve);
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimeout(resolve, RETRY_MS);
    });
  }
}

const failed = (code: number): StreamError =>
  new StreamError('SINK_UNAVAILABLE', `the transaction could not go on (Kafka error ${errorName(code)})`);
