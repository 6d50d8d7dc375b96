import { afterEach, expect, test, vi } from 'vitest';
import { InternalLog } from '../../src/broker/internal-log.ts';
import { OffsetsTopic } from '../../src/broker/offsets-topic.ts';
import { PartitionLog } from '../../src/storage/partition-log.ts';
import { ProducerState } from '../../src/storage/producer-state.ts';
import { TransactionPass } from '../../src/storage/transaction-cleaning.ts';
import type { Spoil } from './sim/machine.ts';
import { simulate } from './sim/simulate.ts';

const MOST_SEEDS = 60;

vi.setConfig({ testTimeout: 240_000 });

afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs seeds until the checker complains in the expected words; `first` passes over seeds whose run such a bug drags out for a minute. */
async function found(words: RegExp, spoil?: Spoil, first = 1): Promise<string> {
  const other = new Set<string>();
  for (let seed = first; seed <= MOST_SEEDS; seed++) {
    let problems: readonly string[];
    try {
      ({ problems } = await simulate(seed, spoil));
    } catch (thrown) {
      // A planted bug may also stop the broker or a client altogether.
      problems = [`stopped: ${thrown instanceof Error ? thrown.message : thrown}`];
    }
    const problem = problems.find((one) => words.test(one));
    if (problem !== undefined) {
      if (process.env['SIMULATION_FIGURES']) console.log(`seed ${seed}: ${problem}`);
      return problem;
    }
    for (const one of problems) other.add(one);
  }
  return `nothing in ${MOST_SEEDS} seeds; but ${[...other].slice(0, 3).join('; ')}`;
}

test('a disk that says it synced and did not', async () => {
  const spoil: Spoil = (disk) => {
    disk.sync = async () => {};
  };
  const words = /lost-write|unseen|inconsistent-offsets/;
  expect(await found(words, spoil)).toMatch(words);
});

test('an answer before the sync', async () => {
  vi.spyOn(PartitionLog.prototype, 'durable').mockImplementation(function (this: PartitionLog, offset) {
    return this.written(offset);
  });
  const words = /lost-write|unseen|inconsistent-offsets/;
  expect(await found(words, undefined, 3)).toMatch(words);
});

test('readers see what is not synced', async () => {
  vi.spyOn(PartitionLog.prototype, 'highWatermark', 'get').mockImplementation(function (this: PartitionLog) {
    return this.logEnd;
  });
  const words = /inconsistent-offsets|nonmonotonic-poll|duplicate|poll-skip/;
  expect(await found(words)).toMatch(words);
});

test('a start that does not sync what the crash before it left by luck', async () => {
  const spoil: Spoil = (disk, isStarting) => {
    const sync = disk.sync.bind(disk);
    disk.sync = async (path, inode) => {
      if (!isStarting()) await sync(path, inode);
    };
  };
  const words = /lost-write|unseen|inconsistent-offsets|nonmonotonic-poll/;
  expect(await found(words, spoil)).toMatch(words);
});

test('sequence numbers that are not checked', async () => {
  vi.spyOn(ProducerState.prototype, 'checkAll').mockReturnValue('ok');
  const words = /duplicate/;
  expect(await found(words)).toMatch(words);
});

test('producer state that a restart forgets', async () => {
  const add = ProducerState.prototype.add;
  let recovering = true;
  // What recovery reads from the log reaches `add` outside of an append.
  const append = PartitionLog.prototype.append;
  vi.spyOn(PartitionLog.prototype, 'append').mockImplementation(function (this: PartitionLog, ...args) {
    recovering = false;
    try {
      return append.apply(this, args);
    } finally {
      recovering = true;
    }
  });
  vi.spyOn(ProducerState.prototype, 'add').mockImplementation(function (this: ProducerState, ...args) {
    if (!recovering) add.apply(this, args);
  });
  const words = /duplicate|no-progress/;
  expect(await found(words)).toMatch(words);
});

test('commits answered before they are durable', async () => {
  const write = OffsetsTopic.prototype.write;
  vi.spyOn(OffsetsTopic.prototype, 'write').mockImplementation(function (this: OffsetsTopic, records, done) {
    write.call(this, records, () => {});
    done(true);
  });
  const words = /the committed offset of/;
  expect(await found(words)).toMatch(words);
});

test('producer ids given before their reservation is durable', async () => {
  const append = InternalLog.prototype.append;
  vi.spyOn(InternalLog.prototype, 'append').mockImplementation(async function (this: InternalLog, records) {
    append.call(this, records).catch(() => {});
  });
  const words = /producer id .* was given to|the committed offset of/;
  expect(await found(words)).toMatch(words);
});

test('readers of committed records that see open transactions', async () => {
  vi.spyOn(PartitionLog.prototype, 'lastStableOffset', 'get').mockImplementation(function (this: PartitionLog) {
    return this.highWatermark;
  });
  const words = /d1: (G1a|int-poll-skip|poll-skip)|everybody: G1a/;
  expect(await found(words)).toMatch(words);
});

test('offsets of transactions that count at once', async () => {
  const write = OffsetsTopic.prototype.write;
  vi.spyOn(OffsetsTopic.prototype, 'write').mockImplementation(function (this: OffsetsTopic, records, done, producer) {
    write.call(this, records, done, producer);
    if (producer !== undefined) write.call(this, records, () => {});
  });
  const words = /the offset \d+ counts/;
  expect(await found(words)).toMatch(words);
});

test('compaction that takes aborted records for the newest', async () => {
  vi.spyOn(TransactionPass.prototype, 'isAborted').mockReturnValue(false);
  const words = /compacted k2-\d is/;
  expect(await found(words)).toMatch(words);
});

test('deleted records that are back after a restart', async () => {
  vi.spyOn(PartitionLog.prototype, 'deleteRecordsBefore').mockImplementation(async (offset) => offset);
  const words = /the trimmed log begins at/;
  expect(await found(words)).toMatch(words);
});

test('aborted transactions that readers are not told of', async () => {
  vi.spyOn(PartitionLog.prototype, 'abortedTransactions').mockReturnValue([]);
  const words = /G1a/;
  expect(await found(words)).toMatch(words);
});
