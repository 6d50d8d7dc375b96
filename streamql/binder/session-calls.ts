import { type Position, StreamError } from '../../src/lib/errors.ts';
import { arrayOf, VARCHAR } from '../../src/values/types.ts';
import type { Expr } from '../plan/plan.ts';
import type { BindContext } from './context.ts';
import { isUnknown, literal } from './literals.ts';

/** Who asks, and of what: constants of a statement that runs once. */
export interface SessionFacts {
  readonly version: string;
  readonly user: string;
  readonly database: string;
  /** Where names are looked for, in order. */
  readonly schemas: readonly string[];
  /** What SHOW answers, by name in lower case. */
  readonly settings: Readonly<Record<string, string>>;
}

type Fact = (facts: SessionFacts) => string;

/** Without arguments. Postgres 15, table 9.66. */
const FACTS: Readonly<Record<string, Fact>> = {
  version: ({ version }) => version,
  current_database: ({ database }) => database,
  current_catalog: ({ database }) => database,
  current_schema: ({ schemas }) => schemas[0] ?? 'public',
  current_user: ({ user }) => user,
  current_role: ({ user }) => user,
  session_user: ({ user }) => user,
  user: ({ user }) => user,
};

/** A call that asks for a fact of the session; undefined for every other. SQL_UNSUPPORTED in what is kept. */
export function sessionCall(context: BindContext, name: string, args: readonly Expr[], at: Position): Expr | undefined {
  const fact = args.length === 0 && Object.hasOwn(FACTS, name) ? FACTS[name] : undefined;
  const isSetting = name === 'current_setting' && args.length >= 1 && args.length <= 2;
  const isSchemas = name === 'current_schemas' && args.length === 1;
  if (fact === undefined && !isSetting && !isSchemas) return undefined;
  const { session } = context;
  if (context.mode === 'view' || session === undefined) {
    throw new StreamError('SQL_UNSUPPORTED', `${name} is of a session, and a view, sink or function is not`, {
      at,
      hint: 'ask for it in a query',
    });
  }
  if (fact !== undefined) return literal(fact(session), VARCHAR);
  if (isSchemas) return literal([...session.schemas], arrayOf(VARCHAR));
  const [wanted, missing] = args;
  const text = wanted.op === 'literal' && typeof wanted.value === 'string' ? wanted.value.toLowerCase() : undefined;
  if (text === undefined || !(isUnknown(wanted) || wanted.type.kind === 'varchar'))
    throw new StreamError('SQL_TYPE', 'current_setting takes the name of a setting', {
      at,
      hint: "current_setting('server_version')",
    });
  if (Object.hasOwn(session.settings, text)) return literal(session.settings[text], VARCHAR);
  if (missing?.op === 'literal' && missing.value === true) return literal(null, VARCHAR);
  throw new StreamError('OPTION_INVALID', `there is no setting ${text}`, {
    at,
    hint: `there are ${Object.keys(session.settings).join(', ')}`,
  });
}
