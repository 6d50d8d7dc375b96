import type { ChangelogKind, Plan } from './plan.ts';
import { inputsOf } from './walk.ts';

/**
 * What the output of a node may carry (DESIGN D8).
 * - append: no row is ever taken back. Sources, constants; and filter, project, window, distinct, union and inner join while all
 *   their inputs are append; a lookup join over a left side that is; recursion; semi join and INTERSECT too.
 * - upsert: rows go and come as replacements of one row by a key. Tables, aggregates (by group) and TopN with a rank or a limit
 *   of 1 (by partition and rank); filter and sort keep it; so does a project (the rows still replace each other one for one).
 * - general: anything else: what expires, sessions (they grow and merge), filters by now(), left, full, anti and ASOF joins (a match takes the row without a match back), EXCEPT, joins and unions over changing inputs, TopN.
 */
export function changelogOf(plan: Plan): ChangelogKind {
  switch (plan.op) {
    case 'scan':
      return plan.changelog;
    case 'values':
    case 'close':
      return 'append';
    case 'filter':
    case 'sort':
      return changelogOf(plan.input);
    case 'project':
      return changelogOf(plan.input);
    case 'window':
    case 'unnest':
    case 'distinct':
      return changelogOf(plan.input) === 'append' ? 'append' : 'general';
    case 'aggregate':
      return 'upsert';
    case 'topn':
      return plan.rank || plan.limit === 1 ? 'upsert' : 'general';
    case 'join':
      return (plan.kind === 'inner' || plan.kind === 'semi') &&
        changelogOf(plan.left) === 'append' &&
        changelogOf(plan.right) === 'append'
        ? 'append'
        : 'general';
    case 'nowFilter':
    case 'over':
    case 'asof':
    case 'session':
    case 'expire':
    case 'match':
      return 'general';
    case 'lookup':
      return changelogOf(plan.left) === 'append' ? 'append' : 'general';
    case 'setOp':
      return plan.kind === 'intersect' && changelogOf(plan.left) === 'append' && changelogOf(plan.right) === 'append'
        ? 'append'
        : 'general';
    case 'recursive':
      return inputsOf(plan).every((input) => changelogOf(input) === 'append') ? 'append' : 'general';
    case 'union':
      return plan.inputs.every((input) => changelogOf(input) === 'append') ? 'append' : 'general';
  }
}
