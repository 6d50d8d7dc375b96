import { WireProducer } from '../../src/playground/wire-producer.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { quantiles } from './measure.ts';

const SECONDS = 10;
const TICK_MS = 10;
const POLL_MS = 2;

/**
 * From the broker's acknowledgement of a record to the view change that contains it, as a subscriber over HTTP sees it, and to the answer of the
 * first read of the view that contains it. One read follows the other after a pause of 2 ms.
 */
export const bench: Bench = async (report) => {
  for (const eventsPerSecond of [1000, 50_000]) {
    const directory = temporaryDirectory();
    const server = await ServerProcess.start(directory.path);
    await server.sql(`CREATE SOURCE e (seq BIGINT, k BIGINT) WITH (topic = 'e');
      CREATE MATERIALIZED VIEW newest AS SELECT max(seq) AS seq, count(*) AS n FROM e;
      CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, max(seq) AS seq FROM e GROUP BY k`);
    const seen: Mark[] = [];
    const abort = new AbortController();
    const read: Mark[] = [];
    const following = Promise.all([
      follow(server, abort.signal, (seq) => seen.push({ seq, atMs: performance.now() })),
      poll(server, abort.signal, (seq) => read.push({ seq, atMs: performance.now() })),
    ]);
    const acknowledged = await load(server, eventsPerSecond);
    await server.sql('FLUSH');
    await new Promise((resolve) => setTimeout(resolve, 300));
    abort.abort();
    await following;
    for (const [to, marks] of [
      ['seen by a subscriber', seen],
      ['answer of a read', read],
    ] as const) {
      report({
        bench: 'freshness',
        eventsPerSecond,
        from: 'acknowledged',
        to,
        ms: quantiles(delays(acknowledged, marks)),
      });
    }
    await server.stop();
    directory.remove();
  }
};

type Mark = { readonly seq: number; readonly atMs: number };

/** For each acknowledged batch the first later sight of its last record; a sight before the acknowledgement counts as 0. */
function delays(acknowledged: readonly Mark[], seen: readonly Mark[]): number[] {
  let at = 0;
  const out: number[] = [];
  for (const ack of acknowledged) {
    while (at < seen.length && seen[at].seq < ack.seq) at++;
    if (at === seen.length) break;
    out.push(Math.max(0, seen[at].atMs - ack.atMs));
  }
  return out;
}

async function poll(server: ServerProcess, signal: AbortSignal, onSeq: (seq: number) => void): Promise<void> {
  while (!signal.aborted) {
    const { json } = await server.request('GET', '/api/v1/views/newest/rows');
    const seq = json.rows[0]?.seq ?? null;
    if (seq !== null) onSeq(seq);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function load(server: ServerProcess, eventsPerSecond: number): Promise<Mark[]> {
  const producer = await WireProducer.connect(server.kafka);
  const perTick = Math.round((eventsPerSecond * TICK_MS) / 1000);
  const acknowledged: Mark[] = [];
  const sending: Promise<void>[] = [];
  const started = performance.now();
  let seq = 0;
  for (let tick = 0; tick < (SECONDS * 1000) / TICK_MS; tick++) {
    const wait = started + tick * TICK_MS - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const values = Array.from({ length: perTick }, () => Buffer.from(`{"seq":${++seq},"k":${seq % 1000}}`));
    const last = seq;
    sending.push(
      producer.produce('e', 0, values).then(() => void acknowledged.push({ seq: last, atMs: performance.now() })),
    );
  }
  await Promise.all(sending);
  producer.close();
  return acknowledged;
}

async function follow(server: ServerProcess, signal: AbortSignal, onSeq: (seq: number) => void): Promise<void> {
  try {
    const response = await fetch(
      `http://${server.http}/api/v1/subscribe?sql=${encodeURIComponent('SUBSCRIBE newest')}`,
      { signal },
    );
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const end = text.lastIndexOf('\n\n');
      if (end < 0) continue;
      for (const match of text.slice(0, end).matchAll(/^data: (\{"epoch".*)$/gm)) {
        const { rows, diffs } = JSON.parse(match[1]) as { rows: [number | null, number][]; diffs: number[] };
        rows.forEach(([seq], i) => {
          if (diffs[i] > 0 && seq !== null) onSeq(seq);
        });
      }
      text = text.slice(end + 2);
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
