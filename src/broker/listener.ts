import type { Clock } from '../lib/clock.ts';
import type { HostPort } from '../lib/config-table.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { ByteStream, Listening, Network } from './network.ts';

const POLL_MS = 10;

/** Accepts Kafka clients on one address. */
export class Listener {
  readonly #connections = new Set<Connection>();
  readonly #maxConnections: number;
  readonly #options: ConnectionOptions;
  #bytesIn = 0;
  #bytesOut = 0;
  #listening: Listening | undefined;

  /** `bound` is the address itself, whatever name was given for it. Rejects with the system's error when the address cannot be used. */
  static async open(
    network: Network,
    listen: HostPort,
    maxConnections: number,
    options: ConnectionOptions,
  ): Promise<{ listener: Listener; bound: HostPort }> {
    const listener = new Listener(maxConnections, options);
    listener.#listening = await network.listen(
      listen,
      (stream) => listener.#accept(stream),
      (error) => options.log.error('listener.error', { reason: error.message }),
    );
    return { listener, bound: listener.#listening.bound };
  }

  private constructor(maxConnections: number, options: ConnectionOptions) {
    this.#maxConnections = maxConnections;
    this.#options = options;
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
  async close(graceMs: number, clock: Clock): Promise<void> {
    const closed = this.#listening?.close();
    for (const connection of this.#connections) connection.drain();
    const until = clock.monotonicMs() + graceMs;
    while ([...this.#connections].some((connection) => connection.isBusy) && clock.monotonicMs() < until) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, POLL_MS));
    }
    for (const connection of [...this.#connections]) connection.close('the broker stops');
    await closed;
  }

  #accept(stream: ByteStream): void {
    if (this.#connections.size >= this.#maxConnections) {
      const reason = `${this.#maxConnections} are open`;
      this.#options.log.warn('connection.refused', { peer: stream.remoteAddress, reason });
      stream.destroy();
      return;
    }
    const connection = new Connection(stream, this.#options);
    this.#connections.add(connection);
    connection.onClosed(() => {
      this.#connections.delete(connection);
      this.#bytesIn += connection.bytesIn;
      this.#bytesOut += connection.bytesOut;
    });
  }
}
