import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { RelationCatalog } from '../../src/ports/relations.ts';
import type { AstExpr, CommonTable, Query } from '../parser/ast.ts';
import type { AsOf } from '../plan/as-of.ts';
import type { Plan } from '../plan/plan.ts';
import type { Recursion } from './recursion.ts';
import type { SessionFacts } from './session-calls.ts';

/** How many relations one statement may read, common tables counted at each use. */
const MAX_RELATIONS = 500;

export interface BindOptions {
  /** `view`: kept up to date, so only what has an incremental meaning; `pull`: answered once. */
  readonly mode: 'view' | 'pull';
  /** JSON values for $1, $2 … */
  readonly params?: readonly unknown[];
  /** What now() is throughout the statement, in microseconds since 1970; absent: whenever it is computed. */
  readonly nowMicros?: number;
  /** Of statements that run once. */
  readonly session?: SessionFacts;
  /** SELECT … AS OF: the moment whose rows are read. */
  readonly asOf?: AstExpr | undefined;
}

/** What is shared by the binding of one statement. */
export class BindContext {
  readonly catalog: RelationCatalog;
  readonly mode: 'view' | 'pull';
  readonly params: readonly unknown[];
  readonly nowMicros: number | undefined;
  readonly session: SessionFacts | undefined;
  /** What AS OF at the end of the statement says. */
  asOf: AsOf | null = null;
  /** Only what is final is shown, so rows that are late never count (EMIT ON WINDOW CLOSE). */
  dropsLate = false;
  /** Common tables that are being bound, inner ones last. */
  readonly opened: string[] = [];
  readonly usedCommons = new Set<CommonTable>();
  /** Those of WITH RECURSIVE by their queries. */
  readonly recursives = new Map<Query, CommonTable>();
  /** Common tables that are being bound and may name themselves. */
  readonly recursions = new Map<CommonTable, Recursion>();
  #relations = 0;
  /** SQL functions that are being put in place of their calls. */
  inlined = 0;

  constructor(catalog: RelationCatalog, options: BindOptions) {
    this.catalog = catalog;
    this.mode = options.mode;
    this.params = options.params ?? [];
    this.nowMicros = options.nowMicros;
    this.session = options.session;
  }

  countRelation(at: Position): void {
    if (++this.#relations > MAX_RELATIONS) {
      throw new StreamError('SQL_LIMIT', `more than ${MAX_RELATIONS} relations in one statement`, {
        at,
        hint: 'make views of parts of it',
      });
    }
  }
}

/** The common tables that a query may name; inner ones hide outer ones. */
export interface Commons {
  readonly table: CommonTable;
  /** What its own query sees. */
  readonly outer: Commons | null;
}

export function findCommon(commons: Commons | null, name: string): Commons | null {
  for (let at = commons; at !== null; at = at.outer) if (at.table.name.text === name) return at;
  return null;
}

/** Column positions from these on stand for what a SELECT computes above FROM, until the nodes that compute it exist. */
export const AGGREGATE_BASE = 1 << 24;
export const GROUPING_BASE = 3 << 23;
export const OVER_BASE = 1 << 25;
export const SUBQUERY_BASE = 1 << 26;
/** Of subqueries in the arguments of aggregates, which are joined before the grouping. */
export const ARGUMENT_BASE = 1 << 27;

/** The limit of a TopN whose bound is still to be found in an outer WHERE. */
export const UNBOUNDED = Number.MAX_SAFE_INTEGER;

export const isUnboundedRank = (plan: Plan): boolean => plan.op === 'topn' && plan.limit === UNBOUNDED;
