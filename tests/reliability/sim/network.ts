import type { ByteStream, Listening, Network } from '../../../src/broker/network.ts';
import type { Timer } from '../../../src/lib/clock.ts';
import type { ClientStream, Dialer } from './client.ts';
import type { World } from './world.ts';

/** How bytes travel. Latencies in ms. */
export interface Weather {
  readonly latencyMs: readonly [least: number, most: number];
  /** Probability that a written chunk arrives in pieces. */
  readonly splits: number;
  /** Probability that a written chunk ends the connection instead of arriving. */
  readonly drops: number;
}

export const FAIR: Weather = { latencyMs: [0.1, 1], splits: 0.05, drops: 0 };

/** A simulated network with one server: streams of bytes that come late and in pieces, stop, or break. */
export class SimNetwork implements Network, Dialer {
  weather: Weather = FAIR;
  readonly world: World;
  readonly #links = new Set<Link>();
  #server: { onConnection: (stream: ByteStream) => void } | undefined;
  #port = 40_000;

  constructor(world: World) {
    this.world = world;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  async listen(_at: unknown, onConnection: (stream: ByteStream) => void): Promise<Listening> {
    const server = { onConnection };
    this.#server = server;
    return {
      bound: { host: '10.0.0.1', port: 9092 },
      close: async () => {
        if (this.#server === server) this.#server = undefined;
      },
    };
  }

  /** The server's machine stops: what was on its way to it or from it is lost, clients notice at once or never. */
  stop(): void {
    this.#server = undefined;
    for (const link of [...this.#links]) {
      link.server.silence();
      if (this.world.chance(0.8)) link.break();
      else link.swallow();
    }
  }

  /** Undefined when nobody listens or the connection is not made. */
  async connect(): Promise<ClientEnd | undefined> {
    await this.world.sleep(this.latency());
    const server = this.#server;
    if (server === undefined || this.world.chance(this.weather.drops)) return undefined;
    const link = new Link(this, this.#port++);
    this.#links.add(link);
    server.onConnection(link.server);
    return link.client;
  }

  latency(): number {
    const [least, most] = this.weather.latencyMs;
    return least + this.world.random() * (most - least);
  }

  /** Connections that now break, stand still for a while or swallow everything from one side: half open. */
  disturb(how: 'break' | 'stall' | 'swallow', probability: number): void {
    for (const link of [...this.#links]) {
      if (!this.world.chance(probability)) continue;
      if (how === 'break') link.break();
      else if (how === 'stall') link.stall(this.world.between(50, 2500));
      else link.swallow();
    }
  }

  /** @internal */
  gone(link: Link): void {
    this.#links.delete(link);
  }
}

/** One connection: two directions, each in order. */
class Link {
  readonly network: SimNetwork;
  readonly client: ClientEnd;
  readonly server: ServerEnd;
  readonly toServer: Direction;
  readonly toClient: Direction;
  #broken = false;

  constructor(network: SimNetwork, port: number) {
    this.network = network;
    this.server = new ServerEnd(this, port);
    this.client = new ClientEnd(this);
    this.toServer = new Direction(this, (chunk) => this.server.receive(chunk));
    this.toClient = new Direction(this, (chunk) => this.client.receive(chunk));
  }

  break(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.network.gone(this);
    this.toServer.end();
    this.toClient.end();
    const { world } = this.network;
    world.after(0, () => this.server.closed());
    world.after(0, () => this.client.closed());
  }

  /** Nothing arrives for so long; then it does, though the client may have given up meanwhile and tried again elsewhere. */
  stall(ms: number): void {
    this.toServer.notBefore(ms);
    if (this.network.world.chance(0.5)) this.toClient.notBefore(ms);
  }

  swallow(): void {
    const way = this.network.world.between(0, 2);
    if (way !== 1) this.toServer.end();
    if (way !== 0) this.toClient.end();
  }
}

/** Bytes one way. */
class Direction {
  pendingBytes = 0;
  onEmpty: () => void = () => {};
  readonly #link: Link;
  readonly #deliver: (chunk: Buffer) => void;
  #earliest = 0;
  #ended = false;

  constructor(link: Link, deliver: (chunk: Buffer) => void) {
    this.#link = link;
    this.#deliver = deliver;
  }

  send(chunk: Buffer): void {
    if (this.#ended || chunk.length === 0) return;
    const { world, weather } = this.#link.network;
    if (world.chance(weather.drops)) {
      this.#link.break();
      return;
    }
    if (!world.chance(weather.splits)) {
      this.#plan(chunk);
      return;
    }
    for (let at = 0; at < chunk.length; ) {
      const size = world.chance(0.5) ? world.between(1, 4) : world.between(1, chunk.length - at);
      this.#plan(chunk.subarray(at, at + size));
      at += size;
    }
  }

  notBefore(ms: number): void {
    this.#earliest = Math.max(this.#earliest, this.#link.network.world.now + ms);
  }

  /** What is under way does not arrive, nor what comes. */
  end(): void {
    this.#ended = true;
    this.pendingBytes = 0;
  }

  #plan(chunk: Buffer): void {
    const { world } = this.#link.network;
    this.#earliest = Math.max(this.#earliest, world.now + this.#link.network.latency());
    this.pendingBytes += chunk.length;
    world.at(this.#earliest, () => {
      if (this.#ended) return;
      this.pendingBytes -= chunk.length;
      this.#deliver(chunk);
      if (this.pendingBytes === 0) this.onEmpty();
    });
  }
}

/** What the broker holds: a socket as far as it can tell. */
class ServerEnd implements ByteStream {
  readonly remoteAddress = '10.0.0.2';
  readonly remotePort: number;
  readonly #link: Link;
  readonly #listeners: Record<string, ((value: never) => void)[]> = {};
  #corked: Buffer[] | undefined;
  #paused = false;
  #held: Buffer[] = [];
  #over = false;
  #lastMs = 0;
  #idle: Timer | undefined;

  constructor(link: Link, port: number) {
    this.#link = link;
    this.remotePort = port;
  }

  get writableLength(): number {
    return this.#over ? 0 : this.#link.toClient.pendingBytes;
  }

  on(event: string, listener: (value: never) => void): void {
    const listeners = this.#listeners[event] ?? [];
    listeners.push(listener);
    this.#listeners[event] = listeners;
    this.#link.toClient.onEmpty = () => this.#emit('drain');
  }

  setNoDelay(): void {}

  setTimeout(ms: number): void {
    const { world } = this.#link.network;
    this.#idle?.cancel();
    const look = (waitMs: number): void => {
      this.#idle = world.after(waitMs, () => {
        if (this.#over) return;
        const left = this.#lastMs + ms - world.now;
        if (left <= 0) this.#emit('timeout');
        look(left > 0 ? left : ms);
      });
    };
    look(ms);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#link.network.world.after(0, () => this.#give());
  }

  cork(): void {
    this.#corked ??= [];
  }

  uncork(): void {
    const chunks = this.#corked ?? [];
    this.#corked = undefined;
    if (chunks.length > 0) this.write(Buffer.concat(chunks));
  }

  write(chunk: Buffer): void {
    if (this.#over) return;
    this.#lastMs = this.#link.network.world.now;
    if (this.#corked) this.#corked.push(chunk);
    else this.#link.toClient.send(chunk);
  }

  destroy(): void {
    this.#link.break();
  }

  receive(chunk: Buffer): void {
    this.#lastMs = this.#link.network.world.now;
    this.#held.push(chunk);
    this.#give();
  }

  closed(): void {
    if (this.#over) return;
    this.#emit('close');
    this.silence();
  }

  /** The machine is off: the broker that holds this end hears nothing more. */
  silence(): void {
    this.#over = true;
    this.#idle?.cancel();
  }

  #give(): void {
    while (!this.#paused && !this.#over && this.#held.length > 0) this.#emit('data', this.#held.shift());
  }

  #emit(event: string, value?: unknown): void {
    if (this.#over) return;
    for (const listener of this.#listeners[event] ?? []) listener(value as never);
  }
}

/** What a simulated client holds. */
export class ClientEnd implements ClientStream {
  onData: (chunk: Buffer) => void = () => {};
  onClosed: () => void = () => {};
  readonly #link: Link;
  #over = false;

  constructor(link: Link) {
    this.#link = link;
  }

  write(chunk: Buffer): void {
    if (!this.#over) this.#link.toServer.send(chunk);
  }

  /** Forgets the connection. What was sent may still arrive: the server notices the end later, or never. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    const { world } = this.#link.network;
    this.#link.toClient.end();
    if (world.chance(0.7)) world.after(world.between(0, 3000), () => this.#link.break());
  }

  receive(chunk: Buffer): void {
    if (!this.#over) this.onData(chunk);
  }

  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.onClosed();
  }
}
