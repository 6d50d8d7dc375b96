import type { HostPort } from './config-table.ts';
import { StreamError } from './errors.ts';

/** Why nothing can listen there, and the flag that moves it. */
export function cannotListen(clients: string, flag: string, { host, port }: HostPort, thrown: unknown): StreamError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const taken = (thrown as { code?: unknown } | null)?.code === 'EADDRINUSE';
  return new StreamError('OPTION_INVALID', `cannot listen for ${clients} on ${host}:${port}: ${reason}`, {
    cause: thrown,
    hint: `${taken ? 'another process, maybe another Streamline, has the port; ' : ''}--${flag} HOST:PORT takes another, port 0 any free one`,
  });
}
