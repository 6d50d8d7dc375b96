import type { SqlExecutor } from '../catalog/executor.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { NexmarkGenerator, type NexmarkKind } from './nexmark-generator.ts';
import type { WireProducer } from './wire-producer.ts';

/** Something to watch at once: the Nexmark stream, produced through the Kafka port, and three views over it. */
const STATEMENTS = `
CREATE SOURCE IF NOT EXISTS person (id BIGINT, name VARCHAR, email_address VARCHAR, credit_card VARCHAR, city VARCHAR, state VARCHAR,
  date_time TIMESTAMP, extra VARCHAR, WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'person', format = 'json');
CREATE SOURCE IF NOT EXISTS auction (id BIGINT, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP,
  expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'auction', format = 'json');
CREATE SOURCE IF NOT EXISTS bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'bid', format = 'json');
CREATE MATERIALIZED VIEW IF NOT EXISTS channel_stats AS
  SELECT channel, count(*) AS bids, max(price) AS highest, avg(price) AS average
  FROM bid WHERE channel IN ('Google', 'Facebook', 'Baidu', 'Apple') GROUP BY channel;
CREATE MATERIALIZED VIEW IF NOT EXISTS bids_per_10s AS
  SELECT window_start, window_end, count(*) AS bids, max(price) AS highest
  FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_start, window_end;
CREATE MATERIALIZED VIEW IF NOT EXISTS sales_by_state AS
  SELECT p.state, count(*) AS auctions, sum(a.reserve) AS reserve
  FROM auction a JOIN person p ON a.seller = p.id GROUP BY p.state;
`;

export const FIRST_QUERY = 'SELECT * FROM channel_stats ORDER BY bids DESC';

const SEED = 42;
const TICK_MS = 100;

export class Playground {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #producer: WireProducer;
  readonly #generator: NexmarkGenerator;
  readonly #rate: number;
  #index = 0;
  #timer: Timer | undefined;
  #closed = false;

  private constructor(clock: Clock, log: Log, producer: WireProducer, rate: number, firstIndex: number) {
    this.#clock = clock;
    this.#log = log;
    this.#producer = producer;
    this.#rate = rate;
    this.#index = firstIndex;
    const baseTimeMs = clock.nowMs() - Math.floor((firstIndex * 1000) / rate);
    this.#generator = new NexmarkGenerator({ seed: SEED, baseTimeMs, eventsPerSecond: rate });
  }

  static async start(parts: {
    executor: SqlExecutor;
    producer: WireProducer;
    clock: Clock;
    log: Log;
    eventsPerSecond: number;
  }): Promise<Playground> {
    await parts.executor.execute(STATEMENTS, { params: [], timeoutMs: 60_000, maxRows: 1 });
    // After a restart the stream goes on where the topics end, so that ids stay unique.
    const { log } = parts.executor.context;
    const produced = ['person', 'auction', 'bid'].reduce((sum, topic) => sum + log.bounds(topic, 0).highWatermark, 0);
    const playground = new Playground(parts.clock, parts.log, parts.producer, parts.eventsPerSecond, produced);
    playground.#schedule();
    return playground;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.setTimeout(() => void this.#tick(), TICK_MS);
  }

  /** One request in flight at a time: a slow broker slows the playground rather than filling memory. */
  async #tick(): Promise<void> {
    const count = Math.max(1, Math.round((this.#rate * TICK_MS) / 1000));
    const values: Record<NexmarkKind, Buffer[]> = { person: [], auction: [], bid: [] };
    for (let i = 0; i < count; i++) {
      const event = this.#generator.event(this.#index++);
      values[event.kind].push(Buffer.from(event.json));
    }
    try {
      for (const [topic, list] of Object.entries(values))
        if (list.length > 0) await this.#producer.produce(topic, 0, list);
    } catch (thrown) {
      if (!this.#closed) this.#log.warn('playground.produce_failed', { reason: String(thrown) });
    }
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#producer.close();
  }
}
