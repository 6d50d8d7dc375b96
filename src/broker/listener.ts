import type { Clock } from '../lib/clock.ts';
import type { HostPort } from '../lib/config-table.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { ByteStream, Listening, Network } from './network.ts';

const POLL_MS = 10;

export interface ListenerOptions extends ConnectionOptions {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly counts: ConnectionCounts;
  /** Whether an address makes connections too quickly. */
  readonly refusesConnection: (ip: string) => boolean;
}

/** The connections of all listeners together. */
export class ConnectionCounts {
  readonly perIp = new Map<string, number>();
  total = 0;

  change(ip: string, by: 1 | -1): void {
    this.total += by;
    const left = (this.perIp.get(ip) ?? 0) + by;
    if (left === 0) this.perIp.delete(ip);
    else this.perIp.set(ip, left);
  }
}

/** Accepts Kafka clients on one address. */
export class Listener {
  readonly #connections = new Set<Connection>();
  readonly #options: ListenerOptions;
  #bytesIn = 0;
  #bytesOut = 0;
  #listening: Listening | undefined;

  /** `bound` is the address itself, whatever name was given for it. Rejects with the system's error when the address cannot be used. */
  static async open(
    network: Network,
    listen: HostPort,
    options: ListenerOptions,
  ): Promise<{ listener: Listener; bound: HostPort }> {
    const listener = new Listener(options);
    listener.#listening = await network.listen(
      listen,
      (stream) => listener.#accept(stream),
      (error) => options.log.error('listener.error', { reason: error.message }),
    );
    return { listener, bound: listener.#listening.bound };
  }

  private constructor(options: ListenerOptions) {
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
    const ip = stream.remoteAddress ?? '';
    const { maxConnections, maxConnectionsPerIp, counts, refusesConnection } = this.#options;
    if (refusesConnection(ip.replace(/^::ffff:/u, ''))) {
      this.#options.log.warn('connection.refused', { peer: ip, reason: 'the quota connection_creation_rate' });
      stream.destroy();
      return;
    }
    const fromThere = counts.perIp.get(ip) ?? 0;
    if (counts.total >= maxConnections || fromThere >= maxConnectionsPerIp) {
      const reason =
        fromThere >= maxConnectionsPerIp ? `${fromThere} are open from there` : `${maxConnections} are open`;
      this.#options.log.warn('connection.refused', { peer: ip, reason });
      stream.destroy();
      return;
    }
    counts.change(ip, 1);
    const connection = new Connection(stream, this.#options);
    this.#connections.add(connection);
    connection.onClosed(() => {
      this.#connections.delete(connection);
      counts.change(ip, -1);
      this.#bytesIn += connection.bytesIn;
      this.#bytesOut += connection.bytesOut;
    });
  }
}
