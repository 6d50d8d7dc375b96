import type { Plan } from './plan.ts';
import { inputsOf, withInputs } from './walk.ts';

/**
 * The plan over what is left of its input: rows of sources, tables and views expire where they come in, after the filters and projections that
 * they pass first. What a lookup join looks up in does not: that is not state of the join.
 */
export function withExpiry(plan: Plan, afterMicros: number | null): Plan {
  if (isPassing(plan)) return { op: 'expire', input: plan, afterMicros, schema: plan.schema };
  const inputs = inputsOf(plan);
  return withInputs(
    plan,
    inputs.map((input, i) => (plan.op === 'lookup' && i === 1 ? input : withExpiry(input, afterMicros))),
  );
}

/** Whether a row comes out as soon as it comes in, or never. */
const isPassing = (plan: Plan): boolean =>
  plan.op === 'scan' || ((plan.op === 'filter' || plan.op === 'project') && isPassing(plan.input));
