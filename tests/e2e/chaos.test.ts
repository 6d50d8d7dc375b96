import { describe, expect, test } from 'vitest';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { readIcebergColumn } from '../support/iceberg.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** kill −9 at random points under load; STREAMLINE_KILLS=50 is the long run. The seed is printed by a failing assertion. */
const KILLS = Number(process.env['STREAMLINE_KILLS'] ?? 8);
const SEED = Number(process.env['STREAMLINE_SEED'] ?? Date.now() % 100_000);
const GROUPS = 7;

function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 4294967296;
  };
}

describe(`kill −9 ${KILLS} times (seed ${SEED})`, () => {
  test(
    'acknowledged records are there once and in order, the view equals the batch answer, the lake has each row once',
    async () => {
      const directory = temporaryDirectory();
      const random = seededRandom(SEED);
      const acknowledged = new Map<number, number>();
      let next = 0;
      let server = await ServerProcess.start(directory.path);
      await server.sql(`CREATE SOURCE e (seq BIGINT, k BIGINT) WITH (topic = 'e');
        CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, sum(seq) AS s FROM e GROUP BY k;
        CREATE MATERIALIZED VIEW over_view AS SELECT max(n) AS most, sum(s) AS s FROM per_k;
        CREATE SINK lake AS SELECT seq, k FROM e INTO ICEBERG`);
      for (let kill = 0; kill < KILLS; kill++) {
        const load = produceUntilDead(server, () => next++, acknowledged, 1 + Math.floor(random() * 20));
        await new Promise((resolve) => setTimeout(resolve, 30 + random() * 900));
        await server.kill();
        await load;
        server = await ServerProcess.start(directory.path);
      }
      const last = produceUntilDead(server, () => next++, acknowledged, 10);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await server.sql('FLUSH');
      await server.stop();
      await last;
      server = await ServerProcess.start(directory.path);
      await server.sql('FLUSH');

      const log = await readLog(server);
      const offsets = new Map<number, number>();
      log.forEach(({ seq, offset }, i) => {
        expect(offset, 'offsets are dense').toBe(i);
        expect(offsets.has(seq), `seq ${seq} is there twice`).toBe(false);
        offsets.set(seq, offset);
      });
      for (const [seq, offset] of acknowledged) expect([seq, offsets.get(seq)]).toEqual([seq, offset]);
      expect(acknowledged.size).toBeGreaterThan(KILLS);

      const expected = new Map<number, { n: number; s: number }>();
      for (const { seq } of log) {
        const group = expected.get(seq % GROUPS) ?? { n: 0, s: 0 };
        expected.set(seq % GROUPS, { n: group.n + 1, s: group.s + seq });
      }
      const rows = [...expected].sort(([a], [b]) => a - b).map(([k, { n, s }]) => [k, n, s]);
      expect(await server.rows('SELECT k, n, s FROM per_k ORDER BY k')).toEqual(rows);
      const total = rows.reduce((sum, [, , s]) => sum + s, 0);
      expect(await server.rows('SELECT most, s FROM over_view')).toEqual([
        [Math.max(...rows.map(([, n]) => n)), total],
      ]);

      expect(await server.stop()).toBe(0);
      const lake = await readIcebergColumn(`${directory.path}/warehouse/default/lake`, 'seq');
      expect(lake.map(Number).sort((a, b) => a - b)).toEqual(log.map(({ seq }) => seq).sort((a, b) => a - b));
      directory.remove();
    },
    60_000 + KILLS * 10_000,
  );
});

async function produceUntilDead(
  server: ServerProcess,
  next: () => number,
  acknowledged: Map<number, number>,
  size: number,
): Promise<void> {
  let producer: WireProducer;
  try {
    producer = await WireProducer.connect(server.kafka);
  } catch {
    return;
  }
  const one = async (): Promise<boolean> => {
    const seqs = Array.from({ length: size }, next);
    try {
      const base = await producer.produce(
        'e',
        0,
        seqs.map((seq) => Buffer.from(JSON.stringify({ seq, k: seq % GROUPS }))),
      );
      seqs.forEach((seq, i) => {
        acknowledged.set(seq, base + i);
      });
      return true;
    } catch {
      return false;
    }
  };
  while ((await Promise.all([one(), one(), one()])).every(Boolean)) {}
  producer.close();
}

async function readLog(server: ServerProcess): Promise<{ seq: number; offset: number }[]> {
  const out: { seq: number; offset: number }[] = [];
  for (;;) {
    const { json } = await server.request(
      'GET',
      `/api/v1/topics/e/partitions/0/records?offset=${out.length}&limit=10000`,
    );
    if (json.records.length === 0) return out;
    for (const record of json.records) out.push({ seq: JSON.parse(record.value).seq, offset: record.offset });
  }
}
