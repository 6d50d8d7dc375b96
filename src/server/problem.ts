import type { FastifyReply } from 'fastify';
import { asStreamError, ERRORS, type StreamError } from '../lib/errors.ts';

/** RFC 9457. `type` names the line of the error reference. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly position?: { readonly line: number; readonly column: number };
  readonly hint?: string;
}

export function problemOf(error: StreamError): Problem {
  return {
    type: `about:streamline/errors#${error.code.toLowerCase()}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status: ERRORS[error.code].http,
    code: error.code,
    detail: error.message,
    ...(error.at ? { position: { line: error.at.line, column: error.at.column } } : {}),
    ...(error.hint ? { hint: error.hint } : {}),
  };
}

export function sendProblem(reply: FastifyReply, thrown: unknown): FastifyReply {
  const problem = problemOf(asStreamError(thrown));
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}
