/**
 * The Nexmark auction stream: 1 person, 3 auctions and 46 bids in every 50 events, with the skews of the original
 * generator (hot auctions, bidders and sellers), from a seed, so that the same seed and index always give the same event.
 * Proportions and distributions follow the public nexmark specification; texts are our own.
 */
export type NexmarkKind = 'person' | 'auction' | 'bid';

export interface NexmarkEvent {
  readonly kind: NexmarkKind;
  /** The record's value. */
  readonly json: string;
  readonly timestampMs: number;
}

export interface NexmarkOptions {
  readonly seed: number;
  /** Event time of event 0. */
  readonly baseTimeMs: number;
  /** Event time advances by 1000 / rate ms per event. */
  readonly eventsPerSecond: number;
}

const FIRST_ID = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
const EVENTS_PER_ROUND = 50;
const AUCTIONS_PER_ROUND = 3;
const IN_FLIGHT_AUCTIONS = 100;
const ACTIVE_PEOPLE = 1000;
/** How far ahead of the newest id a reference may point, so that some joins wait for their other side. */
const ID_LEAD = 10;

const FIRST_NAMES = ['peter', 'paul', 'luke', 'john', 'saul', 'vicky', 'kate', 'julie', 'sarah', 'deiter', 'walter'];
const LAST_NAMES = ['shultz', 'abrams', 'spencer', 'white', 'bartels', 'walton', 'smith', 'jones', 'noris'];
const CITIES = [
  'phoenix',
  'los angeles',
  'san francisco',
  'boise',
  'portland',
  'bend',
  'redmond',
  'seattle',
  'kent',
  'cheyenne',
];
const STATES = ['az', 'ca', 'ca', 'id', 'or', 'or', 'wa', 'wa', 'wa', 'wy'];
const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple'];
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export class NexmarkGenerator {
  readonly #options: NexmarkOptions;
  #state = 0;

  constructor(options: NexmarkOptions) {
    this.#options = options;
  }

  /** Event number `index`, counted from 0; any order of calls gives the same events. */
  event(index: number): NexmarkEvent {
    this.#reseed(index);
    const timestampMs = this.#options.baseTimeMs + Math.floor((index * 1000) / this.#options.eventsPerSecond);
    const round = Math.floor(index / EVENTS_PER_ROUND);
    const place = index % EVENTS_PER_ROUND;
    const lastPerson = round;
    const lastAuction = round * AUCTIONS_PER_ROUND + Math.min(place, AUCTIONS_PER_ROUND) - 1;
    if (place === 0) return { kind: 'person', json: this.#person(lastPerson, timestampMs), timestampMs };
    if (place <= AUCTIONS_PER_ROUND)
      return { kind: 'auction', json: this.#auction(lastAuction, lastPerson, timestampMs), timestampMs };
    return { kind: 'bid', json: this.#bid(lastAuction, lastPerson, timestampMs), timestampMs };
  }

  #person(number: number, timestampMs: number): string {
    const home = this.#below(CITIES.length);
    return JSON.stringify({
      id: FIRST_ID + number,
      name: `${this.#pick(FIRST_NAMES)} ${this.#pick(LAST_NAMES)}`,
      email_address: `${this.#letters(7)}@${this.#letters(5)}.com`,
      credit_card: Array.from({ length: 4 }, () => String(this.#below(10_000)).padStart(4, '0')).join(' '),
      city: CITIES[home],
      state: STATES[home],
      date_time: timeText(timestampMs),
      extra: this.#letters(100),
    });
  }

  #auction(number: number, lastPerson: number, timestampMs: number): string {
    const initialBid = this.#price();
    const hotSeller = this.#chance(0.75);
    const seller = hotSeller ? Math.floor(lastPerson / 100) * 100 : this.#recent(lastPerson, ACTIVE_PEOPLE);
    const horizonMs =
      (IN_FLIGHT_AUCTIONS * EVENTS_PER_ROUND * 1000) / AUCTIONS_PER_ROUND / this.#options.eventsPerSecond;
    return JSON.stringify({
      id: FIRST_ID + number,
      item_name: this.#letters(20),
      description: this.#letters(60),
      initial_bid: initialBid,
      reserve: initialBid + this.#price(),
      date_time: timeText(timestampMs),
      expires: timeText(timestampMs + 1 + this.#below(Math.max(1, Math.floor(2 * horizonMs)))),
      seller: FIRST_ID + seller,
      category: FIRST_CATEGORY + this.#below(CATEGORIES),
      extra: this.#letters(200),
    });
  }

  #bid(lastAuction: number, lastPerson: number, timestampMs: number): string {
    const auction = this.#chance(0.5)
      ? Math.floor(lastAuction / 100) * 100
      : this.#recent(lastAuction, IN_FLIGHT_AUCTIONS);
    const bidder = this.#chance(0.75)
      ? Math.floor(lastPerson / 100) * 100 + 1
      : this.#recent(lastPerson, ACTIVE_PEOPLE);
    const { channel, url } = this.#channel();
    return JSON.stringify({
      auction: FIRST_ID + auction,
      bidder: FIRST_ID + bidder,
      price: this.#price(),
      channel,
      url,
      date_time: timeText(timestampMs),
      extra: this.#letters(40),
    });
  }

  #channel(): { channel: string; url: string } {
    if (this.#chance(0.5)) {
      const hot = this.#below(HOT_CHANNELS.length);
      const folder = LETTERS[hot].repeat(5);
      return {
        channel: HOT_CHANNELS[hot],
        url: `https://www.nexmark.com/${folder}/${folder}/${folder}/item.htm?query=1`,
      };
    }
    const number = this.#below(10_000);
    const path = `${this.#letters(5)}/${this.#letters(5)}/${this.#letters(5)}`;
    const id = this.#chance(0.9) ? `&channel_id=${Math.abs(reverseBits(number))}` : '';
    return { channel: `channel-${number}`, url: `https://www.nexmark.com/${path}/item.htm?query=1${id}` };
  }

  /** 100 … 10^8, log-uniform. */
  #price(): number {
    return Math.round(10 ** (6 * this.#unit()) * 100);
  }

  /** One of the last `count` ids, or up to ID_LEAD ahead. */
  #recent(last: number, count: number): number {
    const first = Math.max(0, last - count);
    return first + this.#below(last - first + 1 + ID_LEAD);
  }

  #letters(length: number): string {
    let out = '';
    for (let i = 0; i < length; i++) out += LETTERS[this.#below(26)];
    return out;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)];
  }

  #chance(probability: number): boolean {
    return this.#unit() < probability;
  }

  #below(bound: number): number {
    return Math.floor(this.#unit() * bound);
  }

  #reseed(index: number): void {
    this.#state = (Math.imul(this.#options.seed | 0, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) | 0;
    this.#unit();
  }

  /** mulberry32: [0, 1). */
  #unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

const timeText = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replace('T', ' ');

function reverseBits(value: number): number {
  let out = 0;
  for (let bit = 0; bit < 32; bit++) out = (out << 1) | ((value >>> bit) & 1);
  return out;
}
