import type { ObjectStats, OperatorStats, Rates } from '../../../src/ports/engine.ts';

/** What is counted of one operator, or of an object as a whole. */
export type Counters = Pick<OperatorStats, 'rowsIn' | 'rowsOut' | 'busyMs' | 'stateBytes'>;

export const NO_RATES: Rates = { rowsInPerSecond: 0, rowsOutPerSecond: 0, busyShare: 0, stateBytesPerHour: 0 };

/** Samples are this far apart at least. */
const EVERY_MS = 1000;
/** Samples kept of each: rates are over this many seconds while there is work. */
const KEPT = 10;

interface Sample {
  readonly atMs: number;
  readonly counters: ReadonlyMap<string, Counters>;
}

/** The last seconds of everything that is counted, sampled after epochs and when somebody asks; nothing is sampled while idle. */
export class RateSamples {
  #samples: Sample[] = [];
  /** Since when an object has had records to read at every sample. */
  readonly #behindSince = new Map<string, number>();

  /** Whether the last sample is old enough for another. */
  due(nowMs: number): boolean {
    return nowMs - (this.#samples.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) >= EVERY_MS;
  }

  add(nowMs: number, objects: readonly ObjectStats[]): void {
    const counters = new Map<string, Counters>();
    for (const object of objects) {
      counters.set(object.id, totalOf(object.operators));
      for (const operator of object.operators) counters.set(`${object.id}/${operator.id}`, countersOf(operator));
    }
    for (const object of objects) this.#behind(nowMs, object);
    this.#samples.push({ atMs: nowMs, counters });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** The objects with their rates up to now. */
  rated(nowMs: number, objects: readonly ObjectStats[]): ObjectStats[] {
    return objects.map((object) => {
      const rates = this.#rates(nowMs, object.id, totalOf(object.operators));
      const since = this.#behind(nowMs, object);
      const behind = since === undefined ? {} : { behindForMs: nowMs - since };
      return { ...this.#object(nowMs, object), rates, ...timed(object, rates), ...behind };
    });
  }

  #behind(nowMs: number, { id, recordsBehind, offsets = [] }: ObjectStats): number | undefined {
    const left = offsets.reduce((sum, { offset, highWatermark }) => sum + highWatermark - offset, recordsBehind ?? 0);
    if (left <= 0) this.#behindSince.delete(id);
    else if (!this.#behindSince.has(id)) this.#behindSince.set(id, nowMs);
    return this.#behindSince.get(id);
  }

  #object(nowMs: number, object: ObjectStats): ObjectStats {
    return {
      ...object,
      operators: object.operators.map((operator) => ({
        ...operator,
        rates: this.#rates(nowMs, `${object.id}/${operator.id}`, operator),
      })),
    };
  }

  /** Since the oldest sample that is of the last seconds, or the newest before them. What was built anew since counts from 0. */
  #rates(nowMs: number, id: string, now: Counters): Rates {
    const since =
      this.#samples.find((sample) => sample.atMs >= nowMs - KEPT * EVERY_MS && sample.counters.has(id)) ??
      this.#samples.findLast((sample) => sample.counters.has(id));
    const before = since?.counters.get(id);
    if (since === undefined || before === undefined || nowMs <= since.atMs) return NO_RATES;
    const seconds = (nowMs - since.atMs) / 1000;
    const per = (what: keyof Counters): number => Math.max(0, now[what] - before[what]) / seconds;
    return {
      rowsInPerSecond: per('rowsIn'),
      rowsOutPerSecond: per('rowsOut'),
      busyShare: Math.min(1, per('busyMs') / 1000),
      stateBytesPerHour: ((now.stateBytes - before.stateBytes) / seconds) * 3600,
    };
  }
}

/** While a query catches up, what it takes in are the records that it reads. */
function timed({ backfill }: ObjectStats, { rowsInPerSecond }: Rates): Pick<ObjectStats, 'backfill'> {
  if (backfill === undefined) return {};
  const left = backfill.total - backfill.done;
  return { backfill: { ...backfill, secondsLeft: rowsInPerSecond > 0 ? left / rowsInPerSecond : null } };
}

const countersOf = ({ rowsIn, rowsOut, busyMs, stateBytes }: Counters): Counters => ({
  rowsIn,
  rowsOut,
  busyMs,
  stateBytes,
});

/** What came in at the leaves and left at the end; time and state are summed. */
function totalOf(operators: readonly OperatorStats[]): Counters {
  const ids = new Set(operators.map(({ id }) => id));
  const leaves = operators.filter(({ inputs }) => !inputs.some((input) => ids.has(input)));
  return {
    rowsIn: leaves.reduce((sum, operator) => sum + operator.rowsIn, 0),
    rowsOut: operators.at(-1)?.rowsOut ?? 0,
    busyMs: operators.reduce((sum, operator) => sum + operator.busyMs, 0),
    stateBytes: operators.reduce((sum, operator) => sum + operator.stateBytes, 0),
  };
}
