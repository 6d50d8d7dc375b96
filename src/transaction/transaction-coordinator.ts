/**
 * Transactions (KIP-98, KIP-360, KIP-890): who may write under a transactional id, which partitions take part, and how it ends. A synchronous
 * core: time comes from a Clock, what must survive goes to a TransactionJournal, ends are written by TransactionMarkers, answers
 * leave through callbacks, all with Kafka's error codes. `transaction.ts` is the state of one id.
 *
 * An end is decided once its Prepare record is durable, then marked in every partition, then complete; a restart goes on from wherever
 * that stood. It is answered when the markers are durable, so that its producer finds neither CONCURRENT_TRANSACTIONS at the next
 * one nor readers that do not see it yet.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import type { TransactionJournal, TransactionMarkers, TransactionRecord } from './journal.ts';
import {
  completed,
  EPOCH_PER_TRANSACTION,
  isExhausted,
  isRepeatedEnd,
  NEVER_MS,
  newState,
  raised,
  type Status,
  type TopicPartition,
  Transaction,
  type TransactionState,
} from './transaction.ts';
import { TRANSACTION_DEFAULTS, type TransactionSettings } from './transaction-settings.ts';

export interface InitRequest {
  readonly transactionalId: string;
  readonly timeoutMs: number;
  /** What the producer had before; −1 when it begins. */
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Of this process: the bound on timeouts is for clients. */
  readonly own?: boolean;
}

export interface ProducerIdentity {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface EndRequest extends ProducerIdentity {
  readonly committed: boolean;
  /** The producer goes on with the next epoch (EndTxn v5). */
  readonly raisesEpoch: boolean;
}

export type ProducerReply = (error: number, producerId: number, producerEpoch: number) => void;

export interface TransactionCoordinatorParts {
  readonly clock: Clock;
  readonly journal: TransactionJournal;
  readonly markers: TransactionMarkers;
  readonly producerIds: { next(): Promise<number> };
  readonly settings?: Partial<TransactionSettings>;
}

export class TransactionCoordinator {
  readonly #clock: Clock;
  readonly #journal: TransactionJournal;
  readonly #markers: TransactionMarkers;
  readonly #producerIds: { next(): Promise<number> };
  #settings: TransactionSettings;
  readonly #transactions = new Map<string, Transaction>();
  readonly #timers: { timeouts?: Timer; expiry?: Timer } = {};
  #closed = false;

  constructor({ clock, journal, markers, producerIds, settings }: TransactionCoordinatorParts) {
    this.#clock = clock;
    this.#journal = journal;
    this.#markers = markers;
    this.#producerIds = producerIds;
    this.#settings = { ...TRANSACTION_DEFAULTS, ...settings };
  }

  /** Takes other settings, from now on. */
  configure(settings: Pick<TransactionSettings, 'maxTimeoutMs' | 'idExpirationMs'>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** Takes what the journal kept, the last record of each id, and completes what was decided. Then begins to watch the time. */
  load(records: Iterable<TransactionRecord>): void {
    for (const { transactionalId, value } of records) {
      if (value === null) continue;
      const transaction = new Transaction(transactionalId, value.state);
      for (const partition of value.partitions) transaction.setPartition(partition, null);
      this.#transactions.set(transactionalId, transaction);
    }
    for (const transaction of this.#transactions.values()) {
      if (!transaction.isPreparing) continue;
      transaction.busy = true;
      this.#mark(transaction, () => {});
    }
    this.#watch('timeouts', this.#settings.timeoutCheckMs, () => this.#abortTimedOut());
    this.#watch('expiry', this.#settings.expiryCheckMs, () => this.#expire());
  }

  transactions(): IterableIterator<Transaction> {
    return this.#transactions.values();
  }

  get(transactionalId: string): Transaction | undefined {
    return this.#transactions.get(transactionalId);
  }

  /** InitProducerId: fences whoever used the id before, aborts what it left open and replies with the next epoch. */
  init(request: InitRequest, reply: ProducerReply) {
    const refuse = (error: number): void => reply(error, -1, -1);
    const { transactionalId, timeoutMs, producerId, producerEpoch } = request;
    if (transactionalId === '') return refuse(E.INVALID_REQUEST);
    if (timeoutMs <= 0 || (timeoutMs > this.#settings.maxTimeoutMs && request.own !== true))
      return refuse(E.INVALID_TRANSACTION_TIMEOUT);
    const known = this.#transactions.get(transactionalId);
    const transaction = known ?? new Transaction(transactionalId, newState(timeoutMs, this.#clock.nowMs()));
    if (known === undefined) this.#transactions.set(transactionalId, transaction);
    if (transaction.changing || transaction.isPreparing) return refuse(E.CONCURRENT_TRANSACTIONS);
    const { state } = transaction;
    // A producer id without a producer is how @platformatic/kafka begins.
    const expects = producerId >= 0 && state.epoch >= 0;
    if (expects && !continues(state, producerId, producerEpoch)) return refuse(E.PRODUCER_FENCED);
    if (state.status === 'Ongoing') {
      const lastEpoch = expects ? state.epoch : -1;
      this.#end(transaction, { committed: false, epoch: raised(state.epoch), lastEpoch }, (error) =>
        error === E.NONE ? this.init(request, reply) : refuse(error),
      );
      return;
    }
    const next = { ...state, status: 'Empty', timeoutMs, updatedMs: this.#clock.nowMs(), clientVersion: 0 } as const;
    const answer = (to: TransactionState): void => {
      this.#write(transaction, to, (ok) => {
        if (ok) reply(E.NONE, to.producerId, to.epoch);
        else refuse(E.COORDINATOR_NOT_AVAILABLE);
      });
    };
    if (expects && producerEpoch === state.lastEpoch && producerEpoch !== state.epoch) return answer(next);
    const lastEpoch = expects ? state.epoch : -1;
    if (state.epoch >= 0 && !isExhausted(state.epoch)) return answer({ ...next, epoch: state.epoch + 1, lastEpoch });
    this.#withNewId(transaction, refuse, (fresh) => {
      answer({ ...next, producerId: fresh, previousProducerId: state.producerId, epoch: 0, lastEpoch });
    });
  }

  /** Adds partitions to the producer's transaction, which begins with the first. Replies with one error for all. */
  add(who: ProducerIdentity, partitions: readonly TopicPartition[], version: number, reply: (error: number) => void) {
    const found = this.#find(who);
    if (typeof found === 'number') return reply(found);
    const added = this.#add(found, partitions, version);
    if (typeof added === 'number') reply(added);
    else void added.then(reply);
  }

  /** Whether a partition takes part in the producer's transaction. */
  verify(who: ProducerIdentity, { topic, partition }: TopicPartition): number {
    const found = this.#find(who);
    if (typeof found === 'number') return found;
    const { status } = found.state;
    const takesPart = found.partition(topic, partition) === null;
    return status === 'Ongoing' && !found.busy && takesPart ? E.NONE : E.TRANSACTION_ABORTABLE;
  }

  /**
   * Whether the producer may append to a partition now: an error code, or a promise of one while it is being written down that the
   * partition takes part. With `adds` a partition that does not is added (KIP-890). Promises resolve in the order of the calls; the caller asks
   * again then, as the transaction may have ended meanwhile.
   */
  admit(who: ProducerIdentity, topic: string, partition: number, adds: boolean): number | Promise<number> {
    const found = this.#find(who);
    if (typeof found === 'number') return found === E.PRODUCER_FENCED ? E.INVALID_PRODUCER_EPOCH : found;
    if (found.state.status === 'Ongoing' && !found.busy) {
      const known = found.partition(topic, partition);
      if (known !== undefined) return known ?? E.NONE;
    }
    return adds ? this.#add(found, [{ topic, partition }], EPOCH_PER_TRANSACTION) : E.TRANSACTION_ABORTABLE;
  }

  /** EndTxn. Replies when all partitions know, with the identity that the producer goes on with. */
  end(request: EndRequest, reply: ProducerReply) {
    const { transactionalId, producerId, producerEpoch, committed, raisesEpoch } = request;
    const refuse = (error: number): void => reply(error, -1, -1);
    if (transactionalId === '') return refuse(E.INVALID_REQUEST);
    const transaction = this.#transactions.get(transactionalId);
    if (transaction === undefined) return refuse(E.INVALID_PRODUCER_ID_MAPPING);
    const { state } = transaction;
    const repeated = raisesEpoch && isRepeatedEnd(state, producerId, producerEpoch);
    if (!repeated && state.producerId !== producerId) return refuse(E.INVALID_PRODUCER_ID_MAPPING);
    if (!repeated && state.epoch !== producerEpoch) return refuse(E.PRODUCER_FENCED);
    const { status } = state;
    if (transaction.isPreparing) {
      return refuse((status === 'PrepareCommit') === committed ? E.CONCURRENT_TRANSACTIONS : E.INVALID_TXN_STATE);
    }
    if (transaction.changing) return refuse(E.CONCURRENT_TRANSACTIONS);
    if (status !== 'Ongoing' && (repeated || !raisesEpoch)) {
      const same = status === (committed ? 'CompleteCommit' : 'CompleteAbort');
      return same ? reply(E.NONE, state.producerId, state.epoch) : refuse(E.INVALID_TXN_STATE);
    }
    // Of the newer protocol a transaction without partitions may be aborted, as its producer cannot know whether any was added.
    if (status !== 'Ongoing' && committed) return refuse(E.INVALID_TXN_STATE);
    const finish = (nextProducerId: number): void => {
      const epochs = raisesEpoch
        ? { epoch: raised(state.epoch), lastEpoch: state.epoch, nextProducerId, clientVersion: EPOCH_PER_TRANSACTION }
        : { epoch: state.epoch, lastEpoch: state.lastEpoch };
      this.#end(transaction, { committed, ...epochs }, (error) => {
        if (error === E.NONE) reply(error, transaction.state.producerId, transaction.state.epoch);
        else refuse(error);
      });
    };
    if (raisesEpoch && isExhausted(state.epoch)) this.#withNewId(transaction, refuse, finish);
    else finish(-1);
  }

  close(): void {
    this.#closed = true;
    this.#timers.timeouts?.cancel();
    this.#timers.expiry?.cancel();
  }

  #find({ transactionalId, producerId, producerEpoch }: ProducerIdentity): Transaction | number {
    if (transactionalId === '') return E.INVALID_REQUEST;
    const transaction = this.#transactions.get(transactionalId);
    if (transaction === undefined || transaction.state.producerId !== producerId) return E.INVALID_PRODUCER_ID_MAPPING;
    return transaction.state.epoch === producerEpoch ? transaction : E.PRODUCER_FENCED;
  }

  #add(transaction: Transaction, wanted: readonly TopicPartition[], version: number): number | Promise<number> {
    if (transaction.busy || transaction.isPreparing) return E.CONCURRENT_TRANSACTIONS;
    const { state } = transaction;
    const fresh: TopicPartition[] = [];
    const waits: Promise<number>[] = [];
    if (state.status !== 'Ongoing') {
      transaction.partitions.clear();
      fresh.push(...wanted);
    } else {
      for (const one of wanted) {
        const known = transaction.partition(one.topic, one.partition);
        if (known === undefined) fresh.push(one);
        else if (known !== null) waits.push(known);
      }
    }
    if (fresh.length === 0) return waits.length === 0 ? E.NONE : Promise.all(waits).then(worst);
    const nowMs = this.#clock.nowMs();
    const startMs = state.status === 'Ongoing' ? state.startMs : nowMs;
    transaction.state = { ...state, status: 'Ongoing', startMs, updatedMs: nowMs, clientVersion: version };
    let settle: (error: number) => void = () => {};
    const added = new Promise<number>((resolve) => {
      settle = resolve;
    });
    for (const one of fresh) transaction.setPartition(one, added);
    transaction.adding++;
    this.#journal.write(recordOf(transaction), (ok) => {
      transaction.adding--;
      for (const one of fresh) {
        if (ok) transaction.setPartition(one, null);
        else transaction.removePartition(one);
      }
      settle(ok ? E.NONE : E.COORDINATOR_NOT_AVAILABLE);
    });
    return waits.length === 0 ? added : Promise.all([...waits, added]).then(worst);
  }

  /** Decides, marks and completes. */
  #end(
    transaction: Transaction,
    {
      committed,
      ...change
    }: { committed: boolean } & Pick<TransactionState, 'epoch' | 'lastEpoch'> & Partial<TransactionState>,
    done: (error: number) => void,
  ) {
    const status: Status = committed ? 'PrepareCommit' : 'PrepareAbort';
    const next = { ...transaction.state, ...change, status, updatedMs: this.#clock.nowMs() };
    this.#write(transaction, next, (ok) => {
      if (!ok) return done(E.COORDINATOR_NOT_AVAILABLE);
      transaction.busy = true;
      this.#mark(transaction, () => done(E.NONE));
    });
  }

  /** Writes the markers of a decided transaction, however often it takes. */
  #mark(transaction: Transaction, done: () => void): void {
    const { state } = transaction;
    const outcome = {
      producerId: state.producerId,
      producerEpoch: state.epoch,
      committed: state.status === 'PrepareCommit',
    };
    this.#markers.write(outcome, transaction.listPartitions(), (ok) => {
      if (!ok) {
        if (!this.#closed) {
          this.#clock.setTimeout(() => {
            if (!this.#closed) this.#mark(transaction, done);
          }, this.#settings.markerRetryMs);
        }
        return;
      }
      transaction.partitions.clear();
      transaction.state = completed(state, this.#clock.nowMs());
      transaction.busy = false;
      // Nothing waits for it: until it is durable a restart would only repeat the markers.
      this.#journal.write(recordOf(transaction), () => {});
      done();
    });
  }

  /** Changes the state once that is durable; until then no other change begins. */
  #write(transaction: Transaction, next: TransactionState, done: (ok: boolean) => void): void {
    const before = transaction.state;
    transaction.state = next;
    transaction.busy = true;
    this.#journal.write(recordOf(transaction), (ok) => {
      transaction.busy = false;
      if (!ok) transaction.state = before;
      done(ok);
    });
  }

  #withNewId(transaction: Transaction, refuse: (error: number) => void, use: (producerId: number) => void): void {
    transaction.busy = true;
    this.#producerIds.next().then(use, () => {
      transaction.busy = false;
      refuse(E.COORDINATOR_NOT_AVAILABLE);
    });
  }

  #abortTimedOut(): void {
    const nowMs = this.#clock.nowMs();
    for (const transaction of this.#transactions.values()) {
      const { status, startMs, timeoutMs, epoch } = transaction.state;
      if (status !== 'Ongoing' || transaction.changing || timeoutMs === NEVER_MS || nowMs - startMs <= timeoutMs)
        continue;
      // Whoever began it is fenced: it must not go on writing outside a transaction.
      this.#end(transaction, { committed: false, epoch: raised(epoch), lastEpoch: -1 }, () => {});
    }
  }

  #expire(): void {
    const before = this.#clock.nowMs() - this.#settings.idExpirationMs;
    for (const transaction of [...this.#transactions.values()]) {
      const { status, updatedMs } = transaction.state;
      if (status === 'Ongoing' || transaction.isPreparing || transaction.changing || updatedMs > before) continue;
      this.#transactions.delete(transaction.id);
      this.#journal.write({ transactionalId: transaction.id, value: null }, () => {});
    }
  }

  #watch(name: 'timeouts' | 'expiry', everyMs: number, look: () => void): void {
    this.#timers[name] = this.#clock.setTimeout(() => {
      look();
      this.#watch(name, everyMs, look);
    }, everyMs);
  }
}

/** Whether a producer that names what it had is the present one (KIP-360): by its epoch, or by the one that the answer it missed raised. */
function continues(state: TransactionState, producerId: number, epoch: number): boolean {
  if (producerId === state.producerId) return epoch === state.epoch || (epoch >= 0 && epoch === state.lastEpoch);
  return producerId === state.previousProducerId && isExhausted(epoch);
}

const worst = (errors: readonly number[]): number => errors.find((error) => error !== E.NONE) ?? E.NONE;

const recordOf = (transaction: Transaction): TransactionRecord => ({
  transactionalId: transaction.id,
  value: { state: transaction.state, partitions: transaction.listPartitions() },
});
