import { readFileSync } from 'node:fs';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { encodeBatch } from '../../src/protocol/records.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Bench } from './bench.ts';
import { median, usageOf } from './measure.ts';

const ROWS = Number(process.env['STREAMLINE_BENCH_ROWS'] ?? 2_000_000);
const RUNS = Number(process.env['STREAMLINE_BENCH_RUNS'] ?? 1);
/** Of the state in memory, what a view that spills may have there. */
const MEMORY_SHARE = Number(process.env['STREAMLINE_BENCH_SHARE'] ?? 0.2);
const CHOSEN = process.env['STREAMLINE_BENCH_SHAPES']?.split(',');
const PER_BATCH = 2000;
const TEXT = 'text '.repeat(50);

interface Shape {
  /** Before the view. */
  readonly sources: string;
  readonly topics: readonly string[];
  readonly query: string;
  value(id: number, round: number): string;
}

const columns = '(id BIGINT, a BIGINT, b BIGINT, c DOUBLE)';
const numbers = (id: number, round: number): string =>
  `{"id":${id},"a":${(id * 7 + round) % 1000003},"b":${round},"c":${id / 8}}`;

const SHAPES: Readonly<Record<string, Shape>> = {
  groups: {
    sources: `CREATE SOURCE s ${columns} WITH (topic = 's', format = 'json')`,
    topics: ['s'],
    query: 'SELECT id, count(*) AS n, sum(a) AS a, max(b) AS b, avg(c) AS c FROM s GROUP BY id',
    value: numbers,
  },
  rows: {
    sources: `CREATE TABLE s (id BIGINT PRIMARY KEY, a BIGINT, b BIGINT, c DOUBLE) WITH (topic = 's', format = 'json')`,
    topics: ['s'],
    query: 'SELECT id, a, b, c FROM s',
    value: numbers,
  },
  join: {
    sources: `CREATE SOURCE s ${columns} WITH (topic = 's', format = 'json'); CREATE SOURCE t ${columns} WITH (topic = 't', format = 'json')`,
    topics: ['s', 't'],
    query: 'SELECT s.id, s.a, t.b FROM s JOIN t ON s.id = t.id',
    value: numbers,
  },
  texts: {
    sources: `CREATE TABLE s (id BIGINT PRIMARY KEY, a BIGINT, text VARCHAR) WITH (topic = 's', format = 'json')`,
    topics: ['s'],
    query: 'SELECT id, a, text FROM s',
    value: (id, round) => `{"id":${id},"a":${round},"text":"${round} ${id} ${TEXT}"}`,
  },
};

const WORKS: Readonly<Record<string, (i: number) => number>> = {
  insert: (i) => i,
  'newest 5 %': (i) => ROWS - 1 - (scattered(i) % Math.ceil(ROWS / 20)),
  anywhere: (i) => scattered(i) % ROWS,
};

/** Numbers without an order, the same in each run. */
const scattered = (i: number): number => (Math.imul(i + 1, 0x9e3779b1) ^ (Math.imul(i + 7, 0x85ebca6b) >>> 7)) >>> 0;

/**
 * What state beyond memory costs: the same records into a view that keeps its state in memory and into one that may keep a part of it there. Rows per second
 * of the server's processor time, decoding and all.
 */
export const bench: Bench = async (report) => {
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (CHOSEN !== undefined && !CHOSEN.includes(name)) continue;
    const inMemory: Awaited<ReturnType<typeof run>>[] = [];
    const spilled: Awaited<ReturnType<typeof run>>[] = [];
    for (let i = 0; i < RUNS; i++) {
      inMemory.push(await run(shape, ''));
      const limit = Math.round(inMemory[0].stateBytes * MEMORY_SHARE);
      spilled.push(await run(shape, `WITH (max_state = '${limit}', on_exceed = 'spill')`));
    }
    for (const [where, runs] of Object.entries({ inMemory, spilled }))
      report({
        bench: 'state',
        shape: name,
        where,
        rows: ROWS,
        ...Object.fromEntries(
          Object.keys(WORKS).map((work) => [work, Math.round(median(runs.map((one) => one.rates[work])))]),
        ),
        stateBytes: runs[0].stateBytes,
        spilledBytes: runs[0].spilledBytes,
        rssMb: median(runs.map((one) => one.rssMb)),
        peakRssMb: median(runs.map((one) => one.peakRssMb)),
        verified: runs[0].verified,
      });
  }
};

async function run(shape: Shape, options: string) {
  const directory = temporaryDirectory();
  const server = await ServerProcess.start(directory.path);
  const producer = await WireProducer.connect(server.kafka);
  try {
    for (const name of shape.topics) await server.request('POST', '/api/v1/topics', { name, partitions: 1 });
    await server.sql(shape.sources);
    await server.sql(`CREATE MATERIALIZED VIEW v ${options} AS ${shape.query}`);
    const rates: Record<string, number> = {};
    const rss: number[] = [];
    let round = 0;
    for (const [work, idOf] of Object.entries(WORKS)) {
      round++;
      const count = work === 'insert' ? ROWS : ROWS / 4;
      const before = usageOf(server.pid).cpuSeconds;
      for (let from = 0; from < count; from += PER_BATCH) {
        for (const topic of shape.topics) {
          // Of a join the rows of one side change, which is appended to.
          if (round > 1 && topic !== shape.topics[0]) continue;
          const records = Array.from({ length: Math.min(PER_BATCH, count - from) }, (_, i) => {
            const id = idOf(from + i);
            return { key: Buffer.from(String(id)), value: Buffer.from(shape.value(id, round)) };
          });
          await producer.produceBatch(topic, 0, encodeBatch(records));
        }
        rss.push(rssMb(server.pid));
      }
      const { json } = await server.request('POST', '/api/v1/sql', { sql: 'FLUSH', timeoutMs: 600_000 });
      if (json.results === undefined) throw new Error(JSON.stringify(json));
      rates[work] = count / (usageOf(server.pid).cpuSeconds - before);
    }
    const { json: pipeline } = await server.request('GET', '/api/v1/pipelines/v');
    if (pipeline.state !== 'running') throw new Error(JSON.stringify(pipeline));
    const peakRssMb = usageOf(server.pid).peakRssMb;
    const { json } = await server.request('POST', '/api/v1/sql', { sql: 'VERIFY VIEW v', timeoutMs: 600_000 });
    return {
      rates,
      stateBytes: pipeline.stateBytes as number,
      spilledBytes: (pipeline.spilledBytes ?? 0) as number,
      rssMb: rss.at(-1) as number,
      peakRssMb,
      verified: json.results?.[0]?.rows?.[0] ?? json,
    };
  } finally {
    producer.close();
    await server.stop();
    directory.remove();
  }
}

function rssMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return Math.round(Number(kb) / 1024);
}
