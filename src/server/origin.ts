import type { IncomingHttpHeaders } from 'node:http';
import { StreamError } from '../lib/errors.ts';

/**
 * Browsers name the page that sends a request in `Origin` (Fetch standard, 3.2). There is no password, so a page of somewhere
 * else that the user looks at must not run statements here: it is let in only from this server's own address or from this
 * machine. Clients that are no browsers send no Origin. ORIGIN_REFUSED otherwise.
 */
export function checkOrigin(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  if (origin === undefined) return;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url !== undefined && (url.host === host?.toLowerCase() || LOOPBACK.test(url.hostname))) return;
  throw new StreamError('ORIGIN_REFUSED', `pages of ${origin} may not send requests here`, {
    hint: 'send them from a page of this machine, or from the server of that page',
  });
}

const LOOPBACK = /^((.+\.)?localhost|127(\.\d{1,3}){3}|\[::1\])$/i;
