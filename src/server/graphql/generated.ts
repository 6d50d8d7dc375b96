import {
  GraphQLBoolean,
  GraphQLEnumType,
  type GraphQLFieldConfig,
  GraphQLFloat,
  GraphQLInputObjectType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLString,
} from 'graphql';
import type { CatalogObject } from '../../catalog/objects.ts';
import { runPull } from '../../catalog/pull.ts';
import { StreamError } from '../../lib/errors.ts';
import type { Subscription, ViewChange } from '../../ports/engine.ts';
import type { Services } from '../route.ts';
import { DEFAULT_TIMEOUT_MS } from '../routes/sql.ts';
import { rowJson } from '../rows.ts';
import { inputType, outputType } from './scalars.ts';
import { COMPARISON_NAMES, cursorOf, type FieldColumn, planSelect, type SelectArguments } from './select.ts';

/** The part of the schema that follows DDL: a field and a subscription for each view and table. */

export const SortDirection = new GraphQLEnumType({ name: 'SortDirection', values: { ASC: {}, DESC: {} } });

/** A SQL name as GraphQL allows it. */
export const graphqlName = (name: string): string =>
  name.replace(/^[^A-Za-z_]|[^0-9A-Za-z_]/g, '_').replace(/^__+/, '_');

export interface GeneratedFields {
  readonly query: GraphQLFieldConfig<unknown, Services>;
  readonly subscription: GraphQLFieldConfig<unknown, Services>;
}

/** Changes that wait for one subscriber; beyond it the subscription ends with OVERLOADED. */
const MAX_QUEUED_CHANGES = 1000;

export function generateFields(view: CatalogObject): GeneratedFields {
  const name = graphqlName(view.name);
  const fields = fieldsOf(view);
  const row = new GraphQLObjectType({
    name: `${name}_row`,
    fields: {
      ...Object.fromEntries(fields.map(({ field, column }) => [field, { type: outputType(column.type) }])),
      _cursor: {
        type: GraphQLString,
        description: 'Give it to `after`, with the same orderBy, for the rows behind this one.',
      },
    },
  });
  const key = view.key
    ?.map((position) => fields.find((field) => field.position === position))
    .filter((field) => field !== undefined);
  return {
    query: {
      type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(row))),
      description: view.query ?? `Table ${view.name}`,
      args: {
        where: { type: whereType(name, fields) },
        orderBy: { type: new GraphQLList(new GraphQLNonNull(orderType(name, fields))) },
        first: { type: GraphQLInt, description: 'At most this many rows; default 100.' },
        after: { type: GraphQLString, description: '_cursor of the row before.' },
        ...(key?.length ? { byKey: { type: keyType(name, key) } } : {}),
      },
      resolve: (_source, args: SelectArguments, services) => select(services, view, fields, args),
    },
    subscription: {
      type: new GraphQLNonNull(changesType(name, row)),
      description: `Changes of ${view.name}: first a snapshot, then one event per epoch that changes it.`,
      args: {
        snapshot: { type: GraphQLBoolean, defaultValue: true, description: 'Whether the present rows come first.' },
      },
      subscribe: (_source, args: { snapshot: boolean }, services) => changes(services, view, fields, args.snapshot),
      resolve: (event) => event,
    },
  };
}

function fieldsOf(view: CatalogObject): FieldColumn[] {
  const taken = new Set<string>(['and', 'or', 'not', '_cursor']);
  const out: FieldColumn[] = [];
  view.columns.forEach((column, position) => {
    if (column.hidden) return;
    let field = graphqlName(column.name);
    while (taken.has(field)) field += '_';
    taken.add(field);
    out.push({ field, column, position });
  });
  return out;
}

async function select(services: Services, view: CatalogObject, fields: readonly FieldColumn[], args: SelectArguments) {
  const { plan, order } = planSelect(view, fields, args);
  const { batches } = await runPull(services.executor.context, plan, {
    timeoutMs: DEFAULT_TIMEOUT_MS,
    maxRows: 1_000_000,
  });
  const columns = fields.map((field) => field.column);
  const rows: Record<string, unknown>[] = [];
  for (const batch of batches) {
    for (let i = 0; i < batch.length; i++) {
      const values = rowJson(columns, batch, i);
      rows.push({ ...rowOf(fields, values), _cursor: cursorOf(order, values) });
    }
  }
  return rows;
}

const rowOf = (fields: readonly FieldColumn[], values: readonly unknown[]): Record<string, unknown> =>
  Object.fromEntries(fields.map(({ field }, i) => [field, values[i]]));

function whereType(name: string, fields: readonly FieldColumn[]): GraphQLInputObjectType {
  const where: GraphQLInputObjectType = new GraphQLInputObjectType({
    name: `${name}_where`,
    fields: () => ({
      ...Object.fromEntries(fields.map(({ field, column }) => [field, { type: conditionType(column.type) }])),
      and: { type: new GraphQLList(new GraphQLNonNull(where)) },
      or: { type: new GraphQLList(new GraphQLNonNull(where)) },
      not: { type: where },
    }),
  });
  return where;
}

/** One type per operand, shared by all columns: names made of a view's and a column's could meet those of another pair. */
const CONDITIONS = new Map<string, GraphQLInputObjectType>();

function conditionType(type: FieldColumn['column']['type']): GraphQLInputObjectType {
  const operand = inputType(type);
  const name = `${String(operand).replace(/[^0-9A-Za-z]+/g, '_')}_condition`;
  const known = CONDITIONS.get(name);
  if (known !== undefined) return known;
  const made = new GraphQLInputObjectType({
    name,
    fields: {
      ...Object.fromEntries(COMPARISON_NAMES.map((comparison) => [comparison, { type: operand }])),
      in: { type: new GraphQLList(new GraphQLNonNull(operand)) },
      notIn: { type: new GraphQLList(new GraphQLNonNull(operand)) },
      isNull: { type: GraphQLBoolean },
    },
  });
  CONDITIONS.set(name, made);
  return made;
}

function orderType(name: string, fields: readonly FieldColumn[]): GraphQLInputObjectType {
  return new GraphQLInputObjectType({
    name: `${name}_order`,
    fields: Object.fromEntries(fields.map(({ field }) => [field, { type: SortDirection }])),
  });
}

function keyType(name: string, key: readonly FieldColumn[]): GraphQLInputObjectType {
  return new GraphQLInputObjectType({
    name: `${name}_key`,
    fields: Object.fromEntries(
      key.map(({ field, column }) => [field, { type: new GraphQLNonNull(inputType(column.type)) }]),
    ),
  });
}

function changesType(name: string, row: GraphQLObjectType): GraphQLObjectType {
  const change = new GraphQLObjectType({
    name: `${name}_change`,
    fields: {
      diff: { type: new GraphQLNonNull(GraphQLInt), description: '+n: the row comes n times; −n: it goes.' },
      row: { type: new GraphQLNonNull(row) },
    },
  });
  return new GraphQLObjectType({
    name: `${name}_changes`,
    fields: {
      epoch: { type: new GraphQLNonNull(GraphQLFloat) },
      snapshot: {
        type: new GraphQLNonNull(GraphQLBoolean),
        description: 'Whether these are all rows as of the epoch.',
      },
      changes: { type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(change))) },
    },
  });
}

/**
 * Not an async generator: the return() of one that waits for a change is only heard at the next change, so a client that left
 * would stay subscribed to a view that rests. What a client that does not read leaves waiting is bounded as it arrives.
 */
async function changes(services: Services, view: CatalogObject, fields: readonly FieldColumn[], snapshot: boolean) {
  let queue: ViewChange[] = [];
  let failure: StreamError | undefined;
  let done = false;
  let wake = (): void => {};
  const end = (): void => {
    done = true;
    queue = [];
    subscription?.close();
    wake();
  };
  let subscription: Subscription | undefined;
  subscription = await services.executor.context.engine.subscribe(view.id, { snapshot }, (change) => {
    if (done) return;
    queue.push(change);
    if (queue.length > MAX_QUEUED_CHANGES) {
      failure = new StreamError('OVERLOADED', 'the subscriber reads too slowly', {
        hint: 'subscribe again; a new snapshot follows',
      });
      end();
    }
    wake();
  });
  if (done) subscription.close();
  const next = async (): Promise<IteratorResult<ReturnType<typeof changeEvent>>> => {
    for (;;) {
      const change = queue.shift();
      if (change !== undefined) {
        if (change.error === undefined) return { done: false, value: changeEvent(view, fields, change) };
        end();
        throw new StreamError('CANCELLED', change.error.detail);
      }
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        throw error;
      }
      if (done) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next,
    async return() {
      end();
      return { done: true as const, value: undefined };
    },
    async throw(error: unknown): Promise<never> {
      end();
      throw error;
    },
  };
}

function changeEvent(view: CatalogObject, fields: readonly FieldColumn[], { epoch, snapshot, batch }: ViewChange) {
  const out: { diff: number; row: Record<string, unknown> }[] = [];
  for (let i = 0; i < batch.length; i++) {
    const values = rowJson(view.columns, batch, i);
    out.push({
      diff: batch.weights === null ? 1 : batch.weights[i],
      row: rowOf(
        fields,
        fields.map(({ position }) => values[position]),
      ),
    });
  }
  return { epoch, snapshot, changes: out };
}
