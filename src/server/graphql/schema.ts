import {
  type GraphQLFieldConfig,
  GraphQLFloat,
  GraphQLInputObjectType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  type GraphQLNullableType,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
} from 'graphql';
import { isStored } from '../../catalog/objects.ts';
import { refuseInternal, usersTopics } from '../../catalog/topic-relation.ts';
import type { Services } from '../route.ts';
import { pipelineJson } from '../routes/pipelines.ts';
import { DEFAULT_MAX_ROWS, DEFAULT_TIMEOUT_MS, resultJson } from '../routes/sql.ts';
import { appendPosted, findTopic, topicJson } from '../routes/topics.ts';
import { viewJson } from '../routes/views.ts';
import { generateFields, graphqlName } from './generated.ts';
import { JsonScalar } from './scalars.ts';

type Field = GraphQLFieldConfig<any, Services>;

const required = <T extends GraphQLNullableType>(type: T): GraphQLNonNull<T> => new GraphQLNonNull(type);
const listOf = (type: GraphQLObjectType) => required(new GraphQLList(required(type)));

/** Objects whose fields are plain values of the same names in what the REST routes answer. */
function plainObject(
  name: string,
  fields: Readonly<Record<string, 'String' | 'Float' | 'Int' | 'JSON'>>,
): GraphQLObjectType {
  const types = { String: GraphQLString, Float: GraphQLFloat, Int: GraphQLInt, JSON: JsonScalar };
  return new GraphQLObjectType({
    name,
    fields: Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, { type: types[type] }])),
  });
}

const Topic = plainObject('Topic', {
  name: 'String',
  id: 'String',
  records: 'Float',
  partitions: 'JSON',
  config: 'JSON',
});
const View = plainObject('View', {
  name: 'String',
  kind: 'String',
  state: 'String',
  error: 'JSON',
  rows: 'Float',
  errors: 'Float',
  columns: 'JSON',
  key: 'JSON',
  changelog: 'String',
  query: 'String',
  createdAt: 'String',
});
const Source = plainObject('Source', { name: 'String', topic: 'String', columns: 'JSON', sql: 'String' });
const SinkType = plainObject('Sink', { name: 'String', into: 'String', options: 'JSON', query: 'String' });
const Pipeline = plainObject('Pipeline', {
  name: 'String',
  kind: 'String',
  state: 'String',
  error: 'JSON',
  rows: 'Float',
  errors: 'Float',
  late: 'Float',
  lag: 'Float',
  watermark: 'String',
  stateRows: 'Float',
  stateBytes: 'Float',
  spilledBytes: 'Float',
  busyMs: 'Float',
  rates: 'JSON',
  recordsBehind: 'Float',
  watermarkLagMs: 'Float',
  reads: 'JSON',
  operators: 'JSON',
});
const SqlResultType = plainObject('SqlResult', {
  kind: 'String',
  tag: 'String',
  notice: 'String',
  warnings: 'JSON',
  columns: 'JSON',
  rows: 'JSON',
  epoch: 'Float',
});
const RecordOffset = plainObject('RecordOffset', { partition: 'Int', offset: 'Float' });
const RecordInput = new GraphQLInputObjectType({
  name: 'RecordInput',
  fields: {
    key: { type: JsonScalar },
    value: { type: JsonScalar },
    partition: { type: GraphQLInt },
    timestamp: { type: GraphQLFloat },
  },
});

const QUERIES: Readonly<Record<string, Field>> = {
  topics: {
    type: listOf(Topic),
    resolve: (_s, _a, { executor: { context } }) =>
      usersTopics(context.log).map((topic) => topicJson(context.log, topic)),
  },
  sources: {
    type: listOf(Source),
    resolve: (_s, _a, { executor: { context } }) =>
      context.catalog
        .list()
        .filter((one) => one.kind === 'source')
        .map((one) => ({ ...one, columns: viewJson(one, undefined).columns })),
  },
  views: {
    type: listOf(View),
    resolve: async (_s, _a, { executor: { context } }) => {
      const stats = new Map((await context.engine.stats()).objects.map((one) => [one.id, one]));
      return context.catalog
        .list()
        .filter(isStored)
        .map((one) => viewJson(one, stats.get(one.id)));
    },
  },
  sinks: {
    type: listOf(SinkType),
    resolve: (_s, _a, { executor: { context } }) =>
      context.catalog
        .list()
        .filter((one) => one.kind === 'sink')
        .map((one) => ({ ...one, into: one.sinkKind })),
  },
  pipelines: {
    type: listOf(Pipeline),
    resolve: async (_s, _a, { executor: { context } }) =>
      (await context.engine.stats()).objects.map((one) => ({
        ...pipelineJson(context, one),
        operators: one.operators,
      })),
  },
};

const MUTATIONS: Readonly<Record<string, Field>> = {
  executeSql: {
    type: listOf(SqlResultType),
    description: 'Runs one or more StreamQL statements; one result each.',
    args: { sql: { type: required(GraphQLString) }, params: { type: new GraphQLList(JsonScalar) } },
    resolve: async (_s, { sql, params }, { executor }) =>
      (
        await executor.execute(sql, { params: params ?? [], timeoutMs: DEFAULT_TIMEOUT_MS, maxRows: DEFAULT_MAX_ROWS })
      ).map(resultJson),
  },
  createTopic: {
    type: required(Topic),
    args: { name: { type: required(GraphQLString) }, partitions: { type: GraphQLInt } },
    resolve: async (_s, { name, partitions }, { executor: { context } }) => {
      refuseInternal(name);
      return topicJson(context.log, await context.log.createTopic(name, { partitions: partitions ?? 1 }));
    },
  },
  produce: {
    type: listOf(RecordOffset),
    description: 'Appends records; answers after they are durable.',
    args: {
      topic: { type: required(GraphQLString) },
      records: { type: required(new GraphQLList(required(RecordInput))) },
    },
    resolve: (_s, { topic, records }, { executor: { context } }) =>
      appendPosted(context.log, findTopic(context.log, { topic }), records),
  },
};

/** Fixed fields first; a view that has the name of one is reachable as `<name>_`. */
export function buildSchema({ executor }: Services): GraphQLSchema {
  const query: Record<string, Field> = { ...QUERIES };
  const subscription: Record<string, Field> = {};
  for (const view of executor.context.catalog.list()) {
    if (!isStored(view)) continue;
    let name = graphqlName(view.name);
    while (query[name] !== undefined) name += '_';
    const generated = generateFields({ ...view, name });
    query[name] = generated.query;
    subscription[`${name}Changes`] = generated.subscription;
  }
  return new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: query }),
    mutation: new GraphQLObjectType({ name: 'Mutation', fields: MUTATIONS }),
    ...(Object.keys(subscription).length === 0
      ? {}
      : { subscription: new GraphQLObjectType({ name: 'Subscription', fields: subscription }) }),
  });
}
