import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import type { ApiName, RequestBody, ResponseInput } from '../protocol/protocol.ts';
import type { BrokerContext, Call } from './context.ts';

/** Requests that create or delete partitions: how many, and the answer when there were too many, from the version on that can say so (KIP-599). */
const MUTATIONS: {
  readonly [A in ApiName]?: {
    readonly count: (request: RequestBody<A>, broker: BrokerContext) => number;
    readonly strictSince: number;
    readonly refuse: (request: RequestBody<A>) => ResponseInput<A>;
  };
} = {
  createTopics: {
    count: ({ topics, validateOnly }) =>
      validateOnly ? 0 : topics.reduce((sum, { numPartitions }) => sum + Math.max(1, numPartitions), 0),
    strictSince: 6,
    refuse: ({ topics }) => ({ topics: topics.map(({ name }) => ({ name, ...REFUSED, configs: null })) }),
  },
  createPartitions: {
    count: ({ topics, validateOnly }, { storage }) =>
      validateOnly
        ? 0
        : topics.reduce(
            (sum, { name, count }) => sum + Math.max(0, count - (storage.describeTopic(name)?.partitions ?? count)),
            0,
          ),
    strictSince: 3,
    refuse: ({ topics }) => ({ results: topics.map(({ name }) => ({ name, ...REFUSED })) }),
  },
  deleteTopics: {
    count: ({ topics, topicNames }, { storage }) =>
      [
        ...topicNames.map((name) => storage.describeTopic(name)),
        ...topics.map(({ name, topicId }) =>
          name === null ? storage.topicById(topicId) : storage.describeTopic(name),
        ),
      ].reduce((sum, topic) => sum + (topic?.partitions ?? 0), 0),
    strictSince: 5,
    refuse: ({ topics, topicNames }) => ({
      responses: [
        ...topicNames.map((name) => ({ name, ...REFUSED })),
        ...topics.map((topic) => ({ ...topic, ...REFUSED })),
      ],
    }),
  },
};

const REFUSED = {
  errorCode: E.THROTTLING_QUOTA_EXCEEDED,
  errorMessage: 'too many partitions are created or deleted: the quota controller_mutation_rate',
};

type Mutation = (typeof MUTATIONS)['createTopics'];

/** Books partitions that a request changes: for how long its client is throttled, and the refusal when it had used up its quota before. */
export function throttleMutation(
  api: ApiName,
  request: RequestBody<ApiName>,
  call: Call,
  broker: BrokerContext,
): { readonly throttleMs: number; readonly refusal?: ResponseInput<ApiName> } {
  const mutation = MUTATIONS[api] as Mutation;
  if (mutation === undefined) return { throttleMs: 0 };
  const { quotas } = broker;
  const who = [call.principal.name, call.clientId ?? ''] as const;
  const owed = quotas.owes('controller_mutation_rate', ...who);
  if (owed > 0 && call.version >= mutation.strictSince)
    return { throttleMs: owed, refusal: mutation.refuse(request as RequestBody<'createTopics'>) };
  const count = mutation.count(request as RequestBody<'createTopics'>, broker);
  return { throttleMs: quotas.use('controller_mutation_rate', ...who, count) };
}
