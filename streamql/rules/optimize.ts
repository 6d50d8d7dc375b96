import type { Plan } from '../plan/plan.ts';
import { inputsOf, withInputs } from '../plan/walk.ts';
import { type Rule, STAGES } from './stages.ts';

/** A pass that still finds something after this many rounds is stopped: the plan is right at every step. */
const MAX_ROUNDS = 20;

/**
 * Rewrites a bound plan into one that means the same and costs less: stages.ts lists what is done, each rule is a file. Output
 * columns, their order and types stay. Scans that are shared by two branches may come out as two.
 */
export function optimize(plan: Plan): Plan {
  let best = plan;
  for (const { order, rules } of STAGES) {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const before = best;
      best = order === 'whole' ? applyAll(best, rules) : topDown(best, rules);
      if (best === before || order === 'whole') break;
    }
  }
  return best;
}

function applyAll(plan: Plan, rules: readonly Rule[]): Plan {
  let node = plan;
  for (const rule of rules) node = rule(node) ?? node;
  return node;
}

function topDown(plan: Plan, rules: readonly Rule[]): Plan {
  const node = applyAll(plan, rules);
  return withInputs(
    node,
    inputsOf(node).map((input) => topDown(input, rules)),
  );
}
