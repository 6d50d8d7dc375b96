import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { encodeBatch, RecordCursor, readBatchHeader } from '../../../src/protocol/records.ts';
import { SimClient } from './client.ts';
import { READ_COMMITTED } from './consumers.ts';
import { type Lab, type Place, valueIn } from './lab.ts';
import { lost } from './producers.ts';

/** Topics that do not keep everything: of the one compaction leaves the newest record of each key, of the other the older ones are deleted. */
export const COMPACTED: Place = { topic: 'c', partition: 0 };
export const TRIMMED: Place = { topic: 'd', partition: 0 };

const PRODUCE_VERSION = 9;
const KEYS = 4;

export interface Row {
  readonly key: string;
  /** Null: a tombstone. */
  readonly value: string | null;
}

/** What one writer knows of its keys: the value that counts, and later ones of which it was told nothing. */
export class Ledger {
  readonly #lab: Lab;
  readonly #who: string;
  readonly #acknowledged = new Map<string, string | null>();
  readonly #perhaps = new Map<string, (string | null)[]>();

  constructor(lab: Lab, who: string) {
    this.#lab = lab;
    this.#who = who;
  }

  /** A row for the value, of any of the writer's keys; now and then the key is deleted. */
  row(value: string): Row {
    const { world } = this.#lab;
    return { key: `${this.#who}-${world.between(1, KEYS)}`, value: world.chance(0.15) ? null : value };
  }

  bytes({ key, value }: Row) {
    const { nowMs, pad } = this.#lab;
    return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value + pad()), timestampMs: nowMs() };
  }

  close(rows: readonly Row[], outcome: 'ok' | 'aborted' | 'unknown'): void {
    for (const [key, value] of new Map(rows.map((row) => [row.key, row.value]))) {
      if (outcome === 'ok') {
        this.#acknowledged.set(key, value);
        this.#perhaps.delete(key);
      } else if (outcome === 'unknown') this.#perhaps.set(key, [...(this.#perhaps.get(key) ?? []), value]);
    }
  }

  /** `newest`: what is read last of each key of the whole topic. */
  judge(newest: ReadonlyMap<string, string | null>): void {
    for (const key of new Set([...this.#acknowledged.keys(), ...this.#perhaps.keys()])) {
      const may = [this.#acknowledged.get(key) ?? null, ...(this.#perhaps.get(key) ?? [])];
      const found = newest.get(key) ?? null;
      if (!may.includes(found))
        this.#lab.recorder.complaints.push(`compacted ${key} is ${found}, and should be ${may.join(' or ')}`);
    }
  }
}

/** Writes to the compacted topic with sequence numbers, one batch after the other, each until it is acknowledged. */
export class KeyedProducer {
  readonly ledger: Ledger;
  readonly #lab: Lab;
  readonly #client: SimClient;
  readonly #name: string;
  #count = 0;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.#name = name;
    this.ledger = new Ledger(lab, name);
    this.#client = new SimClient(lab.network, name);
  }

  async run(): Promise<void> {
    const { world } = this.#lab;
    const isOver = (): boolean => this.#lab.over || this.#lab.productionOver;
    let id: { producerId: number; producerEpoch: number } | undefined;
    while (id === undefined && !isOver()) {
      id = await this.#begin();
      await world.sleep(world.between(5, 50));
    }
    let sequence = 0;
    while (id !== undefined && !isOver()) {
      const rows = Array.from({ length: world.between(1, 3) }, () => this.ledger.row(`${this.#name}.${++this.#count}`));
      const records = encodeBatch(
        rows.map((row) => this.ledger.bytes(row)),
        { ...id, baseSequence: sequence },
      );
      sequence += rows.length;
      let isDone = false;
      while (!isDone && !this.#lab.over) {
        isDone = (await produce(this.#lab, this.#client, COMPACTED, records)) !== undefined;
        if (!isDone) await world.sleep(world.between(5, 80));
      }
      this.ledger.close(rows, isDone ? 'ok' : 'unknown');
      await world.sleep(world.between(1, 60));
    }
  }

  async #begin(): Promise<{ producerId: number; producerEpoch: number } | undefined> {
    try {
      const body = { transactionalId: null, transactionTimeoutMs: 60_000 };
      const { errorCode, producerId, producerEpoch } = await this.#client.call('initProducerId', 4, body);
      if (errorCode !== E.NONE) return undefined;
      this.#lab.recorder.gotProducerId(producerId, this.#name);
      return { producerId, producerEpoch };
    } catch (thrown) {
      lost(thrown);
      return undefined;
    }
  }
}

/** Writes to a topic and deletes from its beginning (DeleteRecords), as retention may too: what was deleted stays so, what was not is there. */
export class Trimmer {
  readonly #lab: Lab;
  readonly #client: SimClient;
  readonly #kept = new Map<number, string>();
  /** Up to where records may be gone, and are gone for sure. */
  #asked = 0;
  #deleted = 0;
  /** Where it began when somebody last looked. */
  #began = 0;
  #count = 0;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.#client = new SimClient(lab.network, name);
  }

  async run(): Promise<void> {
    const { world, nowMs, pad } = this.#lab;
    while (!this.#lab.over && !this.#lab.productionOver) {
      const value = `trim.${++this.#count}`;
      const records = encodeBatch([{ key: null, value: Buffer.from(value + pad()), timestampMs: nowMs() }]);
      const offset = await produce(this.#lab, this.#client, TRIMMED, records);
      if (offset !== undefined) {
        this.#kept.set(offset, value);
        if (world.chance(0.1)) await this.#delete(world.between(this.#deleted, offset + 1));
      }
      await world.sleep(world.between(1, 60));
    }
  }

  async #delete(offset: number): Promise<void> {
    this.#asked = Math.max(this.#asked, offset);
    try {
      const { topics } = await this.#client.call('deleteRecords', 2, {
        topics: [{ name: TRIMMED.topic, partitions: [{ partitionIndex: TRIMMED.partition, offset }] }],
        timeoutMs: 1000,
      });
      const { errorCode, lowWatermark } = topics[0]!.partitions[0]!;
      if (errorCode !== E.NONE) return this.#lab.recorder.error(`delete ${errorCode}`);
      if (lowWatermark < this.#began) this.#complain(`begins at ${lowWatermark} after ${this.#began}`);
      this.#began = lowWatermark;
      this.#deleted = Math.max(this.#deleted, offset);
      if (lowWatermark < offset) this.#complain(`begins at ${lowWatermark} after all below ${offset} was deleted`);
    } catch (thrown) {
      lost(thrown);
    }
  }

  /** `seen`: all that is there in the end; `start`: where it begins. */
  judge(start: number, seen: ReadonlyMap<number, string | null>): void {
    if (start < this.#began) this.#complain(`begins at ${start} after ${this.#began}`);
    if (start < this.#deleted) this.#complain(`begins at ${start}, although all below ${this.#deleted} was deleted`);
    if (start > this.#asked && this.#lab.retains !== true)
      this.#complain(`begins at ${start}, and only what is below ${this.#asked} was to go`);
    for (const [offset, value] of this.#kept) {
      if (offset >= start && seen.get(offset) !== value)
        this.#complain(`has ${seen.get(offset)} at ${offset}, not ${value}`);
    }
  }

  #complain(what: string): void {
    this.#lab.recorder.complaints.push(`the trimmed log ${what}`);
  }
}

/** The offset of what was written; undefined when it is not known to be. */
async function produce(lab: Lab, client: SimClient, place: Place, records: Buffer): Promise<number | undefined> {
  try {
    const answer = await client.call('produce', PRODUCE_VERSION, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: place.topic, partitionData: [{ index: place.partition, records: Buffer.from(records) }] }],
    });
    const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!;
    if (errorCode === E.NONE) return baseOffset;
    lab.recorder.error(`produce ${errorCode}`);
  } catch (thrown) {
    lost(thrown);
  }
  return undefined;
}

/** Reads a partition from where it begins to its end, committed records only. Undefined when it did not work out, or not all is decided yet. */
export async function readWhole(lab: Lab, name: string, { topic, partition }: Place) {
  const client = new SimClient(lab.network, name);
  const seen: { offset: number; key: string | null; value: string | null }[] = [];
  const bound = async (timestamp: number, isolationLevel = READ_COMMITTED): Promise<number> => {
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }];
    const answer = await client.call('listOffsets', 5, { isolationLevel, topics });
    return answer.topics[0]!.partitions[0]!.offset;
  };
  try {
    const [start, end] = [await bound(-2), await bound(-1)];
    if (end < (await bound(-1, 0))) return undefined;
    const aborted = new Set<number>();
    for (let offset = start; offset < end; ) {
      const from = offset;
      const answer = await client.call('fetch', 11, {
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 1 << 20,
        isolationLevel: READ_COMMITTED,
        topics: [{ topic, partitions: [{ partition, fetchOffset: from, partitionMaxBytes: 3000 }] }],
      });
      const part = answer.responses[0]!.partitions[0]!;
      if (part.errorCode !== E.NONE) return undefined;
      const waiting = [...(part.abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
      const data = part.records as Buffer;
      for (let at = 0; at < data.length; ) {
        const header = readBatchHeader(data, at);
        const batch = data.subarray(at, at + header.sizeBytes);
        at += header.sizeBytes;
        while (waiting.length > 0 && waiting[0]!.firstOffset <= header.lastOffset)
          aborted.add(waiting.shift()!.producerId);
        offset = Math.max(offset, header.lastOffset + 1);
        if (header.isControl) aborted.delete(header.producerId);
        else if (!header.isTransactional || !aborted.has(header.producerId)) {
          const cursor = new RecordCursor(batch);
          while (cursor.next()) {
            const [key, value] = [cursor.key(), cursor.value()];
            if (cursor.offset >= from)
              seen.push({ offset: cursor.offset, key: key && String(key), value: value && valueIn(value) });
          }
        }
      }
      if (offset === from) return undefined;
    }
    return { start, seen };
  } catch (thrown) {
    lost(thrown);
    return undefined;
  }
}
