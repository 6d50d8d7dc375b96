import { createServer, type Server } from 'node:net';
import type { HostPort } from '../lib/config-table.ts';
import { Connection, type ConnectionOptions } from './connection.ts';

const POLL_MS = 10;

/** Accepts Kafka clients on one address. */
export class Listener {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #bytesIn = 0;
  #bytesOut = 0;

  /** `bound` is the address itself, whatever name was given for it. Rejects with the system's error when the address cannot be used. */
  static async open(
    listen: HostPort,
    maxConnections: number,
    options: ConnectionOptions,
  ): Promise<{ listener: Listener; bound: HostPort }> {
    const server = createServer({ highWaterMark: 256 << 10 });
    const listener = new Listener(server, maxConnections, options);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', (error) => options.log.error('listener.error', { reason: error.message }));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP listener has an address and a port');
    return { listener, bound: { host: address.address, port: address.port } };
  }

  private constructor(server: Server, maxConnections: number, options: ConnectionOptions) {
    this.#server = server;
    server.on('connection', (socket) => {
      if (this.#connections.size >= maxConnections) {
        options.log.warn('connection.refused', { peer: socket.remoteAddress, reason: `${maxConnections} are open` });
        socket.destroy();
        return;
      }
      const connection = new Connection(socket, options);
      this.#connections.add(connection);
      connection.onClosed(() => {
        this.#connections.delete(connection);
        this.#bytesIn += connection.bytesIn;
        this.#bytesOut += connection.bytesOut;
      });
    });
  }

  stats(): { connections: number; bytesIn: number; bytesOut: number } {
    let bytesIn = this.#bytesIn;
    let bytesOut = this.#bytesOut;
    for (const connection of this.#connections) {
      bytesIn += connection.bytesIn;
      bytesOut += connection.bytesOut;
    }
    return { connections: this.#connections.size, bytesIn, bytesOut };
  }

  /** Accepts and reads nothing more, lets running requests end for at most `graceMs`, then closes every connection. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.drain();
    const until = performance.now() + graceMs;
    while ([...this.#connections].some((connection) => connection.isBusy) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    for (const connection of [...this.#connections]) connection.close('the broker stops');
    await closed;
  }
}
