import type { Plan } from '../plan/plan.ts';
import { conjuncts, filterBy } from '../plan/walk.ts';

/** Filter over Filter is one Filter, the inner terms first. */
export function mergeFilters(plan: Plan): Plan | undefined {
  if (plan.op !== 'filter' || plan.input.op !== 'filter') return undefined;
  return filterBy(plan.input.input, [...conjuncts(plan.input.predicate), ...conjuncts(plan.predicate)]);
}
