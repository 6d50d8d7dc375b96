import { type Assignment, holds } from './assignment.ts';

/** Who wants partitions of which topics. */
export interface Subscriber {
  readonly memberId: string;
  /** Sorts before the member id, so that a static member that comes back finds its place. */
  readonly instanceId: string | null;
  readonly topicIds: ReadonlySet<string>;
  /** What it was to have until now. */
  readonly current: Assignment;
}

/** Members to what they are to have; `partitions` is the number of partitions by topic id. Each partition that somebody wants goes to exactly one. */
export type Assignor = (
  subscribers: readonly Subscriber[],
  partitions: ReadonlyMap<string, number>,
) => Map<string, Assignment>;

class Load {
  readonly subscriber: Subscriber;
  readonly topics = new Map<string, number[]>();
  count = 0;

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }

  add(topicId: string, partition: number): void {
    const known = this.topics.get(topicId);
    if (known === undefined) this.topics.set(topicId, [partition]);
    else known.push(partition);
    this.count++;
  }

  /** Gives up one partition of a topic that it has. */
  take(topicId: string): number {
    const known = this.topics.get(topicId) as number[];
    const partition = known.pop() as number;
    if (known.length === 0) this.topics.delete(topicId);
    this.count--;
    return partition;
  }
}

/**
 * Everyone keeps what it had as far as that is fair, and the numbers of partitions differ by as little as the subscriptions allow: what is free
 * goes to whoever has least, then single partitions move from who has most to who has least while that makes them more equal. Moves are at most
 * one a partition; a move costs a look at the subscribers of the topics that the giver has.
 */
export const uniform: Assignor = (subscribers, partitions) => {
  const loads = sorted(subscribers).map((subscriber) => new Load(subscriber));
  const wanting = new Map<string, Load[]>();
  for (const load of loads) {
    for (const topicId of load.subscriber.topicIds) {
      const known = wanting.get(topicId);
      if (known === undefined) wanting.set(topicId, [load]);
      else known.push(load);
    }
  }
  const topics = [...wanting.keys()].filter((topicId) => partitions.has(topicId));
  // Topics that few want first: the others can still be given to whoever was left with less.
  topics.sort((a, b) => wanting.get(a)!.length - wanting.get(b)!.length || (a < b ? -1 : 1));
  const free: [string, number][] = [];
  for (const topicId of topics) {
    for (let partition = 0; partition < partitions.get(topicId)!; partition++) {
      const keeper = wanting.get(topicId)!.find((load) => holds(load.subscriber.current, topicId, partition));
      if (keeper === undefined) free.push([topicId, partition]);
      else keeper.add(topicId, partition);
    }
  }
  const least = (topicId: string): Load => wanting.get(topicId)!.reduce((a, b) => (b.count < a.count ? b : a));
  for (const [topicId, partition] of free) least(topicId).add(topicId, partition);
  while (moveOne(loads, least));
  return results(loads);
};

/** From one who has most to one who has at least two less. */
function moveOne(loads: readonly Load[], least: (topicId: string) => Load): boolean {
  const descending = [...loads].sort((a, b) => b.count - a.count);
  for (const from of descending) {
    if (from.count - descending.at(-1)!.count < 2) return false;
    for (const topicId of from.topics.keys()) {
      const to = least(topicId);
      if (from.count - to.count < 2) continue;
      to.add(topicId, from.take(topicId));
      return true;
    }
  }
  return false;
}

/** Of each topic everyone gets a range, in the order of the members: topics with as many partitions and the same subscribers are cut alike. */
export const range: Assignor = (subscribers, partitions) => {
  const loads = sorted(subscribers).map((subscriber) => new Load(subscriber));
  for (const [topicId, count] of partitions) {
    const wanting = loads.filter(({ subscriber }) => subscriber.topicIds.has(topicId));
    let next = 0;
    wanting.forEach((load, at) => {
      const share = Math.floor(count / wanting.length) + (at < count % wanting.length ? 1 : 0);
      for (const end = next + share; next < end; next++) load.add(topicId, next);
    });
  }
  return results(loads);
};

/** By the names that clients give. */
export const ASSIGNORS: Readonly<Record<string, Assignor>> = { uniform, range };
export const DEFAULT_ASSIGNOR = 'uniform';

const results = (loads: readonly Load[]): Map<string, Assignment> =>
  new Map(
    loads.map(({ subscriber, topics }) => [
      subscriber.memberId,
      new Map([...topics].map(([topicId, partitions]) => [topicId, new Set(partitions)])),
    ]),
  );

function sorted(subscribers: readonly Subscriber[]): Subscriber[] {
  const name = ({ instanceId, memberId }: Subscriber): string =>
    instanceId === null ? `1${memberId}` : `0${instanceId}`;
  return [...subscribers].sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
