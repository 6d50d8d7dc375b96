import { bindQuery } from '../../streamql/binder/binder.ts';
import { BindContext } from '../../streamql/binder/context.ts';
import { intervalMicros } from '../../streamql/binder/windows.ts';
import { consolidate } from '../../streamql/engine/runtime/consolidate.ts';
import type { Option, QueryStatement, Subscribe } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { StreamError } from '../lib/errors.ts';
import type { Subscription, ViewChange } from '../ports/engine.ts';
import type { Batch, ColumnSchema } from '../values/batch.ts';
import type { SqlContext } from './context.ts';
import { type Shape, shapeOf } from './envelope.ts';
import { followSubscription, isSubscription } from './subscriptions.ts';

export interface PushOptions {
  readonly params?: readonly unknown[];
  readonly snapshot?: boolean;
  /** Of a kept subscription: where to go on. */
  readonly cursor?: string;
}

export type OnChange = (change: ViewChange) => void | Promise<void>;

export interface PushQuery {
  readonly columns: readonly ColumnSchema[];
  /** Rows say by themselves what came and went: their weights mean nothing. */
  readonly isMessages?: boolean;
  readonly close: () => Promise<void>;
}

/** How often the epoch is asked for where PROGRESS or UP TO wants to know it. */
const PROGRESS_MS = 1000;
/** Rows that EMIT PERIODIC gathers; more go out at once. */
const MOST_GATHERED = 1_000_000;

/**
 * SUBSCRIBE, SELECT … EMIT CHANGES, or a bare SELECT. A view's own rows are pushed as they are; any other query runs as a view of its own until
 * the subscription is closed.
 */
export async function startPushQuery(
  context: SqlContext,
  sql: string,
  options: PushOptions,
  onChange: OnChange,
): Promise<PushQuery> {
  const [statement, second] = parseStatements(sql);
  if (statement === undefined || second !== undefined) {
    throw new StreamError('SQL_SYNTAX', 'subscribe takes exactly one statement', {
      at: second?.at ?? { line: 1, column: 1 },
    });
  }
  if (statement.kind !== 'subscribe' && statement.kind !== 'query') {
    throw new StreamError('SQL_UNSUPPORTED', 'only SUBSCRIBE and SELECT can be subscribed to', { at: statement.at });
  }
  const given = flags(statement.kind === 'subscribe' ? statement.options : []);
  const upTo = statement.kind === 'subscribe' ? statement.upTo : null;
  const everyMs = statement.periodic === null ? null : periodMs(context, statement);
  const snapshot = given['snapshot'] ?? options.snapshot ?? true;
  const envelope = statement.kind === 'subscribe' ? statement.envelope : null;
  const wrapped = envelope === null ? null : new Wrapped(onChange);
  const shaped = new ShapedChanges(wrapped?.take ?? onChange, { upTo, everyMs, snapshot });
  const { columns, isKept, close } = await open(context, statement, { ...options, snapshot }, shaped.take);
  shaped.columns = columns;
  let shape: Shape | null = null;
  try {
    shape = envelope === null ? null : shapeOf(envelope, columns);
  } catch (thrown) {
    shaped.close();
    await close();
    throw thrown;
  }
  if (shape !== null) wrapped?.begin(shape);
  if (given['progress'] && isKept) {
    await close();
    throw new StreamError(
      'OPTION_INVALID',
      'progress is for views: what a subscription keeps comes once a checkpoint',
      {
        at: statement.at,
        hint: 'SUBSCRIBE the view itself',
      },
    );
  }
  const timer =
    isKept || (!given['progress'] && upTo === null)
      ? undefined
      : setInterval(() => {
          context.engine.stats().then(
            ({ epoch }) => shaped.reached(epoch, given['progress'] === true),
            () => undefined,
          );
        }, PROGRESS_MS).unref();
  return {
    columns: shape?.columns ?? columns,
    isMessages: shape?.isMessages ?? false,
    close: async () => {
      clearInterval(timer);
      shaped.close();
      await close();
    },
  };
}

function flags(given: readonly Option[]): Readonly<Record<string, boolean>> {
  const out: Record<string, boolean> = {};
  for (const { name, value, at } of given) {
    if (name !== 'snapshot' && name !== 'progress') {
      throw new StreamError('OPTION_INVALID', `unknown option ${name}`, {
        at,
        hint: 'the options are: snapshot, progress',
      });
    }
    if (!/^(true|false)$/i.test(value))
      throw new StreamError('OPTION_INVALID', `${name} = '${value}': expected true or false`, { at });
    out[name] = /^true$/i.test(value);
  }
  return out;
}

function periodMs({ catalog }: SqlContext, { periodic, at }: QueryStatement | Subscribe): number {
  const ms = Math.round(intervalMicros(periodic!, new BindContext(catalog, { mode: 'pull' }), true) / 1000);
  if (ms >= 1 && ms <= 86_400_000) return ms;
  throw new StreamError('SQL_TYPE', 'EMIT PERIODIC takes an interval from a millisecond to a day', {
    at: periodic?.at ?? at,
    hint: "EMIT PERIODIC INTERVAL '5 seconds'",
  });
}

async function open(
  context: SqlContext,
  statement: QueryStatement | Subscribe,
  { snapshot, cursor, params = [] }: PushOptions & { readonly snapshot: boolean },
  onChange: OnChange,
): Promise<PushQuery & { readonly isKept: boolean }> {
  const { catalog, engine, newId } = context;
  const name = statement.kind === 'subscribe' ? statement.name : null;
  const kept = name === null ? undefined : catalog.get(name.text);
  if (isSubscription(kept)) {
    const { asOf } = statement as Subscribe;
    const start = { ...(asOf === null ? {} : { afterEpoch: asOf }), ...(cursor === undefined ? {} : { cursor }) };
    const { close } = await followSubscription(context, kept, start, onChange);
    return { columns: kept.columns, isKept: true, close: async () => close() };
  }
  if (statement.kind === 'subscribe' && statement.asOf !== null) {
    throw new StreamError('SQL_UNSUPPORTED', 'AS OF is for a subscription that keeps its history', {
      at: statement.at,
      hint: 'CREATE SUBSCRIPTION s FROM the view, and SUBSCRIBE s AS OF epoch',
    });
  }
  const named = name === null ? undefined : catalog.relation(name.text);
  if (named !== undefined && named.kind !== 'source') {
    const columns = named.columns.filter((column) => !column.hidden);
    // A table's rows have their hidden columns behind the others.
    const shown = ({ batch, ...change }: ViewChange): void | Promise<void> =>
      onChange({ ...change, batch: { ...batch, columns: batch.columns.slice(0, columns.length) } });
    const subscription = await engine.subscribe(named.id, { snapshot }, shown);
    return { columns, isKept: false, close: async () => subscription.close() };
  }
  const asOf = statement.kind === 'query' ? statement.asOf : undefined;
  const bound = bindQuery(statement.query, catalog, { mode: 'view', params, asOf });
  const id = `subscription-${newId()}`;
  await engine.add({
    kind: 'view',
    id,
    name: id,
    columns: bound.columns,
    key: bound.key,
    plan: optimize(bound.plan),
    ephemeral: true,
  });
  let subscription: Subscription;
  try {
    subscription = await engine.subscribe(id, { snapshot }, onChange);
  } catch (thrown) {
    await engine.remove(id);
    throw thrown;
  }
  return {
    columns: bound.columns,
    isKept: false,
    close: async () => {
      subscription.close();
      await engine.remove(id);
    },
  };
}

/** Puts changes into their envelope; what comes before that is known waits for it. */
class Wrapped {
  readonly #onChange: OnChange;
  #shape: Shape | null = null;
  #early: ViewChange[] = [];

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  readonly take = (change: ViewChange): void | Promise<void> => {
    if (this.#shape === null) {
      this.#early.push(change);
      return undefined;
    }
    const batch = change.batch.length === 0 ? change.batch : this.#shape.shaped(change.batch);
    // Rows that came and went within the epoch leave nothing to say.
    if (change.batch.length > 0 && batch.length === 0 && !change.snapshot) return undefined;
    return this.#onChange({ ...change, batch });
  };

  begin(shape: Shape): void {
    this.#shape = shape;
    for (const change of this.#early) void this.take(change);
    this.#early = [];
  }
}

/** Changes on their way to who asked: ended by UP TO, gathered by EMIT PERIODIC. Nothing comes after the end, an error or `close`. */
class ShapedChanges {
  readonly #onChange: OnChange;
  readonly #upTo: number | null;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #gathers: boolean;
  /** Of the rows; known before the second change. */
  columns: readonly ColumnSchema[] = [];
  #gathered: Batch[] = [];
  #rows = 0;
  #last: Pick<ViewChange, 'epoch' | 'cursor'> | null = null;
  #reached = -1;
  /** Of the last change. */
  #newest = -1;
  #waitsForSnapshot: boolean;
  #open = true;

  constructor(
    onChange: OnChange,
    { upTo, everyMs, snapshot }: { upTo: number | null; everyMs: number | null; snapshot: boolean },
  ) {
    this.#onChange = onChange;
    this.#waitsForSnapshot = snapshot;
    this.#upTo = upTo;
    this.#gathers = everyMs !== null;
    this.#timer = everyMs === null ? undefined : setInterval(() => this.#flush(), everyMs).unref();
  }

  readonly take = (change: ViewChange): void | Promise<void> => {
    if (!this.#open) return undefined;
    this.#waitsForSnapshot = false;
    this.#newest = change.epoch;
    if (this.#upTo !== null && change.error === undefined && change.epoch >= this.#upTo) return this.#end();
    if (!this.#gathers || change.snapshot || change.error !== undefined) {
      if (change.error !== undefined) {
        this.#flush();
        this.close();
      }
      return this.#onChange(change);
    }
    this.#gathered.push(change.batch);
    this.#rows += change.batch.length;
    this.#last = change;
    if (this.#rows > MOST_GATHERED) this.#flush();
    return undefined;
  };

  /** The engine is in this epoch, or done with it: all changes of those before have been sent, and what came of one is all of it. */
  reached(present: number, tell: boolean): void {
    const epoch = Math.max(present - 1, this.#newest);
    if (!this.#open || this.#waitsForSnapshot || epoch <= this.#reached) return;
    this.#reached = epoch;
    if (this.#upTo !== null && epoch >= this.#upTo - 1) this.#end();
    else if (tell && this.#gathered.length === 0)
      void this.#onChange({ epoch, snapshot: false, progress: true, batch: NOTHING });
  }

  close(): void {
    this.#open = false;
    clearInterval(this.#timer);
  }

  #end(): void {
    this.#flush();
    this.close();
    void this.#onChange({ epoch: this.#upTo as number, snapshot: false, end: true, batch: NOTHING });
  }

  #flush(): void {
    if (this.#last === null) return;
    const batch = consolidate(
      this.columns.map(({ type }) => type),
      this.#gathered,
    );
    const { epoch, cursor } = this.#last;
    this.#gathered = [];
    this.#rows = 0;
    this.#last = null;
    if (batch !== null)
      void this.#onChange({ epoch, snapshot: false, batch, ...(cursor === undefined ? {} : { cursor }) });
  }
}

const NOTHING: Batch = { length: 0, columns: [], weights: null };
