import { bindQuery } from '../../streamql/binder/binder.ts';
import { statementsOf, type Translated, translate } from '../../streamql/dialects/translate.ts';
import type { Query, QueryStatement, Statement } from '../../streamql/parser/ast.ts';
import { parseScript } from '../../streamql/parser/parser.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import type { Relation, RelationCatalog } from '../ports/relations.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { alter, pause } from './alter.ts';
import type { Catalog } from './catalog.ts';
import { ok, pullBinding, type SqlContext, type SqlResult, type StatementOptions } from './context.ts';
import { createSource } from './create-source.ts';
import { createSink, createView, drop } from './ddl.ts';
import { insert, remove, update } from './dml.ts';
import { explain } from './explain.ts';
import { createFunction, dropFunction } from './functions.ts';
import { createIndex, dropIndex } from './indexes.ts';
import { locatingOptions } from './options.ts';
import { runPull } from './pull.ts';
import { type OnChange, type PushOptions, type PushQuery, startPushQuery } from './push-query.ts';
import { replaceView } from './replace.ts';
import { replay } from './replay.ts';
import { createSchema, dropSchema, placed } from './schemas.ts';
import { isSetting, SqlSession } from './session.ts';
import { describe, settingResult, show } from './show.ts';
import { topicRelation, usersTopics } from './topic-relation.ts';
import { verifyView } from './verify.ts';

const SETS_DIALECT = /\bset\s+(?:session\s+|local\s+)?dialect\b/i;

/**
 * Runs statements: the one way in for HTTP, GraphQL, the Postgres wire and the CLI. DDL runs one at a time, in the order of the
 * calls; pull queries run beside it.
 */
export class SqlExecutor {
  readonly #context: SqlContext;
  #ddl: Promise<unknown> = Promise.resolve();

  constructor(context: SqlContext) {
    this.#context = context;
  }

  get context(): SqlContext {
    return this.#context;
  }

  /** One result per statement. Stops at the first failing one; what ran before it stands. */
  async execute(sql: string, options: StatementOptions): Promise<SqlResult[]> {
    const session = options.session ?? new SqlSession();
    if (session.dialect !== 'streamql' || SETS_DIALECT.test(sql)) return this.#translated(sql, options, session);
    const script = parseScript(sql);
    if (script.length === 0)
      throw new StreamError('SQL_SYNTAX', 'there is no statement', { at: { line: 1, column: 1 } });
    const results: SqlResult[] = [];
    for (const { statement, text } of script) results.push(await this.#run(statement, text, options, session));
    return results;
  }

  /** One statement after the other, since SET dialect changes what those after it are written in. */
  async #translated(sql: string, options: StatementOptions, session: SqlSession): Promise<SqlResult[]> {
    const results: SqlResult[] = [];
    for (const part of statementsOf(sql)) {
      const inDialect = session.dialect === 'streamql' ? null : translate(part.text, session.dialect);
      try {
        for (const { statement, text } of parseScript(inDialect?.sql ?? part.text)) {
          const kept = inDialect === null ? { statement, text } : inOneLine(statement, text, inDialect);
          results.push(await this.#run(kept.statement, kept.text, { ...options, session }, session));
        }
      } catch (thrown) {
        throw moved(asStreamError(thrown), inDialect, part);
      }
    }
    if (results.length === 0)
      throw new StreamError('SQL_SYNTAX', 'there is no statement', { at: { line: 1, column: 1 }, hint: 'write one' });
    return results;
  }

  /** The columns a SELECT would answer with, without running it. */
  describeQuery(query: Query, params: readonly unknown[] = [], session = new SqlSession()): readonly ColumnSchema[] {
    return bindQuery(query, this.#relations(this.#context.catalog.under(session.searchPath)), {
      mode: 'pull',
      ...pullBinding(this.#context, { params, session }),
    }).columns;
  }

  /** Starts a push query. */
  subscribe(sql: string, options: PushOptions, onChange: OnChange): Promise<PushQuery> {
    return startPushQuery(this.#context, sql, options, onChange);
  }

  #run(statement: Statement, sql: string, options: StatementOptions, session: SqlSession): Promise<SqlResult> {
    const run = () => this.#runStatement(statement, sql, options, session);
    return 'options' in statement ? locatingOptions(statement.options, run) : run();
  }

  async #runStatement(
    given: Statement,
    sql: string,
    options: StatementOptions,
    session: SqlSession,
  ): Promise<SqlResult> {
    const catalog = this.#context.catalog.under(session.searchPath);
    const context = { ...this.#context, catalog };
    const statement = placed(catalog, given);
    switch (statement.kind) {
      case 'createSource':
      case 'createTable':
        return this.#serial(() => createSource(context, statement, sql));
      case 'createView':
        if (statement.orReplace && context.catalog.get(statement.name.text) !== undefined) {
          const serial = <T>(run: () => Promise<T>) => this.#serial(run);
          return replaceView(context, statement, sql, { timeoutMs: options.timeoutMs, serial });
        }
        return this.#serial(() => createView(context, statement, sql));
      case 'createSink':
        return this.#serial(() => createSink(context, statement, sql));
      case 'alter':
        return this.#serial(() => alter(context, statement));
      case 'pause':
        return this.#serial(() => pause(context, statement));
      case 'createFunction':
        return this.#serial(() => createFunction(context, statement));
      case 'dropFunction':
        return this.#serial(() => dropFunction(context, statement));
      case 'drop':
        return this.#serial(() => drop(context, statement));
      case 'show':
        if (isSetting(statement.what)) return settingResult(session, statement.what);
        return show(context, statement);
      case 'set':
        session.set(statement.name.text, statement.values, statement.name.at);
        return ok('SET');
      case 'createIndex':
        return this.#serial(() => createIndex(context, statement));
      case 'dropIndex':
        return this.#serial(() => dropIndex(context, statement));
      case 'createSchema':
        return this.#serial(() => createSchema(context, statement));
      case 'dropSchema':
        return this.#serial(() => dropSchema(context, statement));
      case 'describe':
        return describe(context, statement);
      case 'explain':
        return explain(context, this.#relations(catalog), statement, options);
      case 'flush':
        await withTimeout(context.engine.flush(), options.timeoutMs, 'FLUSH');
        return ok('FLUSH');
      case 'replay':
        return this.#serial(() => replay(context, statement));
      case 'verify':
        return verifyView(context, statement, options);
      case 'insert':
        if (statement.onConflict !== null) return this.#serial(() => insert(context, statement, options));
        return insert(context, statement, options);
      case 'update':
        return this.#serial(() => update(context, statement, options));
      case 'delete':
        return this.#serial(() => remove(context, statement, options));
      case 'subscribe':
        throw pushNeedsStream(statement.at);
      case 'query': {
        if (statement.emitChanges) throw pushNeedsStream(statement.at);
        const { version } = context.catalog;
        return this.#pull(context, statement, options).catch((thrown: unknown) => {
          // What it was bound to may have been replaced meanwhile.
          const { code } = asStreamError(thrown);
          if (context.catalog.version === version || (code !== 'NOT_FOUND' && code !== 'CANCELLED')) throw thrown;
          return this.#pull(context, statement, options);
        });
      }
    }
  }

  async #pull(context: SqlContext, statement: QueryStatement, options: StatementOptions): Promise<SqlResult> {
    const bound = bindQuery(statement.query, this.#relations(context.catalog), {
      mode: 'pull',
      ...pullBinding(context, options),
      asOf: statement.asOf,
    });
    const answer = await runPull(context, optimize(bound.plan), options).catch((thrown: unknown) => {
      const { code, message, hint, at } = asStreamError(thrown);
      // Of what is not kept any more: the engine knows no places.
      if (statement.asOf === undefined || at !== undefined || thrown instanceof StreamError === false) throw thrown;
      throw new StreamError(code, message, { at: statement.asOf.at, cause: thrown, ...(hint ? { hint } : {}) });
    });
    const epoch = answer.epoch === undefined ? {} : { epoch: answer.epoch };
    const warnings = answer.warnings.length === 0 ? {} : { warnings: answer.warnings };
    return { kind: 'rows', columns: bound.columns, batches: answer.batches, ...epoch, ...warnings };
  }

  /** The catalogue's relations, and any other topic by its name. */
  #relations(catalog: Catalog): RelationCatalog {
    const { log } = this.#context;
    return {
      relation: (name): Relation | undefined => {
        const known = catalog.relation(name);
        if (known !== undefined) return known;
        const topic = log.describeTopic(name);
        return topic === undefined ? undefined : topicRelation(topic);
      },
      userFunction: (name) => catalog.userFunction(name),
      functionNames: () => catalog.functions.map((fn) => fn.name),
      relationNames: () => [...catalog.relationNames(), ...usersTopics(log).map((topic) => topic.name)],
    };
  }

  #serial<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#ddl.then(run, run);
    this.#ddl = result.catch(() => undefined);
    return result;
  }
}

/** A translation has a token on each line; what is kept of it is easier to read as one. */
function inOneLine(statement: Statement, text: string, { hasLongTokens }: Translated) {
  if (hasLongTokens) return { statement, text };
  const line = (part: string): string => part.replaceAll('\n', ' ');
  const kept = 'queryText' in statement ? { ...statement, queryText: line(statement.queryText) } : statement;
  return { statement: kept, text: line(text) };
}

/** The error where it was written: in another dialect, or further down in the script. */
function moved(
  error: StreamError,
  translated: Translated | null,
  before: { readonly line: number; readonly column: number },
): StreamError {
  if (error.at === undefined) return error;
  const { line, column } = translated?.positionOf(error.at) ?? error.at;
  const { hint } = error;
  return new StreamError(error.code, error.message, {
    at: { line: line + before.line, column: line === 1 ? column + before.column : column },
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

function pushNeedsStream(at: Statement['at']): StreamError {
  return new StreamError('SQL_UNSUPPORTED', 'a push query never ends, so it has no single answer', {
    at,
    hint: 'send it to GET /api/v1/subscribe?sql=… (server-sent events) or subscribe through GraphQL',
  });
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new StreamError('TIMEOUT', `${what} took longer than ${timeoutMs} ms`, {
          hint: 'raise timeoutMs, or look at /api/v1/pipelines for what lags',
        }),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
