import type { Graph } from './graph.ts';
import type { QueryNode } from './query-node.ts';
import type { SourceCursor } from './source-cursor.ts';
import type { SourceNode } from './source-node.ts';

/**
 * Alignment: of sources that one query reads, one with `max_drift` does not go on when its event time is further than that ahead of another
 * which has records to read. So a join over two backlogs holds a stretch of time of each, not all of the faster one. It waits only
 * while the other can go on.
 */

/** How far event time has come where this reader is; −Infinity before the first time. */
function timeOf({ spec }: SourceNode, { positions }: SourceCursor): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { maxTime } of positions) if (maxTime < least) least = maxTime;
  return positions.length === 0 ? Number.NEGATIVE_INFINITY : least - spec.watermark!.delayMicros;
}

function isAhead(source: SourceNode, cursor: SourceCursor, other: SourceNode, otherCursor: SourceCursor): boolean {
  const limit = source.spec.maxDriftMicros;
  if (limit === undefined || source === other || source.spec.watermark === null || other.spec.watermark === null)
    return false;
  return timeOf(source, cursor) - timeOf(other, otherCursor) > limit;
}

/** The source for whose reader the shared one of another should wait; undefined where it need not. */
export function waitsFor(graph: Graph, source: SourceNode): SourceNode | undefined {
  if (source.spec.maxDriftMicros === undefined) return undefined;
  for (const query of graph.queries) {
    if (query.error !== null || query.catchingUp !== null) continue;
    if (!query.inputs.some(({ relation }) => relation === source.relation)) continue;
    for (const { relation } of query.inputs) {
      const owner = graph.ownerOf(relation);
      if (owner.kind !== 'source' || owner.relation !== relation || !owner.isReading) continue;
      if (owner.cursor.behind && isAhead(source, source.cursor, owner, owner.cursor)) return owner;
    }
  }
  return undefined;
}

/** The same among the readers of a query that catches up, each of which goes as far as the shared one is. */
export function waitsWhileCatchingUp(query: QueryNode, source: SourceNode, cursor: SourceCursor): boolean {
  if (source.spec.maxDriftMicros === undefined) return false;
  for (const [other, otherCursor] of query.catchingUp ?? []) {
    const canGoOn = other.cursor.positions.some(({ partition, next }) => (otherCursor.position(partition) ?? 0) < next);
    if (canGoOn && isAhead(source, cursor, other, otherCursor)) return true;
  }
  return false;
}
