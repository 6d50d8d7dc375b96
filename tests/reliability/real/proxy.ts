import { connect, createServer, type Server, type Socket } from 'node:net';
import { parseHostPort } from '../../../src/lib/config-table.ts';
import type { ClientStream, Dialer } from '../sim/client.ts';
import type { Times } from '../sim/world.ts';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** No byte goes on before then. */
  stillUntil: number;
  /** Bytes this way go nowhere. */
  swallows: 'up' | 'down' | undefined;
}

/** A TCP proxy on loopback that delays, splits and drops what goes through it, and that keeps its address when the server behind it changes. */
export class ChaosProxy implements Dialer {
  readonly world: Times;
  /** Most milliseconds that a chunk waits. */
  delayMs = 0;
  /** Probability that a chunk goes on in pieces. */
  splits = 0.1;
  /** Probability that a chunk ends its connection. */
  drops = 0;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #target: string | undefined;

  static async start(world: Times): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(world);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(world: Times) {
    this.world = world;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** HOST:PORT of the server, or nobody. */
  aim(target: string | undefined): void {
    this.#target = target;
  }

  connect(): Promise<ClientStream | undefined> {
    const { port } = this.#server.address() as { port: number };
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const stream: ClientStream = {
        onData: () => {},
        onClosed: () => {},
        write: (chunk) => socket.write(chunk),
        abandon: () => {
          stream.onData = () => {};
          stream.onClosed = () => {};
          socket.destroy();
        },
      };
      socket.on('data', (chunk) => stream.onData(chunk));
      socket.on('error', () => {});
      socket.on('close', () => {
        resolve(undefined);
        stream.onClosed();
      });
      socket.once('connect', () => resolve(stream));
    });
  }

  disturb(how: 'break' | 'stall' | 'swallow', probability: number): void {
    for (const pair of [...this.#pairs]) {
      if (!this.world.chance(probability)) continue;
      if (how === 'break') this.#break(pair);
      else if (how === 'stall') pair.stillUntil = this.world.now + this.world.between(100, 1500);
      else pair.swallows = this.world.pick(['up', 'down']);
    }
  }

  async close(): Promise<void> {
    for (const pair of [...this.#pairs]) this.#break(pair);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#target === undefined) {
      client.destroy();
      return;
    }
    const server = connect({ ...parseHostPort(this.#target), noDelay: true });
    client.setNoDelay(true);
    const pair: Pair = { client, server, stillUntil: 0, swallows: undefined };
    this.#pairs.add(pair);
    this.#carry(pair, client, server, 'up');
    this.#carry(pair, server, client, 'down');
  }

  #carry(pair: Pair, from: Socket, to: Socket, way: 'up' | 'down'): void {
    let last = Promise.resolve();
    from.on('error', () => {});
    from.on('close', () => this.#break(pair));
    from.on('data', (chunk: Buffer) => {
      last = last.then(async () => {
        for (let at = 0; at < chunk.length; ) {
          const size = this.world.chance(this.splits) ? this.world.between(1, chunk.length - at) : chunk.length - at;
          const wait = Math.max(
            pair.stillUntil - this.world.now,
            this.delayMs > 0 ? this.world.between(0, this.delayMs) : 0,
          );
          if (wait > 0) await this.world.sleep(wait);
          if (this.world.chance(this.drops)) this.#break(pair);
          if (to.destroyed || pair.swallows === way) return;
          to.write(chunk.subarray(at, at + size));
          at += size;
        }
      });
    });
  }

  #break(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    pair.client.destroy();
    pair.server.destroy();
  }
}
