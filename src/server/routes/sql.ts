import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SqlResult } from '../../catalog/context.ts';
import { StreamError } from '../../lib/errors.ts';
import { object, type Route, text, whole } from '../route.ts';
import { allRowsJson, columnsJson, csv, ndjson } from '../rows.ts';

export const DEFAULT_TIMEOUT_MS = 30_000;
export const DEFAULT_MAX_ROWS = 100_000;

interface SqlBody {
  readonly sql: string;
  readonly params?: readonly unknown[];
  readonly timeoutMs?: number;
  readonly maxRows?: number;
}

type Form = 'json' | 'application/x-ndjson' | 'text/csv' | 'application/vnd.apache.arrow.stream';
const STREAMED = ['application/x-ndjson', 'text/csv', 'application/vnd.apache.arrow.stream'] as const;

export const sqlRoutes: readonly Route[] = [
  {
    method: 'POST',
    url: '/api/v1/sql',
    summary:
      'Runs one or more StreamQL statements. Rows of views and tables come with the `epoch` that they are of; a SELECT … AS OF that epoch reads views with `retain_history` as they were then.',
    body: object(
      {
        sql: text('Statements, separated by semicolons.'),
        params: { type: 'array', description: 'Values of $1, $2 …', items: {} },
        timeoutMs: whole(`Gives up after this long; default ${DEFAULT_TIMEOUT_MS}.`, 1, 3_600_000),
        maxRows: whole(`Refuses answers with more rows; default ${DEFAULT_MAX_ROWS}.`, 1, 100_000_000),
      },
      ['sql'],
    ),
    produces: STREAMED,
    handle: async ({ executor }, request, reply) => {
      const body = request.body as SqlBody;
      const results = await executor.execute(body.sql, {
        params: body.params ?? [],
        timeoutMs: body.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        maxRows: body.maxRows ?? DEFAULT_MAX_ROWS,
        signal: abortSignal(reply),
      });
      const form = wantedForm(request);
      return form === 'json' ? { results: results.map(resultJson) } : sendStreamed(reply, results, form);
    },
  },
];

/** Aborts when the client closes the connection before it was answered. The response is listened to: the socket serves many more, and would keep them all. */
function abortSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) controller.abort();
  });
  return controller.signal;
}

function wantedForm(request: FastifyRequest): Form {
  const accepted = request.headers.accept ?? '';
  return STREAMED.find((type) => accepted.includes(type)) ?? 'json';
}

export function resultJson(result: SqlResult): unknown {
  if (result.kind === 'ok') return result;
  return {
    kind: 'rows',
    columns: columnsJson(result.columns),
    rows: allRowsJson(result.columns, result.batches),
    ...(result.epoch === undefined ? {} : { epoch: result.epoch }),
    ...(result.warnings === undefined ? {} : { warnings: result.warnings }),
  };
}

async function sendStreamed(
  reply: FastifyReply,
  results: readonly SqlResult[],
  form: Exclude<Form, 'json'>,
): Promise<unknown> {
  const [result] = results;
  if (results.length !== 1 || result.kind !== 'rows') {
    throw new StreamError('REQUEST_INVALID', `${form} is for a single SELECT`, { hint: 'ask for application/json' });
  }
  reply.type(form === 'text/csv' ? 'text/csv; charset=utf-8' : form);
  if (form === 'application/vnd.apache.arrow.stream') {
    const { arrowStream } = await import('../arrow.ts');
    return reply.send(Buffer.from(arrowStream(result.columns, result.batches)));
  }
  const pieces = form === 'text/csv' ? csv(result.columns, result.batches) : ndjson(result.columns, result.batches);
  return reply.send(Readable.from(pieces, { objectMode: false }));
}
