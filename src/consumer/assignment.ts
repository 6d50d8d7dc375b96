/** Partitions by topic id (UUID text). */
export type Assignment = ReadonlyMap<string, ReadonlySet<number>>;

export interface TopicPartitions {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

export const NO_PARTITIONS: Assignment = new Map();

export function assignmentOf(topics: readonly TopicPartitions[]): Assignment {
  const assignment = new Map<string, Set<number>>();
  for (const { topicId, partitions } of topics) {
    const known = assignment.get(topicId) ?? new Set<number>();
    for (const partition of partitions) known.add(partition);
    if (known.size > 0) assignment.set(topicId, known);
  }
  return assignment;
}

export const topicPartitionsOf = (assignment: Assignment): TopicPartitions[] =>
  [...assignment].map(([topicId, partitions]) => ({ topicId, partitions: [...partitions].sort((a, b) => a - b) }));

export function* partitionsOf(assignment: Assignment): Generator<[topicId: string, partition: number]> {
  for (const [topicId, partitions] of assignment) for (const partition of partitions) yield [topicId, partition];
}

export const holds = (assignment: Assignment, topicId: string, partition: number): boolean =>
  assignment.get(topicId)?.has(partition) === true;

/** The partitions that `keep` wants. */
export function filtered(assignment: Assignment, keep: (topicId: string, partition: number) => boolean): Assignment {
  const kept = new Map<string, Set<number>>();
  for (const [topicId, partition] of partitionsOf(assignment)) {
    if (!keep(topicId, partition)) continue;
    const known = kept.get(topicId);
    if (known === undefined) kept.set(topicId, new Set([partition]));
    else known.add(partition);
  }
  return kept;
}

export function united(a: Assignment, b: Assignment): Assignment {
  return assignmentOf([...topicPartitionsOf(a), ...topicPartitionsOf(b)]);
}

export function sameAssignment(a: Assignment, b: Assignment): boolean {
  if (a.size !== b.size) return false;
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId);
    if (others === undefined || others.size !== partitions.size) return false;
    for (const partition of partitions) if (!others.has(partition)) return false;
  }
  return true;
}

/** Whether every partition of `a` is in `b`. */
export function isWithin(a: Assignment, b: Assignment): boolean {
  for (const [topicId, partition] of partitionsOf(a)) if (!holds(b, topicId, partition)) return false;
  return true;
}
