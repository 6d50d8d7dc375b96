import type { Handler } from '../context.ts';

/** With one broker nothing is ever on its way from one to another. */
export const listPartitionReassignments: Handler<'listPartitionReassignments'> = () => ({
  errorMessage: null,
  topics: [],
});
