import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SqlExecutor } from '../catalog/executor.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** A JSON schema, as far as we use it: what fastify validates and /openapi.json shows. */
export type JsonSchema = { readonly [key: string]: unknown };

/** One route: fastify, /openapi.json and docs/reference/http.md follow from these rows. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** In fastify's form: `/api/v1/views/:name`. */
  readonly url: string;
  readonly summary: string;
  readonly params?: JsonSchema;
  readonly query?: JsonSchema;
  readonly body?: JsonSchema;
  /** Media types of a success besides application/json. */
  readonly produces?: readonly string[];
  handle(this: void, services: Services, request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

/** What handlers work with. */
export interface Services {
  readonly executor: SqlExecutor;
  readonly clock: Clock;
  readonly log: Log;
  readonly status: () => ServerStatus;
}

/** For health and metrics. */
export interface ServerStatus {
  readonly version: string;
  readonly startedAtMs: number;
  /** Undefined while everything works. */
  readonly notReadyReason: string | undefined;
  readonly kafka: {
    readonly connections: number;
    readonly requests: Readonly<Record<string, number>>;
    readonly bytesIn: number;
    readonly bytesOut: number;
  };
}

export const text = (doc: string, more: JsonSchema = {}): JsonSchema => ({ type: 'string', description: doc, ...more });
export const whole = (doc: string, minimum: number, maximum: number, more: JsonSchema = {}): JsonSchema => ({
  type: 'integer',
  description: doc,
  minimum,
  maximum,
  ...more,
});
export const object = (
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
