import { waitsWhileCatchingUp } from './alignment.ts';
import type { Graph } from './graph.ts';
import type { QueryInput, QueryNode } from './query-node.ts';
import { distribute } from './relation.ts';
import type { CursorState, SourceCursor } from './source-cursor.ts';
import type { SourceNode } from './source-node.ts';

/**
 * How a new query comes to follow along without a gap and without a repeat. It reads its sources from the log's start with readers of
 * its own, never beyond the shared readers. When both are at the same offsets in all partitions, at an epoch boundary, it takes the
 * rows that the views and tables it reads have at that moment, and from then on gets every change with everyone else. Other queries go
 * on meanwhile; only for the last few records the shared readers wait.
 */

/** When a query is behind by no more than this, its sources wait for it. */
const LAST_RECORDS = 20_000;

/** Opens the readers that a query needs; `from` continues where a checkpoint left them. */
export function beginCatchUp(graph: Graph, query: QueryNode, from: Readonly<Record<string, CursorState>>): void {
  const cursors = new Map<SourceNode, SourceCursor>();
  for (const source of logSources(graph, query)) {
    const inputs = query.inputs.filter(({ relation }) => relation === source.logged);
    const readers = inputs.map(({ reader }) => reader);
    const wanted = [...new Set(readers.flatMap(({ columns }) => columns))].sort((a, b) => a - b);
    const cursor = source.openCursor(
      wanted,
      (batch) => distribute(readers, batch, wanted),
      from[source.spec.id] ?? null,
    );
    cursors.set(source, cursor);
  }
  query.catchingUp = cursors;
  if (query.followsLookups) for (const { relation, reader } of lookupsOf(query)) relation.readers.add(reader);
}

/** What the query looks rows up in comes first, as it is once it is current; from there on the query follows it. False: not yet. */
export function followLookups(graph: Graph, query: QueryNode): boolean {
  if (query.followsLookups) return true;
  if (!lookupsReady(graph, query)) return false;
  for (const input of lookupsOf(query)) {
    pushRows(input);
    input.relation.readers.add(input.reader);
  }
  query.followsLookups = true;
  return true;
}

const lookupsOf = (query: QueryNode): QueryInput[] => query.inputs.filter(({ isLookedUp }) => isLookedUp);

export const lookupsReady = (graph: Graph, query: QueryNode): boolean =>
  query.followsLookups ||
  lookupsOf(query).every(({ relation }) => {
    const owner = graph.ownerOf(relation);
    return owner.error === null && (owner.kind === 'source' ? owner.paused || !owner.cursor.behind : owner.wasLive);
  });

function pushRows({ relation, reader }: QueryInput): void {
  const rows = relation.rows?.scan(reader.columns, Number.POSITIVE_INFINITY);
  if (rows !== undefined && rows.length > 0) reader.push(rows);
}

/** Stops a query where it is, between epochs. One that catches up keeps its readers. */
export function pauseQuery(graph: Graph, query: QueryNode): void {
  query.paused = true;
  fallBehind(graph, query);
}

/** Between epochs: the query no longer follows along, but catches up from where it is. */
export function fallBehind(graph: Graph, query: QueryNode): void {
  if (query.catchingUp !== null || query.error !== null) return;
  const sources = logSources(graph, query);
  const from = Object.fromEntries(sources.map((source) => [source.spec.id, source.cursor.state()]));
  // The rows that its joins share go on without it.
  for (const join of query.sharingJoins) {
    const { port, scan } = join.shared!;
    join.own();
    join.fill(port, scan());
  }
  query.unfollow();
  query.inputs.forEach(({ relation, isLookedUp }, input) => {
    // What rows are looked up in stays current: a lookup is of its moment.
    if (relation.rows !== null && !isLookedUp) query.hold(input);
  });
  beginCatchUp(graph, query, from);
  for (const source of sources) source.readersChanged();
}

/** Reads on up to where the shared reader is, as fast as it may; false when there was nothing to be had. */
export function stepCatchUp(graph: Graph, query: QueryNode, most: number, nowMs: number): boolean {
  if (query.paused || query.heldUp) return false;
  if (query.catchingUp !== null && query.catchingUp.size > 0 && !followLookups(graph, query)) return false;
  let progress = false;
  for (const [source, cursor] of query.catchingUp ?? []) {
    const allowance = isLimited(query) ? query.allowance : null;
    const records = Math.min(most, allowance?.left(nowMs) ?? most);
    if (records < 1 || waitsWhileCatchingUp(query, source, cursor)) continue;
    const before = cursor.records;
    if (cursor.step(records, (partition) => source.cursor.position(partition) ?? 0)) progress = true;
    allowance?.use(cursor.records - before);
  }
  return progress;
}

/** Records that the query is behind the shared readers. */
export function recordsBehind(query: QueryNode): number {
  let behind = 0;
  for (const [source, cursor] of query.catchingUp ?? []) {
    for (const { partition, next } of source.cursor.positions) {
      // Own readers may begin after the shared one when retention moved the log's start; then the shared one has to come.
      behind += Math.max(0, next - (cursor.position(partition) ?? 0));
    }
  }
  return behind;
}

/** Where a query that catches up is: level with the shared readers, so near that they should wait for it, or not yet; about to get what it looks rows up in; or held up by its sink. */
export type Standing = 'level' | 'near' | 'far' | 'lookups' | 'full';

export function standingOf(graph: Graph, query: QueryNode): Standing {
  if (query.paused) return 'far';
  if (query.writer?.isFull) return 'full';
  if (isLevel(graph, query)) return 'level';
  if (!inputsLive(graph, query)) return 'far';
  const behind = recordsBehind(query);
  return behind > 0 && behind <= nearOf(query) ? 'near' : 'far';
}

/** Sources wait for a query no longer than a second when it may not read as fast as it can; for that last stretch it may. */
const nearOf = ({ allowance }: QueryNode): number => Math.min(LAST_RECORDS, allowance?.perSecond ?? LAST_RECORDS);

const isLimited = (query: QueryNode): boolean => query.allowance !== null && recordsBehind(query) > nearOf(query);

/** Whether it reads nothing until some time has passed. */
export const mustWait = (query: QueryNode): boolean =>
  query.catchingUp !== null && query.allowance?.isUsedUp === true && isLimited(query);

/** At the beginning of an epoch, lets a query that is level follow along. False when it cannot yet, or fails at that. */
export function follow(graph: Graph, query: QueryNode): boolean {
  if (query.catchingUp === null || !followLookups(graph, query)) return false;
  if (query.held.size > 0) query.pipeline.takeComingFirst();
  query.inputs.forEach((input, i) => {
    if (input.isLookedUp) return;
    // After a pause the rows of then are known.
    const held = query.held.get(i)?.changes.take();
    if (held === undefined) pushRows(input);
    else for (const rows of held) input.reader.push(rows);
  });
  if (query.error !== null) return false;
  const sources = logSources(graph, query);
  for (const [source, cursor] of query.catchingUp) source.closeCursor(cursor);
  query.follow();
  query.touched = true;
  for (const source of sources) source.readersChanged();
  return true;
}

/** Whether the next epoch would bring the query further; if not, news of the log or of what it reads will. */
export function canProceed(graph: Graph, query: QueryNode): boolean {
  if (query.catchingUp === null || query.paused || query.heldUp || mustWait(query) || !lookupsReady(graph, query))
    return false;
  for (const [source, cursor] of query.catchingUp) {
    if (cursor.readyBelow((partition) => source.cursor.position(partition) ?? 0)) return true;
  }
  return isLevel(graph, query);
}

function isLevel(graph: Graph, query: QueryNode): boolean {
  if (query.error !== null || !inputsLive(graph, query)) return false;
  for (const [source, cursor] of query.catchingUp ?? []) {
    for (const { partition, next } of source.cursor.positions) {
      if (cursor.position(partition) !== next) return false;
    }
  }
  return true;
}

function inputsLive(graph: Graph, query: QueryNode): boolean {
  return query.inputs.every(({ relation }) => {
    const owner = graph.ownerOf(relation);
    return owner.kind === 'source' || owner.wasLive;
  });
}

/** Whether it, or something that it waits for, was paused before it had caught up: then it will not until that is resumed. */
export function waitsForResume(graph: Graph, query: QueryNode): boolean {
  if (query.wasLive) return false;
  if (query.paused) return true;
  return query.inputs.some(({ relation }) => {
    const owner = graph.ownerOf(relation);
    return owner.kind !== 'source' && waitsForResume(graph, owner);
  });
}

/** Sources that the query reads as such; tables (but for their history) and dead letters are taken from the rows they hold. */
function logSources(graph: Graph, query: QueryNode): SourceNode[] {
  const sources = new Set<SourceNode>();
  for (const { relation } of query.inputs) {
    const owner = graph.ownerOf(relation);
    if (owner.kind === 'source' && owner.logged === relation) sources.add(owner);
  }
  return [...sources];
}
