import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { encodeBatch } from '../../../src/protocol/records.ts';
import { sendOf } from '../checker.ts';
import type { Send } from '../history.ts';
import { Lost, SimClient } from './client.ts';
import { type Lab, type Place, placeName } from './lab.ts';
import type { Open } from './recorder.ts';

/** Answers that say for sure that nothing was written. */
const REFUSALS = new Set<number>([E.CORRUPT_MESSAGE, E.INVALID_RECORD, E.MESSAGE_TOO_LARGE, E.INVALID_TIMESTAMP]);
const PRODUCE_VERSION = 9;

interface Batch {
  readonly place: Place;
  readonly values: readonly string[];
  readonly records: Buffer;
  readonly open: Open;
  /** The answer on the present connection. */
  answer: Promise<{ errorCode: number; baseOffset: number } | undefined> | undefined;
}

/** A producer with retries, acks=all and sequence numbers: each batch must be there once, in order. */
export class IdempotentProducer {
  readonly name: string;
  okSinceHealed = 0;
  readonly #lab: Lab;
  readonly #client: SimClient;
  readonly #window: number;
  readonly #sequences = new Map<string, number>();
  #producerId = -1;
  #producerEpoch = -1;
  #count = 0;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.name = name;
    this.#client = new SimClient(lab.network, name);
    this.#window = lab.world.between(1, 5);
  }

  async run(): Promise<void> {
    const { world, recorder } = this.#lab;
    const unacknowledged: Batch[] = [];
    while (!(await this.#begun())) {
      if (this.#lab.over) return;
      await world.sleep(world.between(10, 100));
    }
    while (!this.#lab.over && (!this.#lab.productionOver || unacknowledged.length > 0)) {
      while (unacknowledged.length < this.#window && !this.#lab.productionOver) unacknowledged.push(this.#next());
      for (const batch of unacknowledged) batch.answer ??= this.#send(batch);
      const first = await unacknowledged[0]!.answer;
      if (first?.errorCode === E.NONE) {
        this.#acknowledged(unacknowledged.shift()!, first.baseOffset);
        await world.sleep(world.between(1, 60));
        continue;
      }
      // All that is under way comes back before anything is sent again, or the order would be lost.
      const answers = await Promise.all(unacknowledged.map(({ answer }) => answer));
      for (const [at, batch] of [...unacknowledged].entries()) {
        const answer = answers[at];
        if (answer?.errorCode === E.NONE) {
          unacknowledged.splice(unacknowledged.indexOf(batch), 1);
          this.#acknowledged(batch, answer.baseOffset);
        } else batch.answer = undefined;
      }
      await world.sleep(world.between(5, 100));
    }
    for (const batch of unacknowledged) recorder.end(batch.open, 'unknown', sends(batch), true);
  }

  async #begun(): Promise<boolean> {
    try {
      const body = { transactionalId: null, transactionTimeoutMs: 60_000 };
      const answer = await this.#client.call('initProducerId', 4, body);
      if (answer.errorCode !== E.NONE) return false;
      this.#lab.recorder.gotProducerId(answer.producerId, this.name);
      this.#producerId = answer.producerId;
      this.#producerEpoch = answer.producerEpoch;
      return true;
    } catch (thrown) {
      return lost(thrown);
    }
  }

  #next(): Batch {
    const { world, recorder, places } = this.#lab;
    const place = world.pick(places);
    const values = Array.from({ length: world.between(1, 4) }, () => `${this.name}.${++this.#count}`);
    const baseSequence = this.#sequences.get(placeName(place)) ?? 0;
    this.#sequences.set(placeName(place), baseSequence + values.length);
    const { nowMs, pad } = this.#lab;
    const records = encodeBatch(
      values.map((value) => ({ key: null, value: Buffer.from(value + pad()), timestampMs: nowMs() })),
      { producerId: this.#producerId, producerEpoch: this.#producerEpoch, baseSequence },
    );
    return { place, values, records, open: recorder.begin(this.name), answer: undefined };
  }

  async #send({ place, records }: Batch): Promise<{ errorCode: number; baseOffset: number } | undefined> {
    try {
      const answer = await this.#client.call('produce', PRODUCE_VERSION, {
        acks: -1,
        timeoutMs: 1000,
        // The broker owns what it is given; a retry must find its bytes as they were.
        topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records: Buffer.from(records) }] }],
      });
      const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
      if (errorCode !== E.NONE) this.#lab.recorder.error(`produce ${errorCode}`);
      return { errorCode, baseOffset };
    } catch (thrown) {
      lost(thrown);
      return undefined;
    }
  }

  #acknowledged(batch: Batch, baseOffset: number): void {
    this.#lab.recorder.end(batch.open, 'ok', sends(batch, baseOffset), true);
    if (this.#lab.recorder.healedAt !== undefined) this.okSinceHealed++;
  }
}

/** A producer without sequence numbers; what it tries again it writes as new values, as their copies cannot be told apart otherwise. */
export class PlainProducer {
  readonly name: string;
  readonly acks: -1 | 0 | 1;
  okSinceHealed = 0;
  readonly #lab: Lab;
  readonly #client: SimClient;
  readonly #window: number;
  #count = 0;

  constructor(lab: Lab, name: string, acks: -1 | 0 | 1) {
    this.#lab = lab;
    this.name = name;
    this.acks = acks;
    this.#client = new SimClient(lab.network, name);
    this.#window = lab.world.between(1, 3);
  }

  async run(): Promise<void> {
    const { world } = this.#lab;
    while (!this.#lab.over && !this.#lab.productionOver) {
      await Promise.all(Array.from({ length: this.#window }, () => this.#one()));
      await world.sleep(world.between(5, 100));
    }
  }

  async #one(): Promise<void> {
    const { world, recorder, places, nowMs, pad } = this.#lab;
    const place = world.pick(places);
    const values = Array.from({ length: world.between(1, 3) }, () => `${this.name}.${++this.#count}`);
    const records = encodeBatch(
      values.map((value) => ({ key: null, value: Buffer.from(value + pad()), timestampMs: nowMs() })),
    );
    // Now and then one that is damaged on the way: it must be refused.
    if (world.chance(0.03)) records[records.length - 1]! ^= 1;
    const open = recorder.begin(this.name);
    const batch = { place, values };
    const body = {
      acks: this.acks,
      timeoutMs: 1000,
      topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records }] }],
    };
    try {
      if (this.acks === 0) {
        await this.#client.post('produce', PRODUCE_VERSION, body);
        recorder.end(open, 'unknown', sends(batch), true);
        return;
      }
      const answer = await this.#client.call('produce', PRODUCE_VERSION, body);
      const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
      if (errorCode !== E.NONE) recorder.error(`produce ${errorCode}`);
      if (REFUSALS.has(errorCode)) recorder.end(open, 'failed', sends(batch), true);
      else if (errorCode !== E.NONE || this.acks !== -1) recorder.end(open, 'unknown', sends(batch), true);
      else {
        recorder.end(open, 'ok', sends(batch, baseOffset), true);
        if (recorder.healedAt !== undefined) this.okSinceHealed++;
      }
    } catch (thrown) {
      lost(thrown);
      recorder.end(open, 'unknown', sends(batch), true);
      await world.sleep(world.between(10, 100));
    }
  }
}

function sends({ place, values }: { place: Place; values: readonly string[] }, baseOffset?: number): Send[] {
  return values.map((value, at) =>
    sendOf(placeName(place), value, baseOffset === undefined ? undefined : baseOffset + at),
  );
}

/** False for a lost answer; anything else is thrown on. */
export function lost(thrown: unknown): false {
  if (thrown instanceof Lost) return false;
  throw thrown;
}
