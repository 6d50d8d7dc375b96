import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { HostPort } from '../../lib/config-table.ts';
import { cannotListen } from '../../lib/listen-error.ts';
import type { Services } from '../route.ts';
import type { RunningServer } from '../server.ts';
import { CancelRegistry } from './cancel.ts';
import { PgConnection } from './connection.ts';

const MAX_CONNECTIONS = 500;

/** The Postgres wire: psql and drivers run StreamQL through it. Start with connection.ts. */
export function startPgServer(services: Services, listen: HostPort): Promise<RunningServer> {
  const sockets = new Set<Socket>();
  const cancels = new CancelRegistry();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    new PgConnection(socket, services, cancels);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen('Postgres clients', 'pg-listen', listen, error)));
    server.listen(listen.port, listen.host, () => {
      const { address, port, family } = server.address() as AddressInfo;
      resolve({
        address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
        close: async () => {
          for (const socket of sockets) socket.destroy();
          await new Promise((done) => server.close(done));
        },
      });
    });
  });
}
