import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import type { ReplayCounts } from '../../../src/ports/engine.ts';
import { ProtocolError } from '../../../src/protocol/protocol-error.ts';
import { RecordCursor } from '../../../src/protocol/records.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { DeadLetter, DeadLetters, LetterPlace } from './dead-letters.ts';
import type { Graph } from './graph.ts';
import type { LogReader } from './log-reader.ts';
import type { QueryNode } from './query-node.ts';
import { AppendDecoder, DECODE, type DecodedOutput } from './record-decoder.ts';
import type { SourceNode } from './source-node.ts';

/** Records of one part are held in memory until an epoch takes them in. */
const PART_BYTES = 8 << 20;
const PART_LETTERS = 1000;

/** Which letters go where: those of a source to all that follow it, those of a query to the operator that wrote them. */
interface Target {
  readonly source: SourceNode;
  readonly letters: DeadLetters;
  /** Positions in the source's columns of the batches that `onBatch` gets. */
  readonly columns: readonly number[];
  onBatch(batch: Batch): void;
  onMalformed(letter: DeadLetter): void;
}

interface Fetched {
  readonly place: LetterPlace;
  /** Stands on the record. */
  readonly record: RecordCursor;
}

export interface ReplayParts {
  readonly graph: Graph;
  readonly log: LogReader;
  readonly batchRecords: number;
  /** Runs at the beginning of the next epoch, as part of it; rejects with what it throws. */
  readonly inEpoch: (run: () => void) => Promise<void>;
}

/**
 * Reads the records of dead letters again from the log, by offset, and feeds them through once more. A letter goes away in the same epoch as
 * its row comes, so a checkpoint has both or neither: exactly once. What fails again becomes a letter again.
 */
export async function replay(node: SourceNode | QueryNode, parts: ReplayParts): Promise<ReplayCounts> {
  const counts = { replayed: 0, failed: 0, late: 0, left: 0 };
  const groups = new Map<string, { target: Target; places: LetterPlace[] }>();
  for (const place of node.errors.places()) {
    const target = targetOf(node, place, parts.graph);
    if (target === null) continue;
    const key = `${place.operator} ${place.topic}`;
    const group = groups.get(key) ?? { target, places: [] };
    groups.set(key, group);
    group.places.push(place);
  }
  for (const { target, places } of groups.values()) {
    places.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    for (let from = 0; from < places.length; ) {
      const part = await fetch(places, from, target.source, parts.log);
      from = part.next;
      await parts.inEpoch(() => {
        if (isCatchingUp(parts.graph, target.source))
          throw new StreamError('OVERLOADED', `a query over ${target.source.spec.name} has just begun to catch up`);
        feed(part.fetched, target, parts.batchRecords, counts);
      });
    }
  }
  counts.left = node.errors.rows - counts.failed;
  return counts;
}

export const isCatchingUp = (graph: Graph, source: SourceNode): boolean =>
  graph.readersOf(source).some((query) => query.error === null && query.catchingUp !== null);

/** Null where a letter cannot be replayed: its row is no record, or came through other operators. */
function targetOf(node: SourceNode | QueryNode, place: LetterPlace, graph: Graph): Target | null {
  if (node.kind === 'source') {
    if (node.isTable) {
      throw new StreamError(
        'SQL_UNSUPPORTED',
        `"${node.spec.name}" is a table: an older record must not come after a newer one`,
        {
          hint: 'drop the table and create it again over its topic: it then reads all records anew',
        },
      );
    }
    return place.operator === DECODE ? sourceTarget(node) : null;
  }
  const input = node.pipeline.inputTo(place.operator.split(' ')[0]);
  if (input === null) return null;
  const { relation, reader } = node.inputs[input];
  const source = graph.ownerOf(relation);
  if (source.kind !== 'source' || source.isTable || source.relation !== relation || source.spec.topic !== place.topic)
    return null;
  return {
    source,
    letters: node.errors,
    columns: reader.columns,
    onBatch: (batch) => reader.push(batch),
    onMalformed: (letter) => void node.errors.add({ ...letter, operator: place.operator }),
  };
}

/** The records of some of the letters, from `from` on; those that the log has no more stay letters. */
async function fetch(
  places: readonly LetterPlace[],
  from: number,
  source: SourceNode,
  log: LogReader,
): Promise<{ fetched: Fetched[]; next: number }> {
  const bounds = (await log.describe(source.spec.topic))?.partitions ?? [];
  const fetched: Fetched[] = [];
  let bytes = 0;
  let next = from;
  for (; next < places.length && bytes < PART_BYTES && next - from < PART_LETTERS; next++) {
    const place = places[next];
    const { logStart = 0, highWatermark = 0 } = bounds[place.partition] ?? {};
    if (place.offset < logStart || place.offset >= highWatermark) continue;
    const chunk = await log.read(source.spec.topic, place.partition, place.offset, 1);
    bytes += chunk.byteLength;
    const record = new RecordCursor(chunk);
    if (seek(record, place.offset)) fetched.push({ place, record });
  }
  return { fetched, next };
}

/** False when the log has no such record any more, or its batch cannot be read. */
function seek(record: RecordCursor, offset: number): boolean {
  try {
    while (record.next()) if (record.offset >= offset) return record.offset === offset;
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown;
  }
  return false;
}

/** In one epoch: letters go, rows come. Rows are late by the watermark as it is now. */
function feed(
  fetched: readonly Fetched[],
  target: Target,
  batchRecords: number,
  counts: { replayed: number; failed: number; late: number },
): void {
  const { source, letters } = target;
  const output: DecodedOutput = {
    onBatch: (batch) => target.onBatch(batch),
    onMalformed: (letter) => target.onMalformed(letter),
    onLate: (count, late) => {
      counts.late += count;
      source.countLate(count, late);
    },
  };
  const decoder = new AppendDecoder(source.spec, target.columns, batchRecords, output);
  const before = letters.total;
  let partition = -1;
  const finish = (): void => {
    const position = source.cursor.positions.find((at) => at.partition === partition);
    // A copy: what is read again does not move time on.
    if (partition < 0) return;
    // Another shard may read the partition: then what of it is late was settled there.
    decoder.finish({
      ...(position ?? { partition, next: 0, maxTime: Number.NEGATIVE_INFINITY, streamMs: Number.NEGATIVE_INFINITY }),
    });
  };
  let taken = 0;
  for (const { place, record } of fetched) {
    if (!letters.remove(place.number)) continue;
    if (place.partition !== partition || taken % batchRecords === 0) finish();
    assert(record.offset === place.offset, 'the cursor stands on the record of the letter');
    partition = place.partition;
    decoder.take(record, partition);
    taken++;
  }
  finish();
  const failed = letters.total - before;
  counts.failed += failed;
  counts.replayed += taken - failed;
}

/** A source's letters are fed to all that follows it. */
const sourceTarget = (source: SourceNode): Target => ({
  source,
  letters: source.errors,
  columns: source.layout,
  onBatch: (batch) => source.publish(batch),
  onMalformed: (letter) => void source.errors.add(letter),
});
