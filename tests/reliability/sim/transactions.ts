import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { encodeBatch } from '../../../src/protocol/records.ts';
import { sendOf } from '../checker.ts';
import type { Step } from '../history.ts';
import { SimClient } from './client.ts';
import { COMPACTED, type Ledger, type Row } from './kept.ts';
import { type Lab, type Place, placeName } from './lab.ts';
import { lost } from './producers.ts';
import type { Open } from './recorder.ts';

/** The transaction cannot go on. */
class Broken extends Error {}

/** Answers after which the same request may be sent again. */
const AGAIN = new Set<number>([
  E.COORDINATOR_LOAD_IN_PROGRESS,
  E.COORDINATOR_NOT_AVAILABLE,
  E.NOT_COORDINATOR,
  E.CONCURRENT_TRANSACTIONS,
]);

/**
 * A producer with a transactional id: begins an identity (InitProducerId), produces to some partitions, then commits or aborts. By the
 * first transaction protocol it adds each partition before; by the second (KIP-890) produce does that, and each end gives a new epoch. What goes wrong before the end is aborted; after a lost answer it begins a new
 * epoch, so that what is still under way is fenced. Now and then it vanishes in the middle and comes back.
 */
export class TransactionalProducer {
  readonly name: string;
  okSinceHealed = 0;
  readonly #lab: Lab;
  readonly #transactionalId: string;
  readonly #protocol: 1 | 2;
  #client: SimClient;
  #producerId = -1;
  #producerEpoch = -1;
  readonly #sequences = new Map<string, number>();
  #count = 0;
  /** Set: it writes to the compacted topic, and what becomes of that is told there. */
  readonly ledger: Ledger | undefined;
  #rows: Row[] = [];
  /** The offset that it commits with a transaction counts its transactions; the last one that counts, and the one of the present one. */
  #marked = -1;
  #mark: number | undefined;
  #marks = 0;

  constructor(lab: Lab, name: string, ledger?: Ledger) {
    this.#lab = lab;
    this.name = name;
    this.ledger = ledger;
    this.#transactionalId = `tx-${name}`;
    this.#protocol = lab.world.pick([1, 2]);
    this.#client = new SimClient(lab.network, name);
  }

  async run(): Promise<void> {
    const { world } = this.#lab;
    while (!this.#lab.over && !this.#lab.productionOver) {
      if (this.#producerId < 0 && !(await this.#init())) {
        await world.sleep(world.between(10, 100));
        continue;
      }
      await this.#transaction();
      await world.sleep(world.between(1, 80));
    }
    // Nobody else ends what this one left open: the coordinator must, when its time is up.
  }

  /** A new epoch: the transaction before is ended by the coordinator, and nothing of the old epoch counts any more. */
  async #init(): Promise<boolean> {
    try {
      const answer = await this.#client.call('initProducerId', 4, {
        transactionalId: this.#transactionalId,
        transactionTimeoutMs: this.#lab.transactionMs,
      });
      if (answer.errorCode !== E.NONE) {
        this.#lab.recorder.error(`init ${answer.errorCode}`);
        return false;
      }
      if (answer.producerId !== this.#producerId) this.#lab.recorder.gotProducerId(answer.producerId, this.name);
      this.#producerId = answer.producerId;
      this.#producerEpoch = answer.producerEpoch;
      this.#sequences.clear();
      return true;
    } catch (thrown) {
      return lost(thrown);
    }
  }

  async #transaction(): Promise<void> {
    const { world, recorder } = this.#lab;
    const open = recorder.begin(this.name);
    const steps: Step[] = [];
    let asked: 'nothing' | 'commit' | 'abort' = 'nothing';
    try {
      for (let batches = world.between(1, 4); batches > 0; batches--) {
        await this.#produce(this.ledger === undefined ? world.pick(this.#lab.places) : COMPACTED, steps);
        await world.sleep(world.between(0, 30));
      }
      if (world.chance(0.6)) await this.#commitOffset();
      // Vanishes: its transaction hangs until it times out, or until it is back.
      if (recorder.healedAt === undefined && world.chance(0.05)) {
        this.#client.leave();
        this.#client = new SimClient(this.#lab.network, this.name);
        await world.sleep(world.between(0, 2 * this.#lab.transactionMs));
        throw new Broken();
      }
      asked = world.chance(0.75) ? 'commit' : 'abort';
      await this.#end(asked === 'commit');
      this.#close(open, asked === 'commit' ? 'ok' : 'aborted', steps);
      if (world.chance(0.2)) await this.#checkOffset();
      if (asked === 'commit' && recorder.healedAt !== undefined) this.okSinceHealed++;
    } catch (thrown) {
      if (!(thrown instanceof Broken)) throw thrown;
      await this.#recover(open, steps, asked);
    }
  }

  /** Begins a new epoch; that ends the transaction, unless its end had been asked for. */
  async #recover(open: Open, steps: readonly Step[], asked: 'nothing' | 'commit' | 'abort'): Promise<void> {
    const { world } = this.#lab;
    while (!this.#lab.over) {
      if (await this.#init()) {
        // What it asked for is done or was undone by now: the offset that belongs to the transaction tells which.
        const mark = this.#mark;
        const offset = asked === 'commit' && mark !== undefined ? await this.#offset() : undefined;
        const outcome = offset === undefined ? 'unknown' : offset === mark ? 'ok' : 'aborted';
        this.#close(open, asked === 'commit' ? outcome : 'aborted', steps);
        if (asked === 'commit' && mark !== undefined && offset === undefined) this.#marked = Number.NaN;
        if (offset !== undefined && offset !== mark && offset !== this.#marked) this.#complain(offset);
        return;
      }
      await world.sleep(world.between(10, 100));
    }
    this.#close(open, 'unknown', steps);
  }

  #close(open: Open, outcome: 'ok' | 'aborted' | 'unknown', steps: readonly Step[]): void {
    if (outcome === 'ok' && this.#mark !== undefined) this.#marked = this.#mark;
    this.#mark = undefined;
    if (this.ledger === undefined) this.#lab.recorder.end(open, outcome, steps, false, true);
    else this.ledger.close(this.#rows, outcome);
    this.#rows = [];
  }

  get #groupId(): string {
    return `of-${this.name}`;
  }

  /** Offsets in the transaction (KIP-447): they count when it does. */
  async #commitOffset(): Promise<void> {
    const id = {
      transactionalId: this.#transactionalId,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
    };
    if (this.#protocol === 1) {
      await this.#persist('add offsets', async () => {
        return (await this.#client.call('addOffsetsToTxn', 3, { ...id, groupId: this.#groupId })).errorCode;
      });
    }
    const mark = ++this.#marks;
    const { topic, partition } = this.#lab.places[0]!;
    this.#mark = mark;
    await this.#persist('commit offset', async () => {
      const answer = await this.#client.call('txnOffsetCommit', this.#protocol === 1 ? 3 : 5, {
        ...id,
        groupId: this.#groupId,
        topics: [
          { name: topic, partitions: [{ partitionIndex: partition, committedOffset: mark, committedMetadata: '' }] },
        ],
      });
      return answer.topics[0]!.partitions[0]!.errorCode;
    });
  }

  /** What counts now; undefined when that could not be learned. */
  async #offset(): Promise<number | undefined> {
    const { topic, partition } = this.#lab.places[0]!;
    for (let attempt = 0; attempt < 50 && !this.#lab.over; attempt++) {
      try {
        const answer = await this.#client.call('offsetFetch', 7, {
          groupId: this.#groupId,
          topics: [{ name: topic, partitionIndexes: [partition] }],
          requireStable: true,
        });
        const found = answer.topics[0]?.partitions[0];
        if (answer.errorCode === E.NONE && found?.errorCode === E.NONE) return found.committedOffset;
        this.#lab.recorder.error(`offset of a transaction ${answer.errorCode} ${found?.errorCode}`);
      } catch (thrown) {
        lost(thrown);
      }
      await this.#lab.world.sleep(this.#lab.world.between(10, 60));
    }
    return undefined;
  }

  async #checkOffset(): Promise<void> {
    const offset = await this.#offset();
    if (offset !== undefined && !Number.isNaN(this.#marked) && offset !== this.#marked) this.#complain(offset);
  }

  #complain(offset: number): void {
    this.#lab.recorder.complaints.push(`${this.name}: the offset ${offset} counts, and ${this.#marked} should`);
  }

  async #produce(place: Place, steps: Step[]): Promise<void> {
    const { world, nowMs, pad } = this.#lab;
    if (this.#protocol === 1) await this.#add(place);
    const key = placeName(place);
    const values = Array.from({ length: world.between(1, 3) }, () => `${this.name}.${++this.#count}`);
    const baseSequence = this.#sequences.get(key) ?? 0;
    this.#sequences.set(key, baseSequence + values.length);
    const { ledger } = this;
    const rows = ledger === undefined ? [] : values.map((value) => ledger.row(value));
    this.#rows.push(...rows);
    const records = encodeBatch(
      ledger === undefined
        ? values.map((value) => ({ key: null, value: Buffer.from(value + pad()), timestampMs: nowMs() }))
        : rows.map((row) => ledger.bytes(row)),
      { producerId: this.#producerId, producerEpoch: this.#producerEpoch, baseSequence, isTransactional: true },
    );
    const sends = values.map((value) => sendOf(key, value));
    steps.push(...sends);
    let baseOffset = -1;
    await this.#persist('produce', async () => {
      const answer = await this.#client.call('produce', this.#protocol === 1 ? 9 : 12, {
        transactionalId: this.#transactionalId,
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records: Buffer.from(records) }] }],
      });
      const { errorCode, baseOffset: base } = answer.responses[0]!.partitionResponses[0]!;
      baseOffset = base;
      return errorCode;
    });
    steps.splice(
      steps.length - sends.length,
      sends.length,
      ...values.map((value, at) => sendOf(key, value, baseOffset + at)),
    );
  }

  async #add(place: Place): Promise<void> {
    await this.#persist('add', async () => {
      const answer = await this.#client.call('addPartitionsToTxn', 3, {
        v3AndBelowTransactionalId: this.#transactionalId,
        v3AndBelowProducerId: this.#producerId,
        v3AndBelowProducerEpoch: this.#producerEpoch,
        v3AndBelowTopics: [{ name: place.topic, partitions: [place.partition] }],
      });
      return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition[0]!.partitionErrorCode;
    });
  }

  async #end(committed: boolean): Promise<void> {
    await this.#persist('end', async () => {
      const answer = await this.#client.call('endTxn', this.#protocol === 1 ? 3 : 5, {
        transactionalId: this.#transactionalId,
        producerId: this.#producerId,
        producerEpoch: this.#producerEpoch,
        committed,
      });
      if (this.#protocol === 2 && answer.errorCode === E.NONE) {
        this.#producerId = answer.producerId;
        this.#producerEpoch = answer.producerEpoch;
        this.#sequences.clear();
      }
      return answer.errorCode;
    });
  }

  /** Repeats a request that asks for it; Broken for any other error, and for a lost answer. */
  async #persist(what: string, request: () => Promise<number>): Promise<void> {
    const { world, recorder } = this.#lab;
    for (let attempt = 0; attempt < 20; attempt++) {
      let errorCode: number;
      try {
        errorCode = await request();
      } catch (thrown) {
        lost(thrown);
        throw new Broken();
      }
      if (errorCode === E.NONE) return;
      recorder.error(`${what} ${errorCode}`);
      if (!AGAIN.has(errorCode)) throw new Broken();
      await world.sleep(world.between(5, 50));
    }
    throw new Broken();
  }
}
