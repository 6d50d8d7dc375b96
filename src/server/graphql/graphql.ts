import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GraphQLSchema } from 'graphql';
import { checkOrigin } from '../origin.ts';
import type { Services } from '../route.ts';

/**
 * /graphql: queries and mutations over HTTP, subscriptions over server-sent events and graphql-ws. graphql-js and yoga are
 * loaded by the first request, which keeps start-up short. The schema is built anew when the catalogue has changed.
 */
export async function graphqlPlugin(app: FastifyInstance, { services }: { services: Services }): Promise<void> {
  let loading: ReturnType<typeof load> | undefined;
  const loaded = () => {
    loading ??= load(services);
    return loading;
  };
  app.route({
    url: '/graphql',
    method: ['GET', 'POST', 'OPTIONS'],
    handler: async (request, reply) => (await loaded()).handleHttp(request, reply),
  });
  app.server.on('upgrade', (request, socket, head) => {
    if (request.url?.split('?')[0] !== '/graphql') {
      socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
      return;
    }
    try {
      checkOrigin(request.headers);
    } catch {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    void loaded().then((ready) => ready.handleUpgrade(request, socket, head));
  });
  app.addHook('onClose', async () => {
    if (loading !== undefined) await (await loading).close();
  });
}

async function load(services: Services) {
  const [{ createYoga }, { buildSchema }, { toGraphqlError }, { checkLimits }, { WebSocketServer }, { useServer }] =
    await Promise.all([
      import('graphql-yoga'),
      import('./schema.ts'),
      import('./graphql-error.ts'),
      import('./limits.ts'),
      import('ws'),
      import('graphql-ws/use/ws'),
    ]);
  let built: { version: number; schema: GraphQLSchema } | undefined;
  const schema = (): GraphQLSchema => {
    const { version } = services.executor.context.catalog;
    if (built?.version !== version) built = { version, schema: buildSchema(services) };
    return built.schema;
  };
  const yoga = createYoga<{ request: FastifyRequest; reply: FastifyReply }, Services>({
    schema: async () => schema(),
    context: () => services,
    graphqlEndpoint: '/graphql',
    landingPage: false,
    maskedErrors: { maskError: toGraphqlError },
    logging: false,
    plugins: [{ onParams: ({ params }) => checkLimits(params.query, params.variables) }],
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1 << 20 });
  const closer = useServer(
    {
      schema,
      context: () => services as never,
      onSubscribe: (_context, _id, { query, variables }) => {
        try {
          checkLimits(query, variables);
          return undefined;
        } catch (thrown) {
          return [toGraphqlError(thrown)];
        }
      },
      onNext: (_context, _id, _payload, _args, result) => ({
        ...result,
        ...(result.errors ? { errors: result.errors.map((error) => toGraphqlError(error)) } : {}),
      }),
    },
    sockets,
  );
  return {
    async handleHttp(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const response = await yoga.handleNodeRequestAndResponse(request, reply, { request, reply });
      response.headers.forEach((value, name) => {
        reply.header(name, value);
      });
      return reply.status(response.status).send(response.body ?? '');
    },
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
    },
    async close(): Promise<void> {
      await closer.dispose();
      sockets.close();
    },
  };
}
