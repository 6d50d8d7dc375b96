import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Command } from 'commander';
import { ERRORS, type ErrorCode, StreamError } from '../lib/errors.ts';

/** The server's address is an option of every command that talks to it. */
export function withServer(command: Command): Command {
  return command.option(
    '--http <HOST:PORT>',
    'address of the server',
    process.env['STREAMLINE_HTTP_LISTEN'] ?? '127.0.0.1:9094',
  );
}

/** JSON over HTTP to a running server; its problems come back as the StreamErrors that they were. */
export class Client {
  readonly #base: string;

  constructor(address: string) {
    this.#base = `http://${address.replace(/^https?:\/\//, '').replace(/\/$/, '')}`;
  }

  async json<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body);
    const text = await readAll(response);
    if (response.statusCode === 204) return undefined as T;
    return JSON.parse(text) as T;
  }

  /** Server-sent events, one call each, until the server ends or `signal` aborts. */
  async events(path: string, signal: AbortSignal, onEvent: (event: string, data: string) => void): Promise<void> {
    const response = await this.#send('GET', path, undefined, signal);
    response.setEncoding('utf8');
    let pending = '';
    try {
      for await (const chunk of response) {
        pending += chunk;
        let end = pending.indexOf('\n\n');
        while (end >= 0) {
          deliver(pending.slice(0, end), onEvent);
          pending = pending.slice(end + 2);
          end = pending.indexOf('\n\n');
        }
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  #send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers =
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const sending = httpRequest(
        `${this.#base}${path}`,
        { method, headers, ...(signal ? { signal } : {}) },
        (response) => {
          if ((response.statusCode ?? 500) < 400) resolve(response);
          else void readAll(response).then((problem) => reject(errorOf(problem, response.statusCode)), reject);
        },
      );
      sending.on('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ECONNREFUSED'
            ? new StreamError('REQUEST_INVALID', `no server answers at ${this.#base}`, {
                hint: 'start one with `streamline start`, or give its address with --http',
              })
            : error,
        ),
      );
      sending.end(text);
    });
  }
}

function deliver(block: string, onEvent: (event: string, data: string) => void): void {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) event = line.slice(7);
    else if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  if (data.length > 0) onEvent(event, data.join('\n'));
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function errorOf(problem: string, status: number | undefined): StreamError {
  try {
    const { code, detail, position, hint } = JSON.parse(problem) as {
      code: string;
      detail: string;
      position?: { line: number; column: number };
      hint?: string;
    };
    if (code in ERRORS)
      return new StreamError(code as ErrorCode, detail, {
        ...(position ? { at: position } : {}),
        ...(hint ? { hint } : {}),
      });
  } catch {}
  return new StreamError('REQUEST_INVALID', `the server answered ${status}: ${problem.slice(0, 200)}`);
}
