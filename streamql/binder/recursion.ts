import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { changelogOf } from '../plan/changelog.ts';
import type { Plan, Recursive, Scan } from '../plan/plan.ts';
import { inputsOf, withInputs } from '../plan/walk.ts';
import { optimize } from '../rules/optimize.ts';

/** A common table that is being bound and may name itself. */
export interface Recursion {
  readonly name: string;
  /** Set once the part that does not name it is bound. */
  self: Scan | null;
  /** Where it named itself. */
  readonly references: Position[];
}

/** Stands for the rows of the table in the part that names it. */
export const selfScan = (name: string, base: Plan, names: readonly string[]): Scan => ({
  op: 'scan',
  relation: `$self ${name}`,
  name,
  columns: base.schema.map((_, i) => i),
  changelog: 'general',
  schema: base.schema.map((column, i): ColumnSchema => ({ name: names[i], type: column.type, nullable: true })),
});

/**
 * The recursion over its two parts. What of the step does not depend on the table becomes an input of its own; what stands between the
 * table and the step's root must be monotone: more rows in never make fewer rows out.
 */
export function recursive(recursion: Recursion, base: Plan, step: Plan, all: boolean): Recursive {
  const { self, references } = recursion;
  const [at, second] = references;
  if (self === null) throw new StreamError('INVARIANT', 'a recursion has a part that does not name it');
  if (second !== undefined) {
    throw new StreamError('SQL_UNSUPPORTED', `"${recursion.name}" is named twice in its own recursive part`, {
      at: second,
      hint: 'name it once; what is found joins what was found before by and by',
    });
  }
  const inputs: Plan[] = [];
  const cut = (plan: Plan): Plan => {
    if (!dependsOn(plan, self)) return inputScan(plan, inputs.push(plan) - 1);
    if (plan.op === 'scan') return plan;
    const what = refusalOf(plan, self, all);
    if (what !== null) {
      throw new StreamError('SQL_UNSUPPORTED', `"${recursion.name}" stands ${what} in its own recursive part`, {
        at,
        hint: 'there it may be filtered, joined (inner and semi joins), unnested and combined by UNION ALL; aggregate the recursion from outside',
      });
    }
    return withInputs(plan, inputsOf(plan).map(cut));
  };
  const wide = cut(optimize(step));
  const isAppend = [base, ...inputs].every((input) => changelogOf(input) === 'append');
  return {
    op: 'recursive',
    all,
    base,
    inputs,
    step: isAppend ? appending(wide) : wide,
    self: self.relation,
    schema: base.schema.map((column, i) => ({
      ...self.schema[i],
      nullable: column.nullable || step.schema[i].nullable,
    })),
  };
}

/** An input of the step as a relation of its own. */
const inputScan = (plan: Plan, index: number): Scan => ({
  op: 'scan',
  relation: `$input ${index}`,
  name: `input ${index}`,
  columns: plan.schema.map((_, i) => i),
  changelog: changelogOf(plan) === 'append' ? 'append' : 'general',
  schema: plan.schema,
});

const dependsOn = (plan: Plan, self: Scan): boolean =>
  plan.op === 'scan' ? plan.relation === self.relation : inputsOf(plan).some((input) => dependsOn(input, self));

/** Nothing is ever taken back from what only comes. */
const appending = (plan: Plan): Plan =>
  plan.op === 'scan' ? { ...plan, changelog: 'append' } : withInputs(plan, inputsOf(plan).map(appending));

/** What a node that depends on the table may not be; null when it may. */
function refusalOf(plan: Plan, self: Scan, all: boolean): string | null {
  switch (plan.op) {
    case 'filter':
    case 'project':
    case 'union':
    case 'unnest':
    case 'window':
      return null;
    case 'distinct':
      return all ? 'below DISTINCT, which UNION ALL does not go with,' : null;
    case 'join':
      if (plan.kind === 'inner') return null;
      if (plan.kind === 'semi') return all && dependsOn(plan.right, self) ? 'in a subquery of UNION ALL' : null;
      return plan.kind === 'anti' ? 'below NOT EXISTS or NOT IN' : 'in an outer join';
    case 'aggregate':
      return 'below an aggregate';
    case 'setOp':
      return `below ${plan.kind.toUpperCase()}`;
    case 'topn':
      return 'below LIMIT or DISTINCT ON';
    case 'over':
      return 'below a window function';
    default:
      return `below ${plan.op}`;
  }
}
