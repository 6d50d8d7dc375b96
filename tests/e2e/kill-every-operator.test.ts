import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/**
 * kill -9 at random moments while records come, over a view of every operator, with one and two workers in turn; then every view is compared with DuckDB over the
 * records that the log has. STREAMLINE_KILLS=100 is the long run. A failing assertion names the seed.
 */
const KILLS = Number(process.env['STREAMLINE_KILLS'] ?? 3);
const SEED = Number(process.env['STREAMLINE_SEED'] ?? Date.now() % 100_000);

/** The same text for both, or ours and DuckDB's. */
const VIEWS: Readonly<Record<string, string | readonly [ours: string, theirs: string]>> = {
  plain: 'SELECT seq, k, v, ts FROM e WHERE v % 3 <> 0',
  groups:
    'SELECT k, count(*) AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi, avg(v) AS a, count(DISTINCT v) AS d FROM e GROUP BY k',
  of_table: 'SELECT grp, count(*) AS n, min(w) AS lo, max(w) AS hi FROM t GROUP BY grp',
  above: [
    'SELECT n, count(*) AS c FROM of_table GROUP BY n',
    'SELECT n, count(*) AS c FROM (SELECT grp, count(*) AS n FROM t GROUP BY grp) GROUP BY n',
  ],
  joined: 'SELECT e.seq, t.w FROM e JOIN t ON e.k = t.k WHERE e.v < 20',
  left_joined: 'SELECT e.seq, t.w FROM e LEFT JOIN t ON e.v = t.w',
  right_joined: 'SELECT e.seq, t.k FROM e RIGHT JOIN t ON e.v = t.w AND e.k < t.k',
  full_joined: 'SELECT e.seq, t.k FROM e FULL JOIN t ON e.v = t.w AND e.k = t.k',
  crossed: 'SELECT t.k AS a, u.k AS b FROM t CROSS JOIN t u WHERE t.k < u.k AND t.w > u.w',
  semi: 'SELECT t.k, t.w FROM t WHERE EXISTS (SELECT 1 FROM e WHERE e.v = t.w AND e.k = 3)',
  anti: 'SELECT t.k, t.w FROM t WHERE t.w NOT IN (SELECT v FROM e WHERE k = 3)',
  scalar: 'SELECT t.k, (SELECT max(e.seq) FROM e WHERE e.v = t.w) AS m FROM t',
  in_time: [
    "SELECT a.seq, b.seq AS other FROM e a JOIN e b ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL '1 second' AND a.ts",
    'SELECT a.seq, b.seq AS other FROM e a JOIN e b ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL 1 SECOND AND a.ts',
  ],
  tumbled: [
    "SELECT window_start, k, count(*) AS n FROM TUMBLE(e, ts, INTERVAL '10 seconds') GROUP BY window_start, k",
    'SELECT time_bucket(INTERVAL 10 SECOND, ts), k, count(*) FROM e GROUP BY ALL',
  ],
  hopped: [
    "SELECT window_start, count(*) AS n FROM HOP(e, ts, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY window_start",
    'SELECT ws, count(*) FROM (SELECT time_bucket(INTERVAL 2 SECOND, ts) - i * INTERVAL 2 SECOND AS ws FROM e, range(0, 5) r(i)) GROUP BY ws',
  ],
  sessions: [
    "SELECT k, window_start, window_end, count(*) AS n FROM SESSION(e PARTITION BY k, ts, INTERVAL '1 second') GROUP BY k, window_start, window_end",
    `SELECT k, min(ts), max(ts) + INTERVAL 1 SECOND, count(*) FROM (SELECT k, ts, sum(fresh) OVER (PARTITION BY k ORDER BY ts, seq ROWS UNBOUNDED PRECEDING) AS n
      FROM (SELECT k, ts, seq, CASE WHEN ts - lag(ts) OVER (PARTITION BY k ORDER BY ts, seq) <= INTERVAL 1 SECOND THEN 0 ELSE 1 END AS fresh FROM e)) GROUP BY k, n`,
  ],
  over: 'SELECT k, sum(w) OVER (PARTITION BY grp ORDER BY k ROWS 3 PRECEDING) AS s, lag(w) OVER (PARTITION BY grp ORDER BY k) AS l FROM t',
  top: 'SELECT * FROM (SELECT seq, k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, seq) AS rn FROM e) q WHERE rn <= 3',
  first_of_table: 'SELECT k, w FROM t ORDER BY w DESC, k LIMIT 5',
  distinct_rows: 'SELECT DISTINCT k, v FROM e',
  one_each: 'SELECT DISTINCT ON (grp) grp, k, w FROM t ORDER BY grp, w DESC, k',
  difference: 'SELECT v FROM e WHERE k < 4 EXCEPT SELECT w FROM t',
  common: 'SELECT w FROM t INTERSECT ALL SELECT v FROM e',
  cubed: 'SELECT grp, w, count(*) AS n FROM t GROUP BY CUBE (grp, w)',
  reached:
    'WITH RECURSIVE r(k, p) AS (SELECT k, w % 40 FROM t UNION SELECT r.k, t.w % 40 FROM r JOIN t ON t.k = r.p) SELECT k, count(*) AS n FROM r GROUP BY k',
  // Pairs of neighbours that rise, without overlap.
  patterns: [
    'SELECT * FROM e MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts, seq MEASURES a.seq AS first, b.seq AS last AFTER MATCH SKIP TO NEXT ROW PATTERN (a b) DEFINE a AS v < 30, b AS v >= 30)',
    'SELECT k, p, seq FROM (SELECT k, seq, v, lag(seq) OVER w AS p, lag(v) OVER w AS u FROM e WINDOW w AS (PARTITION BY k ORDER BY ts, seq)) WHERE u < 30 AND v >= 30',
  ],
};

test(
  `views of every operator are what a batch would answer, after ${KILLS} times kill -9 (seed ${SEED})`,
  async () => {
    const directory = temporaryDirectory();
    let state = SEED | 0;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return Math.floor(((state >>> 0) / 4294967296) * limit);
    };
    let lives = 0;
    const start = (): Promise<ServerProcess> =>
      ServerProcess.start(directory.path, [
        '--checkpoint-interval-ms',
        '100',
        '--engine-workers',
        String(1 + (lives++ % 2)),
      ]);
    let server = await start();
    await server.sql(`CREATE SOURCE e (seq BIGINT, k BIGINT, v BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') WITH (topic = 'e', partitions = 2);
    CREATE TABLE t (k BIGINT PRIMARY KEY, grp VARCHAR, w BIGINT) WITH (topic = 't');`);
    for (const [name, sql] of Object.entries(VIEWS))
      await server.sql(`CREATE MATERIALIZED VIEW ${name} AS ${typeof sql === 'string' ? sql : sql[0]}`);

    let seq = 0;
    const write = async (): Promise<void> => {
      const event = () => ({
        seq: seq++,
        k: below(8),
        v: below(60),
        ts: new Date(1_767_225_600_000 + seq * 40 + below(3000)).toISOString(),
      });
      const records = Array.from({ length: 1 + below(20) }, () => ({ value: event(), partition: below(2) }));
      const { status, text } = await server.request('POST', '/api/v1/topics/e/records', { records });
      if (status !== 200) throw new Error(text);
      const key = below(40);
      await server.sql(
        below(5) === 0
          ? `DELETE FROM t WHERE k = ${key}`
          : `INSERT INTO t VALUES (${key}, 'g${below(6)}', ${below(60)})`,
      );
    };
    for (let kill = 0; kill <= KILLS; kill++) {
      const from = seq;
      const until = Date.now() + 50 + below(900);
      const load = (async () => {
        while (Date.now() < until + 5000) await write();
      })().catch(() => undefined);
      while (Date.now() < until || seq < from + 60) await new Promise((resolve) => setTimeout(resolve, 10));
      await server.kill();
      await load;
      server = await start();
    }
    await server.sql('FLUSH');

    const db = await (await DuckDBInstance.create(':memory:')).connect();
    const records = async (
      topic: string,
      partition: number,
    ): Promise<{ key: string | null; value: string | null }[]> => {
      const all = [];
      for (let offset = 0; ; ) {
        const path = `/api/v1/topics/${topic}/partitions/${partition}/records?offset=${offset}&limit=10000`;
        const page = (await server.request('GET', path)).json.records;
        if (page.length === 0) return all;
        all.push(...page);
        offset = page.at(-1).offset + 1;
      }
    };
    const fill = async (name: string, columns: string, rows: readonly (string | null)[]): Promise<void> => {
      const file = join(directory.path, `${name}.json`);
      writeFileSync(file, rows.join('\n'));
      await db.run(
        `CREATE TABLE ${name} AS SELECT * FROM read_json('${file}', format = 'newline_delimited', columns = {${columns}})`,
      );
    };
    const events = [...(await records('e', 0)), ...(await records('e', 1))].map(({ value }) => value);
    expect(new Set(events.map((value) => JSON.parse(value as string).seq)).size).toBe(events.length);
    expect(events.length).toBeGreaterThan(60 * KILLS);
    await fill('e', "seq: 'BIGINT', k: 'BIGINT', v: 'BIGINT', ts: 'TIMESTAMP'", events);
    const newest = new Map((await records('t', 0)).map(({ key, value }) => [key, value]));
    await fill(
      't',
      "k: 'BIGINT', grp: 'VARCHAR', w: 'BIGINT'",
      [...newest.values()].filter((value) => value !== null),
    );

    for (const [name, sql] of Object.entries(VIEWS)) {
      const theirs = (await db.runAndReadAll(typeof sql === 'string' ? sql : sql[1])).getRowsJson();
      expect((await server.rows(`SELECT * FROM ${name}`)).map(text).sort(), name).toEqual(theirs.map(text).sort());
      expect(theirs.length, name).toBeGreaterThan(0);
      expect((await server.rows(`VERIFY VIEW ${name}`))[0][0], name).toBe('equal');
    }
    expect(await server.stop()).toBe(0);
    directory.remove();
  },
  120_000 + KILLS * 15_000,
);

/** Numbers and moments as both write them. */
function text(row: readonly unknown[]): string {
  const one = (value: unknown): string => {
    if (typeof value === 'string' && /^\d{4}-/.test(value))
      return new Date(value.endsWith('Z') ? value : `${value.replace(' ', 'T')}Z`).toISOString();
    const number = value === null || value === '' ? Number.NaN : Number(value);
    return Number.isFinite(number) ? String(Number(number.toFixed(6))) : String(value);
  };
  return row.map(one).join('|');
}
