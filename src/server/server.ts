import type { AddressInfo } from 'node:net';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { HostPort } from '../lib/config-table.ts';
import { StreamError } from '../lib/errors.ts';
import { cannotListen } from '../lib/listen-error.ts';
import { openApi } from './openapi.ts';
import { checkOrigin } from './origin.ts';
import { sendProblem } from './problem.ts';
import type { Route, Services } from './route.ts';
import { operationRoutes } from './routes/operations.ts';
import { pipelineRoutes } from './routes/pipelines.ts';
import { sqlRoutes } from './routes/sql.ts';
import { subscribeRoutes } from './routes/subscribe.ts';
import { topicRoutes } from './routes/topics.ts';
import { viewRoutes } from './routes/views.ts';

/**
 * HTTP: the routes of `routes/`, GraphQL under /graphql (graphql/graphql.ts), and /openapi.json made from the same table.
 * Every failure is a problem (problem.ts) with its own status, never a 200.
 */
export const ROUTES: readonly Route[] = [
  ...sqlRoutes,
  ...subscribeRoutes,
  ...viewRoutes,
  ...pipelineRoutes,
  ...topicRoutes,
  ...operationRoutes,
  {
    method: 'GET',
    url: '/openapi.json',
    summary: 'This description.',
    handle: async ({ status }) => openApi(ROUTES, status().version),
  },
];

const MAX_BODY_BYTES = 16 << 20;

export interface RunningServer {
  readonly address: string;
  close(): Promise<void>;
}

export async function startServer(services: Services, listen: HostPort): Promise<RunningServer> {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    ajv: { customOptions: { coerceTypes: true, removeAdditional: false } },
    forceCloseConnections: true,
  });
  app.addHook('onRequest', async (request) => checkOrigin(request.headers));
  app.setErrorHandler((error: FastifyError, _request, reply) => sendProblem(reply, asProblemSource(error)));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      new StreamError('NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]}`, {
        hint: 'GET /openapi.json lists the routes',
      }),
    ),
  );
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: route.url,
      schema: {
        ...(route.params ? { params: route.params } : {}),
        ...(route.query ? { querystring: route.query } : {}),
        ...(route.body ? { body: route.body } : {}),
      },
      handler: (request, reply) => route.handle(services, request, reply),
    });
  }
  await mountGraphql(app, services);
  await app.listen({ host: listen.host, port: listen.port }).catch(async (thrown: unknown) => {
    await app.close();
    throw cannotListen('HTTP', 'http-listen', listen, thrown);
  });
  const { address, port, family } = app.server.address() as AddressInfo;
  return { address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`, close: () => app.close() };
}

/** graphql-js and yoga take a while to load, so the first request does it. */
async function mountGraphql(app: FastifyInstance, services: Services): Promise<void> {
  const { graphqlPlugin } = await import('./graphql/graphql.ts');
  await app.register(graphqlPlugin, { services });
}

function asProblemSource(error: FastifyError): unknown {
  if (error.validation !== undefined)
    return new StreamError('REQUEST_INVALID', error.message, { hint: 'GET /openapi.json describes the request' });
  if (error.statusCode === 413) return new StreamError('TOO_LARGE', `the body is larger than ${MAX_BODY_BYTES} bytes`);
  if (error.statusCode !== undefined && error.statusCode < 500)
    return new StreamError('REQUEST_INVALID', error.message);
  return error;
}
