import { GraphQLError } from 'graphql';
import { asStreamError, StreamError } from '../../lib/errors.ts';

/** Keeps GraphQL's own errors, and gives ours with code, position and hint in `extensions`. */
export function toGraphqlError(thrown: unknown): GraphQLError {
  const original = thrown instanceof GraphQLError ? thrown.originalError : undefined;
  if (thrown instanceof GraphQLError && !(original instanceof Error)) return thrown;
  const error = asStreamError(original instanceof StreamError ? original : (original ?? thrown));
  const located = thrown instanceof GraphQLError ? thrown : undefined;
  return new GraphQLError(error.message, {
    nodes: located?.nodes,
    path: located?.path,
    extensions: {
      code: error.code,
      ...(error.at ? { position: error.at } : {}),
      ...(error.hint ? { hint: error.hint } : {}),
    },
  });
}
