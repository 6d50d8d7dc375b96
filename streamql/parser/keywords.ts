const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Postgres's reserved words (appendix C): never an unquoted name. */
export const RESERVED = words(`
  all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
  current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc
  distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral
  leading limit localtime localtimestamp not null offset on only or order placing primary references returning
  select session_user some symmetric system_user table then to trailing true union unique user using variadic when
  where window with
`);

/** Reserved but as a function or type name; not a table alias. */
export const RESERVED_BUT_FUNCTION = words(`
  authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join left like
  natural notnull outer overlaps right similar tablesample verbose
`);

/** Names of types and functions with a syntax of their own (Postgres's col_name_keyword). */
const COLUMN_NAMES = words(`
  between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer
  interval least national nchar none normalize nullif numeric out overlay position precision real row setof smallint
  substring time timestamp treat trim values varchar
`);

/** Whether quote_ident quotes the word. */
export const isQuotedWord = (word: string): boolean =>
  RESERVED.has(word) || RESERVED_BUT_FUNCTION.has(word) || COLUMN_NAMES.has(word);

/** Names of columns, and most of types, that Postgres takes for no function's. */
export const NO_FUNCTION = words(`
  between bigint bit boolean char character dec decimal float inout int integer interval national nchar none numeric
  out precision real setof smallint time timestamp values varchar
`);

/** Words that go on with the query and so are no alias without AS, beyond the reserved ones. */
export const NOT_A_BARE_ALIAS = words(`
  emit filter over within without year month day hour minute second varying precision qualify match_recognize
`);

/** What a slip in a query is compared with. */
export const QUERY_WORDS: readonly string[] = [
  'select',
  'distinct',
  'from',
  'where',
  'group',
  'having',
  'order',
  'limit',
  'offset',
  'union',
  'join',
  'inner',
  'left',
  'cross',
  'using',
  'between',
  'like',
  'interval',
  'emit',
  'values',
  'intersect',
  'except',
];

export const STATEMENT_WORDS: readonly string[] = [
  'select',
  'create',
  'drop',
  'set',
  'alter',
  'pause',
  'resume',
  'insert',
  'update',
  'delete',
  'show',
  'describe',
  'explain',
  'flush',
  'replay',
  'verify',
  'subscribe',
  'with',
  'values',
];
