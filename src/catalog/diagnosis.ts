import { DEAD_LETTERS_KEPT } from '../../streamql/engine/runtime/dead-letters.ts';
import type { ObjectStats, OperatorStats } from '../ports/engine.ts';
import type { CatalogObject } from './objects.ts';
import { parseBytes } from './options.ts';

/** Something that whoever asks why an object is slow, big, stuck or wrong should know. */
export interface Finding {
  readonly kind: 'stuck' | 'wrong' | 'slow' | 'big';
  readonly message: string;
  /** What to do or where to look; '' where nothing needs to be done. */
  readonly hint: string;
}

/** What runs, and what the catalogue says of it. */
export interface Running {
  readonly stats: ObjectStats;
  readonly object:
    | Pick<CatalogObject, 'name' | 'kind' | 'watermark' | 'late' | 'idleTimeoutMs' | 'options'>
    | undefined;
}

/** An operator that takes more of a core than this is worth a word, once its object is behind or busy. */
const BUSY_SHARE = 0.2;
/** State below this is not big, however it grows. */
const BIG_BYTES = 1 << 20;
/** With fewer rows nothing is said of a join that finds no match. */
const MANY_ROWS = 10;
const VERY_MANY_PAIRS = 1_000_000;
/** A partition whose event time is further behind than this holds the others back. */
const HOLDS_BACK_MICROS = 1_000_000;

/**
 * What stands out in an object's statistics and in those of the sources that it reads, through other views too; the worst first. Empty where all is well.
 * A pure function, so that each finding has a test.
 */
export function diagnose(one: Running, reads: readonly Running[]): Finding[] {
  const sources = reads.filter(({ stats }) => stats.kind === 'source');
  const all = one.stats.kind === 'source' ? [one] : [...sources];
  return [
    ...stopped(one),
    ...reads.flatMap((read) => stopped(read).map((found) => of(one, read, found))),
    ...sinkWaits(one),
    ...all.flatMap((source) => heldBack(source).map((found) => of(one, source, found))),
    ...lost(one, all),
    ...all.flatMap((source) => neverFilled(source).map((found) => of(one, source, found))),
    ...unmatched(one),
    ...slow(one, all),
    ...big(one),
  ];
}

/** Said of something that is read. */
const of = (one: Running, read: Running, found: Finding): Finding =>
  one === read ? found : { ...found, message: `reads ${read.stats.name}: ${found.message}` };

function stopped({ stats: { name, kind, state, error, isTopicGone } }: Running): Finding[] {
  if (state === 'running' && isTopicGone)
    return [
      {
        kind: 'stuck',
        message: 'its topic is gone',
        hint: 'create the topic again: it is read from its beginning, beside the rows that were there; or DROP what reads it',
      },
    ];
  if (state === 'running') return [];
  const word = kind === 'view' ? 'MATERIALIZED VIEW' : kind.toUpperCase();
  const why = error === undefined ? '' : `: ${error.code}: ${error.detail}`;
  if (state === 'paused') return [{ kind: 'stuck', message: `is paused${why}`, hint: `RESUME ${word} "${name}"` }];
  const hint =
    error?.code === 'STATE_LIMIT'
      ? `ALTER ${word} "${name}" SET (max_state = …), then RESUME ${word} "${name}"`
      : kind === 'view'
        ? `mend the cause, then RESUME ${word} "${name}" begins it anew; CREATE OR REPLACE changes it`
        : 'mend the cause, then drop it and create it anew';
  return [{ kind: 'stuck', message: `has failed${why}`, hint }];
}

function sinkWaits({ stats: { trouble, waitingRows = 0, isHeldUp } }: Running): Finding[] {
  if (trouble === undefined)
    return isHeldUp
      ? [
          {
            kind: 'slow',
            message: `${count(waitingRows, 'row')} waiting: the target takes rows slower than they come`,
            hint: 'it reads no further until some are written; what comes meanwhile waits in the log',
          },
        ]
      : [];
  return [
    {
      kind: 'stuck',
      message: `${count(waitingRows, 'row')} waiting: the target cannot be reached: ${trouble.detail}`,
      hint: 'it is tried again at each checkpoint; what comes meanwhile waits in the log',
    },
  ];
}

/** What keeps a source's watermark, and so windows, from going on. */
function heldBack({ stats, object }: Running): Finding[] {
  const found: Finding[] = [];
  if (stats.waitsFor !== undefined) {
    found.push({
      kind: 'stuck',
      message: `its event time is more than max_drift ahead of ${stats.waitsFor}, which is read first`,
      hint: `it goes on when ${stats.waitsFor} has come as far; a larger max_drift waits less and keeps more`,
    });
  }
  const partitions = (stats.offsets ?? []).filter((partition) => partition.watermarkMicros !== undefined);
  if (partitions.length === 0) return found;
  const times = partitions.flatMap(({ watermarkMicros }) => watermarkMicros ?? []);
  const idle = object?.idleTimeoutMs ?? 0;
  if (stats.rows > 0 && times.length === 0) {
    found.push({
      kind: 'stuck',
      message: 'no row had a time in its WATERMARK column yet: the watermark stands at the beginning',
      hint: 'rows whose time is NULL are in no window: look at the column in the records',
    });
  }
  const newest = Math.max(...times);
  for (const { partition, watermarkMicros, idle: isIdle } of partitions) {
    const behind = watermarkMicros === null || watermarkMicros === undefined ? null : newest - watermarkMicros;
    if (times.length === 0 || isIdle || (behind !== null && behind <= HOLDS_BACK_MICROS)) continue;
    const stands = behind === null ? 'had no row with a time' : `is ${seconds(behind / 1000)} behind the others`;
    found.push({
      kind: 'stuck',
      message: `partition ${partition} holds the watermark back: it ${stands}`,
      hint:
        idle > 0
          ? `when nothing comes for ${seconds(idle)} (idle_timeout) it is left out`
          : "idle_timeout is 0, so it is waited for without end: WITH (idle_timeout = '30s') leaves it out when nothing comes",
    });
  }
  return found;
}

function lost(one: Running, sources: readonly Running[]): Finding[] {
  const { stats, object } = one;
  const found: Finding[] = [];
  const open = unanswered(stats);
  if (open > 0) {
    const what = stats.kind === 'source' ? 'that could not be read' : 'without a result';
    found.push({
      kind: 'wrong',
      message: `${count(open, stats.kind === 'source' ? 'record' : 'row')} ${what}`,
      hint: `SELECT * FROM "${stats.name}$errors" says which and why`,
    });
  }
  for (const source of sources) {
    const { late, name } = source.stats;
    const errors = unanswered(source.stats);
    if (late > 0) found.push(of(one, source, lateFinding(late, name, source.object?.late ?? 'update')));
    if (source !== one && errors > 0) {
      const hint = `SELECT * FROM "${name}$errors" says which and why`;
      found.push(
        of(one, source, { kind: 'wrong', message: `${count(errors, 'record')} that could not be read`, hint }),
      );
    }
  }
  const own = stats.late - sources.reduce((sum, source) => sum + source.stats.late, 0);
  if (stats.kind !== 'source' && object !== undefined && own > 0) {
    found.push({
      kind: 'wrong',
      message: `${count(own, 'row')} too late for what had been emitted`,
      hint: `they are in "${stats.name}$errors" as RECORD_LATE; EMIT AFTER WINDOW CLOSE WITH DELAY waits longer`,
    });
  }
  return found;
}

function neverFilled({ stats: { name, emptyColumns = [] } }: Running): Finding[] {
  return emptyColumns.map((column) => ({
    kind: 'wrong',
    message: `column "${column}" was NULL in all records that were read`,
    hint: `fields are found by the name of the column: look how a record of "${name}" calls them`,
  }));
}

/** Joins that say why a view is empty, or why so much has to be done. */
function unmatched({ stats }: Running): Finding[] {
  const joins = stats.operators.filter(({ name }) => name.includes('join'));
  const hint = `EXPLAIN ANALYZE "${stats.name}" shows the rows of each operator`;
  const found: Finding[] = [];
  for (const join of joins) {
    const { rowsIn, rowsOut } = join;
    if (stats.rows === 0 && stats.backfill === undefined && rowsIn >= MANY_ROWS && rowsOut === 0)
      found.push({
        kind: 'wrong',
        message: `no rows: ${titleOf(join)} has taken ${rowsIn} rows and found no match`,
        hint,
      });
    if (rowsOut >= VERY_MANY_PAIRS && rowsOut >= 100 * rowsIn)
      found.push({
        kind: 'slow',
        message: `${titleOf(join)} has made ${rowsOut} pairs of ${rowsIn} rows: many rows share a key`,
        hint: 'join on more columns, or aggregate before joining',
      });
  }
  return found;
}

/** Rows and records that were refused and not replayed since; where older ones may have gone only the count of all is right. */
const unanswered = ({ errors, letters = errors }: ObjectStats): number =>
  letters < DEAD_LETTERS_KEPT ? letters : errors;

function lateFinding(late: number, name: string, policy: string): Finding {
  const message = `${count(late, 'row')} behind the watermark`;
  if (policy === 'drop')
    return {
      kind: 'wrong',
      message: `${message}, left out`,
      hint: "late = 'dead_letter' keeps them to look at; a longer delay of the WATERMARK counts them",
    };
  if (policy === 'dead_letter')
    return { kind: 'wrong', message: `${message}, left out`, hint: `SELECT * FROM "${name}$late"` };
  return { kind: 'wrong', message: `${message}, counted but for views with EMIT ON WINDOW CLOSE`, hint: '' };
}

function slow(one: Running, sources: readonly Running[]): Finding[] {
  const { stats } = one;
  const found: Finding[] = [];
  if (stats.backfill !== undefined && (stats.recordsBehind ?? 0) > 0) {
    const { done, total, secondsLeft } = stats.backfill;
    const left = secondsLeft === null ? '' : `, about ${seconds(secondsLeft * 1000)} to go`;
    found.push({
      kind: 'slow',
      message: `catches up with the log: ${done} of ${count(total, 'record')} read${left}`,
      hint: 'reading it waits until then; backfill_rate bounds how fast it goes',
    });
  }
  for (const source of sources) {
    const lag = (source.stats.offsets ?? []).reduce((n, { offset, highWatermark }) => n + highWatermark - offset, 0);
    if (lag === 0 || (source.stats.behindForMs ?? 0) < 1000) continue;
    const rate = Math.round(source.stats.rates.rowsInPerSecond);
    found.push(
      of(one, source, {
        kind: 'slow',
        message: `${count(lag, 'record')} behind for ${seconds(source.stats.behindForMs ?? 0)}, reading ${rate} a second`,
        hint:
          source.stats.state === 'running'
            ? 'the busiest operator of the queries that read it says where the time goes'
            : '',
      }),
    );
  }
  const busiest = most(stats.operators, ({ rates }) => rates.busyShare);
  if (busiest !== undefined && busiest.rates.busyShare >= BUSY_SHARE) {
    found.push({
      kind: 'slow',
      message: `${titleOf(busiest)} is the busiest operator: ${percent(busiest.rates.busyShare)} of a core, ${percent(busiest.rates.busyShare / Math.max(busiest.rates.busyShare, stats.rates.busyShare))} of this object's time`,
      hint: `EXPLAIN ANALYZE "${stats.name}" shows all of them`,
    });
  }
  return found;
}

function big({ stats, object }: Running): Finding[] {
  const total = stats.operators.reduce((sum, { stateBytes }) => sum + stateBytes, 0);
  const found: Finding[] = [];
  const limit = object?.options['max_state'];
  const { spilledBytes = 0 } = stats;
  if (limit !== undefined && spilledBytes > 0) {
    found.push({
      kind: 'big',
      message: `has ${bytes(spilledBytes)} of ${bytes(total)} in files, since that is beyond its max_state of ${limit}: changes of rows that were not used lately wait for the disk`,
      hint: `ALTER MATERIALIZED VIEW "${stats.name}" SET (max_state = …) lets more of them be in memory`,
    });
  } else if (limit !== undefined) {
    const used = stats.operators.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
    const share = used / parseBytes(limit, 'max_state');
    if (share >= 0.8) {
      found.push({
        kind: 'big',
        message: `uses ${percent(share)} of its max_state of ${limit}`,
        hint: `ALTER MATERIALIZED VIEW "${stats.name}" SET (max_state = …) raises it`,
      });
    }
  }
  const largest = most(stats.operators, ({ stateBytes }) => stateBytes);
  if (largest === undefined || largest.stateBytes < BIG_BYTES) return found;
  const growth = largest.growth;
  const isUnbounded = growth?.bound === 'unbounded';
  found.push({
    kind: 'big',
    message: `${titleOf(largest)} holds ${bytes(largest.stateBytes)} of ${bytes(total)}${growth === null ? '' : isUnbounded ? `, without bound: ${growth.reason}` : `: ${growth.reason}`}`,
    hint: isUnbounded ? growth.fix : '',
  });
  return found;
}

function most(operators: readonly OperatorStats[], by: (operator: OperatorStats) => number): OperatorStats | undefined {
  return operators.reduce<OperatorStats | undefined>(
    (top, one) => (top === undefined || by(one) > by(top) ? one : top),
    undefined,
  );
}

const titleOf = ({ name, detail }: OperatorStats): string => (detail === '' ? name : `${name} ${detail}`);
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
const percent = (share: number): string => `${Math.round(share * 100)} %`;
const seconds = (ms: number): string => `${ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1000)} s`;
const bytes = (n: number): string =>
  n >= 1 << 20 ? `${Math.round(n / (1 << 20))} MiB` : `${Math.round(n / 1024)} KiB`;

/** Everything that the named object reads, through other views too. */
function readsOf(
  stats: readonly ObjectStats[],
  catalog: { byId(id: string): CatalogObject | undefined },
  id: string,
): Running[] {
  const found = new Map<string, Running>();
  const visit = (from: string): void => {
    for (const read of catalog.byId(from)?.reads ?? []) {
      const base = read.split('$')[0];
      const its = stats.find((one) => one.id === base);
      if (its === undefined || found.has(base)) continue;
      found.set(base, { stats: its, object: catalog.byId(base) });
      visit(base);
    }
  };
  visit(id);
  return [...found.values()];
}

/** The findings about one of the objects. */
export function findingsOf(
  stats: readonly ObjectStats[],
  catalog: { byId(id: string): CatalogObject | undefined },
  one: ObjectStats,
): Finding[] {
  return diagnose({ stats: one, object: catalog.byId(one.id) }, readsOf(stats, catalog, one.id));
}
