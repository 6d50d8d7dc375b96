import type { Plan } from '../plan/plan.ts';
import { foldConstants } from './fold-constants.ts';
import { innerFromLeft } from './inner-from-left.ts';
import { mergeFilters } from './merge-filters.ts';
import { mergeProjects } from './merge-projects.ts';
import { pruneColumns } from './prune-columns.ts';
import { pushFilter } from './push-filter.ts';
import { splitResidual } from './split-residual.ts';

/** A plan that means the same, or undefined where the rule has nothing to say. */
export type Rule = (plan: Plan) => Plan | undefined;

export interface Stage {
  readonly name: string;
  /** topDown: at each node, from the root, until nothing changes; whole: once, at the root. */
  readonly order: 'topDown' | 'whole';
  readonly rules: readonly Rule[];
}

export const STAGES: readonly Stage[] = [
  {
    name: 'push filters down',
    order: 'topDown',
    rules: [foldConstants, mergeFilters, innerFromLeft, pushFilter, splitResidual],
  },
  { name: 'keep used columns', order: 'whole', rules: [pruneColumns] },
  { name: 'merge projections', order: 'topDown', rules: [mergeProjects, mergeFilters] },
  // Merging may leave columns that only a dropped expression used.
  { name: 'keep used columns again', order: 'whole', rules: [pruneColumns] },
  { name: 'drop what does nothing', order: 'topDown', rules: [mergeProjects] },
];
