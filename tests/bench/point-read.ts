import { connect, type Socket } from 'node:net';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { ServerProcess } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { inFlight, quantiles } from './measure.ts';

const KEYS = 10_000;
const CONNECTIONS = 10;
const CLOSED_LOOP_READS = 30_000;
const PACED_PER_SECOND = 5_000;
const PACED_SECONDS = 6;
const TICK_MS = 2;
/** Events that flow into the view while it is read. */
const EVENTS_PER_SECOND = 20_000;
const EVENT_TICK_MS = 10;

/**
 * GET /views/:name/rows?key= over kept-alive connections: ten at a time as fast as they are answered, then at a fixed rate in a
 * burst every 2 ms, sent whether or not earlier ones are answered, so that a pause of the server shows in every read behind it; and the
 * same while events change the view.
 */
export const bench: Bench = async (report) => {
  const server = await ServerProcess.start(null);
  await server.sql(
    "CREATE SOURCE e (k BIGINT, v BIGINT) WITH (topic = 'e'); CREATE MATERIALIZED VIEW per_k AS SELECT k, sum(v) AS v FROM e GROUP BY k",
  );
  await server.produce(
    'e',
    Array.from({ length: KEYS }, (_, k) => ({ k, v: k })),
  );
  await server.sql('FLUSH');
  const readers = await Promise.all(Array.from({ length: CONNECTIONS }, () => Reader.connect(server.http)));
  report({ bench: 'point-read', load: 'closed loop', connections: CONNECTIONS, ...(await closedLoop(readers)) });
  report({ bench: 'point-read', load: 'paced', readsPerSecond: PACED_PER_SECOND, ms: await paced(readers) });
  const stop = new AbortController();
  const flowing = flow(server.kafka, stop.signal);
  const ms = await paced(readers);
  stop.abort();
  await flowing;
  const load = `paced, ${EVENTS_PER_SECOND} events a second into the view`;
  report({ bench: 'point-read', load, readsPerSecond: PACED_PER_SECOND, ms });
  for (const reader of readers) reader.close();
  await server.stop();
};

async function closedLoop(readers: readonly Reader[]): Promise<{ readsPerSecond: number; ms: object }> {
  const latenciesMs: number[] = [];
  const free = [...readers];
  let left = CLOSED_LOOP_READS;
  const started = performance.now();
  await inFlight(readers.length, async () => {
    const reader = free.pop() as Reader;
    const from = performance.now();
    await reader.read((left * 7919) % KEYS);
    free.push(reader);
    latenciesMs.push(performance.now() - from);
    return --left > 0;
  });
  const seconds = (performance.now() - started) / 1000;
  return { readsPerSecond: Math.round(CLOSED_LOOP_READS / seconds), ms: quantiles(latenciesMs) };
}

async function paced(readers: readonly Reader[]): Promise<object> {
  const latenciesMs: number[] = [];
  const reading: Promise<unknown>[] = [];
  const total = PACED_PER_SECOND * PACED_SECONDS;
  const started = performance.now();
  for (let sent = 0; sent < total; ) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    const due = Math.min(total, Math.floor(((performance.now() - started) * PACED_PER_SECOND) / 1000));
    for (; sent < due; sent++) {
      const sentMs = performance.now();
      const read = readers[sent % readers.length].read((sent * 7919) % KEYS);
      reading.push(read.then(() => latenciesMs.push(performance.now() - sentMs)));
    }
  }
  await Promise.all(reading);
  return quantiles(latenciesMs);
}

async function flow(kafka: string, signal: AbortSignal): Promise<void> {
  const producer = await WireProducer.connect(kafka);
  const perTick = (EVENTS_PER_SECOND * EVENT_TICK_MS) / 1000;
  const sending: Promise<unknown>[] = [];
  const started = performance.now();
  for (let tick = 0; !signal.aborted; tick++) {
    const wait = started + tick * EVENT_TICK_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const values = Array.from({ length: perTick }, (_, i) => Buffer.from(`{"k":${(tick * perTick + i) % KEYS},"v":1}`));
    sending.push(producer.produce('e', 0, values));
  }
  await Promise.all(sending);
  producer.close();
}

/** A kept-alive HTTP connection that costs the load's process little: requests are pipelined, answers counted by their length. */
class Reader {
  readonly #socket: Socket;
  readonly #waiting: (() => void)[] = [];
  #unread = '';

  static connect(address: string): Promise<Reader> {
    const [host, port] = address.split(':');
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), host, () => resolve(new Reader(socket)));
      socket.once('error', reject);
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
  }

  read(key: number): Promise<void> {
    this.#socket.write(`GET /api/v1/views/per_k/rows?key=${key} HTTP/1.1\r\nhost: bench\r\n\r\n`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#unread += text;
    for (;;) {
      const head = this.#unread.indexOf('\r\n\r\n');
      if (head < 0) return;
      const headers = this.#unread.slice(0, head);
      if (!headers.startsWith('HTTP/1.1 200')) throw new Error(headers);
      const end = head + 4 + Number(/^content-length: (\d+)$/im.exec(headers)?.[1]);
      if (this.#unread.length < end) return;
      this.#unread = this.#unread.slice(end);
      this.#waiting.shift()?.();
    }
  }
}
