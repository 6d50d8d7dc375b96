import { expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

interface Told {
  readonly id: string;
  readonly epoch: number;
  readonly rows: unknown[][];
  readonly diffs: number[];
}

/** Changes of a subscription as server-sent events, until `enough`; the connection is then cut. */
async function listen(
  server: ServerProcess,
  sql: string,
  lastId: string | null,
  enough: (told: Told[]) => boolean,
): Promise<Told[]> {
  const cut = new AbortController();
  const response = await fetch(`http://${server.http}/api/v1/subscribe?sql=${encodeURIComponent(sql)}`, {
    signal: cut.signal,
    headers: lastId === null ? {} : { 'last-event-id': lastId },
  });
  if (response.status !== 200 || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  const told: Told[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      if (!event.startsWith('event: change')) continue;
      const id = /^id: (.*)$/m.exec(event)?.[1] ?? '';
      told.push({ id, ...JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '') });
    }
    if (enough(told)) break;
  }
  cut.abort();
  return told;
}

const net = (told: readonly Told[]): unknown[][] => {
  const sums = new Map<string, number>();
  for (const { rows, diffs } of told) {
    rows.forEach((row, i) => {
      sums.set(JSON.stringify(row), (sums.get(JSON.stringify(row)) ?? 0) + diffs[i]);
    });
  }
  for (const [row, sum] of sums) if (sum !== 0 && sum !== 1) throw new Error(`${row} is there ${sum} times`);
  return [...sums].flatMap(([row, sum]) => (sum === 1 ? [JSON.parse(row)] : [])).sort((a, b) => a[0] - b[0]);
};

test('a subscriber that comes back with its last id gets every change once, though the server was killed', async () => {
  const directory = temporaryDirectory();
  const args = ['--checkpoint-interval-ms', '50'];
  let server = await ServerProcess.start(directory.path, args);
  await server.sql(`CREATE SOURCE e (k BIGINT, v BIGINT) WITH (topic = 'e');
    CREATE MATERIALIZED VIEW m AS SELECT k, count(*) AS n, sum(v) AS s FROM e GROUP BY k;
    CREATE SUBSCRIPTION changes FROM m`);
  const told: Told[] = [];
  let produced = 0;
  for (let round = 0; round < 4; round++) {
    for (let part = 0; part < 5; part++) {
      const records = Array.from({ length: 20 }, () => ({ k: produced % 5, v: produced++ }));
      await server.produce('e', records);
    }
    if (round % 2 === 1) {
      await server.kill();
      server = await ServerProcess.start(directory.path, args);
    }
    await server.sql('FLUSH');
    const expected = await server.rows('SELECT k, n, s FROM m ORDER BY k');
    const isThere = (more: readonly Told[]) => JSON.stringify(net([...told, ...more])) === JSON.stringify(expected);
    told.push(...(await listen(server, 'SUBSCRIBE changes', told.at(-1)?.id ?? null, isThere)));
    expect(net(told)).toEqual(expected);
  }
  const ids = told.map(({ id }) => Number(id.slice(1)));
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  expect(await server.stop()).toBe(0);
  directory.remove();
}, 60_000);
