import type { ObjectStats, OperatorStats } from '../../../src/ports/engine.ts';
import type { DraftEntry, ObjectEntry } from '../runtime/checkpoint-store.ts';

/** The drafts of all shards as one: their objects are the same, each with its part of the state. */
export function mergeDrafts(shards: readonly (readonly DraftEntry[])[]): DraftEntry[] {
  const [first, ...others] = shards;
  if (others.length === 0) return [...first];
  const byId = others.map((drafts) => new Map(drafts.map((draft) => [draft.id, draft])));
  return first.flatMap((draft): DraftEntry[] => {
    const parts = byId.flatMap((drafts, i) => {
      const part = drafts.get(draft.id);
      return part === undefined ? [] : [{ part, shard: i + 1 }];
    });
    // What failed in another shard since the last epoch: all will know with the next, and what has no entry begins anew.
    if (parts.length < others.length) return [];
    const failed = [draft, ...parts.map(({ part }) => part)].find((part) => part.failed !== undefined)?.failed;
    if (failed !== undefined) return [{ id: draft.id, fingerprint: draft.fingerprint, failed, tables: [] }];
    const all = [draft, ...parts.map(({ part }) => part)];
    const tables = [
      ...draft.tables,
      ...parts.flatMap(({ part, shard }) => part.tables.map((table) => ({ ...table, shard }))),
    ];
    return [{ ...draft, ...mergeCursors(all), ...mergeCounts(all), ...mergeBackfills(all), tables }];
  });
}

function mergeCursors(parts: readonly DraftEntry[]): Pick<ObjectEntry, 'cursor'> {
  const cursors = parts.flatMap(({ cursor }) => (cursor === undefined ? [] : [cursor]));
  return cursors.length === 0 ? {} : { cursor: joined(cursors) };
}

function mergeBackfills(parts: readonly DraftEntry[]): Pick<ObjectEntry, 'backfill'> {
  const [first, ...others] = parts.flatMap(({ backfill }) => (backfill === undefined ? [] : [backfill]));
  if (first === undefined) return {};
  const ids = Object.keys(first);
  return { backfill: Object.fromEntries(ids.map((id) => [id, joined([first, ...others].map((one) => one[id]))])) };
}

/** Each partition is in one of them. */
function joined(cursors: readonly NonNullable<ObjectEntry['cursor']>[]): NonNullable<ObjectEntry['cursor']> {
  const topicId = cursors.find((cursor) => cursor.topicId !== null)?.topicId ?? null;
  return { topicId, partitions: cursors.flatMap((cursor) => cursor.partitions) };
}

function mergeCounts(parts: readonly DraftEntry[]): Pick<ObjectEntry, 'counts'> {
  const all = parts.flatMap(({ counts }) => (counts === undefined ? [] : [counts]));
  if (all.length === 0) return {};
  const rows = all.reduce((sum, counts) => sum + counts.rows, 0);
  const late = all.reduce((sum, counts) => sum + counts.late, 0);
  return { counts: { rows, late, watermark: all[0].watermark } };
}

/** The statistics of all shards as one engine's. */
export function mergeStats(shards: readonly (readonly ObjectStats[])[]): ObjectStats[] {
  const [first, ...others] = shards;
  const byId = others.map((objects) => new Map(objects.map((object) => [object.id, object])));
  return first.map((object) => {
    const parts = byId.flatMap((objects) => objects.get(object.id) ?? []);
    const sum = (of: (part: ObjectStats) => number): number => [object, ...parts].reduce((n, part) => n + of(part), 0);
    const offsets = [object, ...parts].flatMap((part) => part.offsets ?? []);
    return {
      ...object,
      // A sink's rows are counted by its writer, in the first shard.
      rows: object.kind === 'sink' ? object.rows : sum(({ rows }) => rows),
      errors: sum(({ errors }) => errors),
      letters: sum(({ letters }) => letters ?? 0),
      late: sum(({ late }) => late),
      ...emptyIn([object, ...parts]),
      ...(object.offsets === undefined ? {} : { offsets: offsets.sort((a, b) => a.partition - b.partition) }),
      ...(object.spilledBytes === undefined ? {} : { spilledBytes: sum((part) => part.spilledBytes ?? 0) }),
      ...(object.recordsBehind === undefined ? {} : { recordsBehind: sum((part) => part.recordsBehind ?? 0) }),
      ...(object.backfill === undefined
        ? {}
        : {
            backfill: {
              done: sum((part) => part.backfill?.done ?? 0),
              total: sum((part) => part.backfill?.total ?? 0),
              secondsLeft: null,
            },
          }),
      operators: object.operators.map((operator, i) =>
        mergeOperators(
          operator,
          parts.map((part) => part.operators[i]),
        ),
      ),
    };
  });
}

/** Shards that read no rows know nothing of columns. */
function emptyIn(parts: readonly ObjectStats[]): Pick<ObjectStats, 'emptyColumns'> {
  const reading = parts.filter(({ rows }) => rows > 0).map(({ emptyColumns = [] }) => emptyColumns);
  const all = (reading[0] ?? []).filter((column) => reading.every((columns) => columns.includes(column)));
  return { emptyColumns: all.length === 0 ? undefined : all };
}

function mergeOperators(first: OperatorStats, others: readonly OperatorStats[]): OperatorStats {
  const sum = (of: (one: OperatorStats) => number): number => others.reduce((n, one) => n + of(one), of(first));
  return {
    ...first,
    rowsIn: sum(({ rowsIn }) => rowsIn),
    rowsOut: sum(({ rowsOut }) => rowsOut),
    stateRows: sum(({ stateRows }) => stateRows),
    stateBytes: sum(({ stateBytes }) => stateBytes),
    usedBytes: sum(({ usedBytes }) => usedBytes),
    spilledBytes: sum(({ spilledBytes }) => spilledBytes),
    busyMs: sum(({ busyMs }) => busyMs),
  };
}
