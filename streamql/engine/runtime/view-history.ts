import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, type ColumnSchema, gatherBatch } from '../../../src/values/batch.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { type AsOf, asOfText } from '../../plan/as-of.ts';
import { inMemory, type StateSize, type StateTable } from '../operator.ts';
import { bytesOfParts, type Parts } from '../state/piece.ts';
import { batchBytes, decodeBatches, encodeBatches } from './batch-bytes.ts';
import { compactBatch } from './compact-batch.ts';
import { consolidate } from './consolidate.ts';

/** Epochs between these two were lost when the engine stopped, if there were any. */
interface Gap {
  readonly after: number;
  readonly until: number;
}

/** An epoch that changed the rows, and when it was by the clock. */
interface Step {
  readonly epoch: number;
  readonly ms: number;
  readonly batch: Batch;
}

/**
 * The changes of a view's rows, epoch by epoch, of the last `retainMs`: the rows as of an epoch are those of now without the changes after it
 * (ViewStore.without). What is older goes, so its size is that of the changes in that time. It begins with the first epoch at whose end the view could be read.
 */
export class ViewHistory implements StateTable {
  readonly id = 'history';
  retainMs: number;
  fullBytes = 0;
  changeBytes = 0;
  readonly #columns: readonly ColumnSchema[];
  readonly #types: readonly SqlType[];
  /** In the order of their epochs; times never fall. */
  #steps: Step[] = [];
  /** The earliest moment whose rows are known; null before the first. */
  #since: { readonly epoch: number; readonly ms: number } | null = null;
  /** Of `#steps`, the last ones, that no save had. */
  #unsaved = 0;
  #gaps: readonly Gap[] = [];
  /** Whether a save had `#since` and `#gaps`. */
  #isHeadSaved = false;
  rows = 0;
  bytes = 0;

  constructor(columns: readonly ColumnSchema[], retainMs: number) {
    this.#columns = columns;
    this.#types = columns.map((column) => column.type);
    this.retainMs = retainMs;
  }

  /** The rows are known from the end of this epoch on, if not from before. */
  begin(epoch: number, ms: number): void {
    if (this.#since !== null) return;
    this.#since = { epoch, ms };
    this.#isHeadSaved = false;
  }

  /** It was loaded as of the first of these epochs, and goes on after the other. */
  resumed(after: number, until: number): void {
    if (this.#since === null) return;
    this.#gaps = [...this.#gaps, { after, until }];
    this.#isHeadSaved = false;
  }

  /** What an epoch changed. The first one only begins: what was before it is not known. */
  record(epoch: number, nowMs: number, changes: readonly Batch[]): void {
    if (this.#since === null) {
      this.begin(epoch, nowMs);
      return;
    }
    const ms = Math.max(nowMs, this.#steps.at(-1)?.ms ?? this.#since.ms);
    this.prune(ms);
    const sum = changes.length === 0 ? null : consolidate(this.#types, changes);
    if (sum === null) return;
    this.#add({ epoch, ms, batch: compactBatch(sum) });
    this.#unsaved++;
  }

  prune(nowMs: number): void {
    const until = nowMs - this.retainMs;
    if (this.#since === null || until <= this.#since.ms) return;
    let { epoch } = this.#since;
    let count = 0;
    for (; count < this.#steps.length && this.#steps[count].ms <= until; count++) epoch = this.#steps[count].epoch;
    this.#since = { epoch, ms: until };
    this.#gaps = this.#gaps.filter((gap) => gap.until > epoch);
    this.#drop(count);
  }

  /** The epoch whose rows a moment saw; the present one at most. NOT_FOUND outside of what is known. */
  epochAt(moment: AsOf, present: { readonly epoch: number; readonly ms: number }, name: string): number {
    this.prune(present.ms);
    const isTime = 'micros' in moment;
    const wanted = isTime ? Math.floor(moment.micros / 1000) : moment.epoch;
    const text = asOfText(moment);
    if (wanted > (isTime ? present.ms : present.epoch)) {
      throw new StreamError('NOT_FOUND', `${name} AS OF ${text}: that has not been yet`, {
        hint: `now it is ${asOfText({ micros: present.ms * 1000 })}, epoch ${present.epoch}`,
      });
    }
    const since = this.#since;
    if (since === null || wanted < (isTime ? since.ms : since.epoch)) {
      const begins =
        since === null ? 'with its next change' : `at ${asOfText({ micros: since.ms * 1000 })}, epoch ${since.epoch}`;
      throw new StreamError('NOT_FOUND', `${name} AS OF ${text}: its history begins ${begins}`, {
        hint: 'retain_history of the view says how long changes are kept, from when it was set on',
      });
    }
    if (!isTime) {
      const gap = this.#gaps.find(({ after, until: next }) => after < wanted && wanted < next);
      if (gap === undefined) return wanted;
      throw new StreamError('NOT_FOUND', `${name} AS OF ${text}: that epoch was lost when the server stopped`, {
        hint: `the last one before that is kept as ${gap.after}; what came after it came again after ${gap.until}`,
      });
    }
    let { epoch } = since;
    for (const step of this.#steps) if (step.ms <= wanted) ({ epoch } = step);
    return epoch;
  }

  /** What makes the rows of now those at the end of that epoch; null when they are the same. NOT_FOUND when it was forgotten meanwhile. */
  undo(epoch: number, name: string): Batch | null {
    if (this.#since === null || epoch < this.#since.epoch)
      throw new StreamError(
        'NOT_FOUND',
        `${name} AS OF ${epoch}: its history begins at epoch ${this.#since?.epoch ?? '…'}`,
      );
    const later = this.#steps.filter((step) => step.epoch > epoch);
    if (later.length === 0) return null;
    return consolidate(
      this.#types,
      later.map(({ batch }) => negated(batch)),
    );
  }

  get size(): StateSize {
    return inMemory(this.bytes);
  }

  save(full: boolean): Parts | null {
    const steps = full ? this.#steps : this.#steps.slice(this.#steps.length - this.#unsaved);
    if (!full && steps.length === 0 && (this.#isHeadSaved || this.#since === null)) return null;
    const since = this.#since ?? { epoch: Number.NaN, ms: Number.NaN };
    const pairs = [
      ...this.#gaps.map(({ after, until }) => [after, until]),
      ...steps.map(({ epoch, ms }) => [epoch, ms]),
    ];
    const head = Float64Array.from([this.#gaps.length, steps.length, since.epoch, since.ms, ...pairs.flat()]);
    const batches = encodeBatches(
      steps.map(({ batch }) => batch),
      this.#columns,
    );
    const parts = [Buffer.from(head.buffer), ...batches];
    const bytes = bytesOfParts(parts);
    this.#unsaved = 0;
    this.#isHeadSaved = this.#since !== null;
    if (full) {
      this.fullBytes = bytes;
      this.changeBytes = 0;
    } else this.changeBytes += bytes;
    return parts;
  }

  load(piece: Uint8Array): void {
    for (const step of this.#decoded(piece)) this.#add(step);
    this.#isHeadSaved = this.#since !== null;
    const { epoch } = this.#since ?? { epoch: -1 };
    const first = this.#steps.findIndex((step) => step.epoch > epoch);
    this.#drop(first === -1 ? this.#steps.length : first);
    this.changeBytes += piece.byteLength;
  }

  /** What the other shards of an earlier start kept, each as its pieces: of their changes the rows that `isMine` marks. */
  spread(shards: readonly (readonly Uint8Array[])[], isMine: (batch: Batch) => Uint8Array): void {
    const steps: Step[] = [];
    for (const pieces of shards) {
      const other = new ViewHistory(this.#columns, this.retainMs);
      for (const piece of pieces) other.load(piece);
      if (other.#since !== null && (this.#since === null || other.#since.epoch > this.#since.epoch))
        this.#since = other.#since;
      this.#gaps = other.#gaps;
      for (const step of other.#steps) {
        const mine = isMine(step.batch);
        const rows = Int32Array.from(mine.keys()).filter((row) => mine[row] === 1);
        if (rows.length > 0) steps.push({ ...step, batch: gatherBatch(step.batch, rows, rows.length) });
      }
    }
    const from = this.#since?.epoch ?? 0;
    steps.sort((a, b) => a.epoch - b.epoch);
    for (const step of steps) if (step.epoch > from) this.#add(step);
    this.#unsaved = this.#steps.length;
  }

  #decoded(piece: Uint8Array): Step[] {
    // A copy, since doubles must be aligned.
    const head = (from: number, count: number): Float64Array =>
      new Float64Array(new Uint8Array(piece.subarray(from * 8, (from + count) * 8)).buffer);
    const [gaps, count, epoch, ms] = head(0, 4);
    if (!Number.isNaN(epoch)) this.#since = { epoch, ms };
    const ends = head(4, gaps * 2);
    this.#gaps = Array.from({ length: gaps }, (_, i) => ({ after: ends[i * 2], until: ends[i * 2 + 1] }));
    const times = head(4 + gaps * 2, count * 2);
    const batches = decodeBatches(piece.subarray((4 + (gaps + count) * 2) * 8), this.#columns);
    return batches.map((batch, i) => ({ epoch: times[i * 2], ms: times[i * 2 + 1], batch }));
  }

  #add(step: Step): void {
    this.#steps.push(step);
    this.rows += step.batch.length;
    this.bytes += bytesOf(step.batch);
  }

  #drop(count: number): void {
    if (count === 0) return;
    for (const { batch } of this.#steps.slice(0, count)) {
      this.rows -= batch.length;
      this.bytes -= bytesOf(batch);
    }
    this.#steps = this.#steps.slice(count);
    this.#unsaved = Math.min(this.#unsaved, this.#steps.length);
  }
}

const negated = (batch: Batch): Batch => {
  const { length, columns, weights } = batch;
  const flipped = weights === null ? new Int32Array(length).fill(-1) : weights.map((weight) => -weight);
  return { length, columns, weights: Int32Array.from(flipped) };
};

function bytesOf(batch: Batch): number {
  let bytes = batchBytes([batch]);
  for (const { type, values } of batch.columns) {
    if (!isText(type)) continue;
    for (const text of values as readonly (string | null)[]) bytes += text?.length ?? 0;
  }
  return bytes;
}

const isText = ({ kind }: SqlType): boolean => kind === 'varchar' || kind === 'jsonb';
