import type { Clock } from '../lib/clock.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import type { RequestBody, ResponseInput } from '../protocol/protocol.ts';

type Request = RequestBody<'fetch'>;
type WantedTopic = Request['topics'][number];
type Wanted = WantedTopic['partitions'][number];
type Topics = NonNullable<ResponseInput<'fetch'>['responses']>;
type PartitionAnswer = NonNullable<Topics[number]['partitions']>[number];

/** Epochs of a request that is not one of a running session: the last of one, or of none; and the first of a new one. */
const FINAL_EPOCH = -1;
const INITIAL_EPOCH = 0;
const MOST_EPOCH = 0x7fffffff;
/** A session that was not used for so long makes room for another (Kafka's min.incremental.fetch.session.eviction.ms). */
const EVICTION_MS = 120_000;

interface Tracked {
  readonly topic: string;
  readonly topicId: string;
  wanted: Wanted;
  /** What the client was told last; undefined: nothing. */
  highWatermark: number | undefined;
  logStartOffset: number | undefined;
}

interface Session {
  readonly id: number;
  /** Of the request that is to come. */
  epoch: number;
  readonly byId: boolean;
  /** In the order in which they are read: what has given records goes to the end, so that nobody starves. */
  readonly partitions: Map<string, Tracked>;
  usedAtMs: number;
}

/** What to read for a request, and what of it the client has to hear. */
export interface FetchPlan {
  readonly topics: readonly WantedTopic[];
  finish(responses: Topics): ResponseInput<'fetch'>;
}

/**
 * Fetch sessions (KIP-227): the partitions that a client reads are remembered, its requests name only what changed and its answers only what
 * has something to say. A full cache gives no session to newcomers, which is always legal, unless one has been idle for two minutes.
 */
export class FetchSessions {
  readonly #clock: Clock;
  /** How many are remembered. */
  most: number;
  /** The longest unused first. */
  readonly #sessions = new Map<number, Session>();
  #lastId: number;

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.most = most;
    // Not those of an earlier life, whose clients still name them.
    this.#lastId = Math.floor(clock.nowMs()) % MOST_EPOCH;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** An error code when the request does not fit its session. */
  plan(request: Request, byId: boolean): FetchPlan | number {
    const { sessionId, sessionEpoch, topics } = request;
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === INITIAL_EPOCH) {
      this.#sessions.delete(sessionId);
      const session = sessionEpoch === INITIAL_EPOCH && topics.length > 0 ? this.#begin(topics, byId) : undefined;
      return {
        topics,
        finish: (responses) => {
          if (session !== undefined) for (const topic of responses) this.#told(session, topic);
          return { sessionId: session?.id ?? 0, responses };
        },
      };
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return E.FETCH_SESSION_ID_NOT_FOUND;
    if (session.epoch !== sessionEpoch) return E.INVALID_FETCH_SESSION_EPOCH;
    if (session.byId !== byId) return E.FETCH_SESSION_TOPIC_ID_ERROR;
    session.epoch = sessionEpoch === MOST_EPOCH ? 1 : sessionEpoch + 1;
    this.#use(session);
    for (const topic of topics) for (const wanted of topic.partitions) track(session, topic, wanted);
    for (const topic of request.forgottenTopicsData)
      for (const partition of topic.partitions) session.partitions.delete(nameOf(session, topic, partition));
    return {
      topics: grouped(session),
      finish: (responses) => ({
        sessionId,
        responses: responses.flatMap((topic) => {
          const partitions = this.#told(session, topic);
          return partitions.length === 0 ? [] : [{ ...topic, partitions }];
        }),
      }),
    };
  }

  #begin(topics: readonly WantedTopic[], byId: boolean): Session | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (this.#sessions.size >= this.most) {
      const [oldest] = this.#sessions.values();
      if (oldest === undefined || nowMs - oldest.usedAtMs < EVICTION_MS) return undefined;
      this.#sessions.delete(oldest.id);
    }
    do this.#lastId = (this.#lastId % MOST_EPOCH) + 1;
    while (this.#sessions.has(this.#lastId));
    const session: Session = { id: this.#lastId, epoch: 1, byId, partitions: new Map(), usedAtMs: nowMs };
    for (const topic of topics) for (const wanted of topic.partitions) track(session, topic, wanted);
    this.#sessions.set(session.id, session);
    return session;
  }

  #use(session: Session): void {
    session.usedAtMs = this.#clock.monotonicMs();
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
  }

  /** The partitions of a topic that have news for the client, who has heard it now. */
  #told(session: Session, { topic = '', topicId = '', partitions = [] }: Topics[number]): PartitionAnswer[] {
    return partitions.filter((answer) => {
      const name = nameOf(session, { topic, topicId }, answer.partitionIndex ?? 0);
      const tracked = session.partitions.get(name);
      const hasRecords = (answer.records?.length ?? 0) > 0;
      const isNews =
        hasRecords ||
        answer.errorCode !== E.NONE ||
        answer.divergingEpoch !== undefined ||
        tracked === undefined ||
        tracked.highWatermark !== answer.highWatermark ||
        tracked.logStartOffset !== answer.logStartOffset;
      if (tracked === undefined) return true;
      // An error is told until it is gone.
      const isGood = answer.errorCode === E.NONE;
      tracked.highWatermark = isGood ? answer.highWatermark : undefined;
      tracked.logStartOffset = isGood ? answer.logStartOffset : undefined;
      if (hasRecords) {
        session.partitions.delete(name);
        session.partitions.set(name, tracked);
      }
      return isNews;
    });
  }
}

function track(session: Session, { topic, topicId }: WantedTopic, wanted: Wanted): void {
  const name = nameOf(session, { topic, topicId }, wanted.partition);
  const known = session.partitions.get(name);
  if (known !== undefined) known.wanted = wanted;
  else session.partitions.set(name, { topic, topicId, wanted, highWatermark: undefined, logStartOffset: undefined });
}

const nameOf = (
  { byId }: Session,
  { topic, topicId }: { readonly topic: string; readonly topicId: string },
  partition: number,
): string => `${byId ? topicId : topic} ${partition}`;

/** Neighbours of one topic go together; the order of the partitions stays. */
function grouped(session: Session): WantedTopic[] {
  const topics: { topic: string; topicId: string; partitions: Wanted[] }[] = [];
  for (const { topic, topicId, wanted } of session.partitions.values()) {
    const last = topics.at(-1);
    if (last !== undefined && (session.byId ? last.topicId === topicId : last.topic === topic))
      last.partitions.push(wanted);
    else topics.push({ topic, topicId, partitions: [wanted] });
  }
  return topics;
}
