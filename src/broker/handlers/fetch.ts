import { OPERATION, RESOURCE } from '../../auth/acl.ts';
import type { Timer } from '../../lib/clock.ts';
import { isSecretTopic } from '../../ports/internal-topics.ts';
import type { TopicInfo } from '../../ports/topic-log.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody, ResponseInput } from '../../protocol/protocol.ts';
import { abortedIn } from '../../storage/committed-read.ts';
import type { PartitionLog } from '../../storage/partition-log.ts';
import { type BrokerContext, type Call, type Handler, NODE_ID } from '../context.ts';
import type { FetchPlan } from '../fetch-sessions.ts';
import { kafkaError } from '../kafka-error.ts';
import { checkLeaderEpoch, findTopic } from '../topics.ts';

type Topics = NonNullable<ResponseInput<'fetch'>['responses']>;
type PartitionAnswer = NonNullable<Topics[number]['partitions']>[number];
type Wanted = RequestBody<'fetch'>['topics'][number]['partitions'][number];

/** A Fetch that wants more than one byte looks again at most so often: each look reads what has gathered. */
const GATHER_MS = 5;
const READ_COMMITTED = 1;
const NOTHING = Buffer.alloc(0);

interface Round {
  readonly responses: Topics;
  readonly bytes: number;
  /** An error is told at once. */
  readonly failed: boolean;
}

/**
 * Reads whole batches from each partition, beginning with the one that holds the fetch offset. The sizes are soft: the first batch
 * goes out whatever its size, or a consumer would hang before it for ever. With less than `minBytes` to give it waits for
 * appends up to `maxWaitMs`. Within a session (fetch-sessions.ts) requests and answers say only what is new.
 */
export const fetch: Handler<'fetch'> = async (request, call, broker) => {
  const plan = broker.sessions.plan(request, call.version >= 13);
  if (typeof plan === 'number') return { errorCode: plan, sessionId: 0, responses: [] };
  const names = new Set<string>();
  for (const { topic, topicId } of plan.topics) {
    const found = findTopic(broker.storage, call.version >= 13, topic, topicId);
    if (typeof found !== 'number') names.add(found.name);
  }
  const wait = new Wait(broker, call, [...names], request.maxWaitMs);
  try {
    for (;;) {
      wait.begin();
      const { responses, bytes, failed } = await readAll(request, plan.topics, call, broker);
      if (failed || bytes >= request.minBytes || wait.over || names.size === 0) return plan.finish(responses);
      await wait.forChange();
      if (request.minBytes > 1 && !wait.over) await wait.pause(GATHER_MS);
    }
  } finally {
    wait.end();
  }
};

async function readAll(
  request: RequestBody<'fetch'>,
  topics: FetchPlan['topics'],
  call: Call,
  broker: BrokerContext,
): Promise<Round> {
  const most = Math.min(request.maxBytes, broker.settings.maxFetchBytes);
  const responses: Topics[number][] = [];
  let bytes = 0;
  let failed = false;
  for (const { topic, topicId, partitions } of topics) {
    const found = mayRead(findTopic(broker.storage, call.version >= 13, topic, topicId), topic, call);
    const answers: PartitionAnswer[] = [];
    for (const wanted of partitions) {
      const log = typeof found === 'number' ? undefined : broker.storage.partition(found.name, wanted.partition);
      const given =
        log === undefined
          ? refused(wanted, typeof found === 'number' ? found : E.UNKNOWN_TOPIC_OR_PARTITION)
          : readPartition(log, wanted, request.isolationLevel, most - bytes, bytes === 0, call.sendsStored === true);
      // Most partitions have nothing new: they cost no turn of the event loop.
      const answer = given instanceof Promise ? await given : given;
      if (answer.errorCode !== E.NONE || answer.divergingEpoch !== undefined) failed = true;
      bytes += (answer.records as Buffer).length;
      answers.push(answer);
    }
    responses.push({ topic, topicId, partitions: answers });
  }
  return { responses, bytes, failed };
}

/** Asked at every fetch: a session may be older than a right that was taken away. */
function mayRead(found: TopicInfo | number, asked: string, { rights }: Call): TopicInfo | number {
  const name = typeof found === 'number' ? asked : found.name;
  if (isSecretTopic(name)) return E.TOPIC_AUTHORIZATION_FAILED;
  if (rights === undefined || name === '') return found;
  return rights.must(OPERATION.read, RESOURCE.topic, name) ? found : E.TOPIC_AUTHORIZATION_FAILED;
}

function readPartition(
  log: PartitionLog,
  wanted: Wanted,
  isolationLevel: number,
  room: number,
  first: boolean,
  sendsStored: boolean,
): PartitionAnswer | Promise<PartitionAnswer> {
  const { fetchOffset, lastFetchedEpoch } = wanted;
  const stale = checkLeaderEpoch(log, wanted.currentLeaderEpoch);
  if (stale !== E.NONE) {
    return { ...refused(wanted, stale), currentLeader: { leaderId: NODE_ID, leaderEpoch: log.leaderEpoch } };
  }
  if (fetchOffset < log.logStart || fetchOffset > log.logEnd) {
    return {
      ...refused(wanted, E.OFFSET_OUT_OF_RANGE),
      highWatermark: log.highWatermark,
      logStartOffset: log.logStart,
    };
  }
  if (lastFetchedEpoch >= 0) {
    const end = log.offsetForEpoch(lastFetchedEpoch);
    if (end === undefined || end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
      return { ...position(log, wanted, isolationLevel), divergingEpoch: end ?? { epoch: -1, endOffset: -1 } };
    }
  }
  const limit = Math.max(0, Math.min(wanted.partitionMaxBytes, room));
  const answer = position(log, wanted, isolationLevel);
  const end = isolationLevel === READ_COMMITTED ? log.lastStableOffset : log.highWatermark;
  const wants = fetchOffset < end && (first || limit > 0);
  return wants
    ? readRecords(log, wanted, end, limit, first ? Number.POSITIVE_INFINITY : room, answer, sendsStored)
    : answer;
}

async function readRecords(
  log: PartitionLog,
  wanted: Wanted,
  end: number,
  limit: number,
  room: number,
  answer: PartitionAnswer,
  sendsStored: boolean,
): Promise<PartitionAnswer> {
  try {
    const { abortedTransactions } = answer;
    if (abortedTransactions === null && sendsStored) {
      const records = await log.readStored(wanted.fetchOffset, limit, { maxOffset: end });
      return records.length > room ? answer : { ...answer, records };
    }
    const records = await log.read(wanted.fetchOffset, limit, { maxOffset: end });
    if (records.length > room) return answer;
    if (abortedTransactions === null) return { ...answer, records };
    return { ...answer, records, abortedTransactions: abortedIn(log, wanted.fetchOffset, records) };
  } catch (thrown) {
    // Retention or a deletion was faster than we.
    return refused(wanted, kafkaError(thrown, { REQUEST_INVALID: E.OFFSET_OUT_OF_RANGE }).errorCode);
  }
}

const position = (log: PartitionLog, { partition }: Wanted, isolationLevel: number): PartitionAnswer => ({
  partitionIndex: partition,
  errorCode: E.NONE,
  highWatermark: log.highWatermark,
  lastStableOffset: log.lastStableOffset,
  logStartOffset: log.logStart,
  abortedTransactions: isolationLevel === READ_COMMITTED ? [] : null,
  records: NOTHING,
});

const refused = ({ partition }: Wanted, errorCode: number): PartitionAnswer => ({
  partitionIndex: partition,
  errorCode,
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  abortedTransactions: null,
  records: NOTHING,
});

/** The waiting of one Fetch: for a change of its topics, its time to be up, its client to be gone or the broker to close. */
class Wait {
  readonly #broker: BrokerContext;
  readonly #call: Call;
  readonly #topics: readonly string[];
  readonly #maxWaitMs: number;
  #timer: Timer | undefined;
  #stops: (() => void)[] = [];
  #begun = false;
  #timeIsUp = false;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(broker: BrokerContext, call: Call, topics: readonly string[], maxWaitMs: number) {
    this.#broker = broker;
    this.#call = call;
    this.#topics = topics;
    this.#maxWaitMs = maxWaitMs;
    this.#timeIsUp = maxWaitMs <= 0;
  }

  get over(): boolean {
    return this.#timeIsUp || this.#broker.isClosing();
  }

  /** Before each look: changes count from here. */
  begin(): void {
    this.#changed = false;
    if (this.#begun || this.over) return;
    this.#begun = true;
    const end = (): void => {
      this.#timeIsUp = true;
      this.#wake?.();
    };
    this.#timer = this.#broker.clock.setTimeout(end, this.#maxWaitMs);
    this.#stops.push(
      this.#broker.waiters.add(this.#topics, () => {
        this.#changed = true;
        this.#wake?.();
      }),
      this.#call.onClosed(end),
    );
  }

  async forChange(): Promise<void> {
    if (this.#changed || this.over) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#broker.clock.setTimeout(resolve, ms));
  }

  end(): void {
    this.#timer?.cancel();
    for (const stop of this.#stops) stop();
  }
}
