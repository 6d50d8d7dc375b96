import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PushQuery } from '../../catalog/push-query.ts';
import { asStreamError, StreamError } from '../../lib/errors.ts';
import type { ViewChange } from '../../ports/engine.ts';
import { weightAt } from '../../values/batch.ts';
import { problemOf } from '../problem.ts';
import { object, type Route, text } from '../route.ts';
import { columnsJson, rowJson } from '../rows.ts';

const KEEP_ALIVE_MS = 15_000;
/** A client that lets this much pile up in its socket is cut off; it can come back with its last id. */
const MAX_BUFFERED_BYTES = 8 << 20;

export const subscribeRoutes: readonly Route[] = [
  {
    method: 'GET',
    url: '/api/v1/subscribe',
    summary:
      'Server-sent events of a SUBSCRIBE or SELECT: event `columns`, then `snapshot` (all rows as of an epoch), then one `change` per epoch; ' +
      'data is {"epoch", "rows": [[…]], "diffs": [±n …]}; `id:` is the epoch, and a reconnect with Last-Event-ID gets a new snapshot; of a SUBSCRIPTION it is a cursor, and a reconnect goes on right after it. With PROGRESS = true an event `progress` with {"epoch"} says that all changes up to it have come; UP TO closes with an event `end`. Of ENVELOPE UPSERT and DEBEZIUM the rows are messages, whose first column `state` says what they are, and there are no diffs.',
    query: object(
      {
        sql: text('SUBSCRIBE v, SUBSCRIBE (SELECT …), or SELECT … [EMIT CHANGES].'),
        snapshot: text('false leaves the first snapshot out.', { enum: ['true', 'false'] }),
        params: text('A JSON array with the values of $1, $2 …'),
      },
      ['sql'],
    ),
    produces: ['text/event-stream'],
    handle: async ({ executor }, request, reply) => {
      const query = request.query as { sql: string; snapshot?: string; params?: string };
      return stream(request, reply, (onChange) =>
        executor.subscribe(
          query.sql,
          {
            snapshot: query.snapshot !== 'false',
            params: parseParams(query.params),
            ...cursorOf(request.headers['last-event-id']),
          },
          onChange,
        ),
      );
    },
  },
];

/** The id of a kept change, which is told from an epoch by its first letter; an epoch begins anew with a snapshot. REQUEST_INVALID for what is neither. */
function cursorOf(id: string | string[] | undefined): { cursor?: string } {
  if (id === undefined || id === '') return {};
  if (typeof id !== 'string' || !/^c?\d+$/.test(id))
    throw new StreamError('REQUEST_INVALID', `Last-Event-ID: "${id}" is no id that an event of this route had`, {
      hint: 'leave it out to begin anew',
    });
  return id.startsWith('c') ? { cursor: id.slice(1) } : {};
}

function parseParams(params: string | undefined): unknown[] {
  if (params === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(params);
    if (Array.isArray(parsed)) return parsed;
  } catch {}
  throw new StreamError('REQUEST_INVALID', 'params must be a JSON array');
}

type Subscribe = (
  onChange: (change: ViewChange) => void | Promise<void>,
) => ReturnType<import('../../catalog/executor.ts').SqlExecutor['subscribe']>;

async function stream(request: FastifyRequest, reply: FastifyReply, subscribe: Subscribe): Promise<void> {
  const early: ViewChange[] = [];
  let deliver = (change: ViewChange): void | Promise<void> => {
    early.push(change);
  };
  const subscription = await subscribe((change) => deliver(change));
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  const keepAlive = setInterval(() => raw.write(': keep-alive\n\n'), KEEP_ALIVE_MS);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    clearInterval(keepAlive);
    raw.end();
    void subscription.close().catch(() => undefined);
  };
  /** What waits until the client has taken something. */
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const go of waiting) go();
    waiting = [];
  };
  raw.on('drain', wake);
  raw.once('close', () => {
    close();
    wake();
  });
  raw.write(`event: columns\ndata: ${JSON.stringify(columnsJson(subscription.columns))}\n\n`);
  deliver = (change) => {
    if (!open) return undefined;
    if (change.error !== undefined) {
      raw.write(`event: error\ndata: ${JSON.stringify(change.error)}\n\n`);
      close();
    } else if (change.end) {
      raw.write(`event: end\ndata: ${JSON.stringify({ epoch: change.epoch })}\n\n`);
      close();
    } else if (raw.writableLength > MAX_BUFFERED_BYTES) {
      const slow = new StreamError('OVERLOADED', 'the client reads too slowly', {
        hint: 'reconnect; a new snapshot follows',
      });
      raw.write(`event: error\ndata: ${JSON.stringify(problemOf(asStreamError(slow)))}\n\n`);
      close();
    } else {
      raw.write(eventOf(subscription, change));
      // What is kept is read no faster than the client takes it.
      if (change.cursor !== undefined && raw.writableNeedDrain) {
        return new Promise((resolve) => {
          waiting.push(resolve);
        });
      }
    }
    return undefined;
  };
  for (const change of early) deliver(change);
  // It may have closed while the subscription was made, when nobody heard it.
  if (raw.destroyed || request.raw.socket.destroyed) close();
}

function eventOf({ columns, isMessages }: PushQuery, change: ViewChange): string {
  const { batch, epoch } = change;
  if (change.progress) return `event: progress\nid: ${epoch}\ndata: ${JSON.stringify({ epoch })}\n\n`;
  const rows: unknown[][] = [];
  const diffs: number[] = [];
  for (let i = 0; i < batch.length; i++) {
    rows.push(rowJson(columns, batch, i));
    diffs.push(weightAt(batch, i));
  }
  const data = isMessages ? { epoch, rows } : { epoch, rows, diffs };
  return `event: ${change.snapshot ? 'snapshot' : 'change'}\nid: ${change.cursor === undefined ? epoch : `c${change.cursor}`}\ndata: ${JSON.stringify(data)}\n\n`;
}
