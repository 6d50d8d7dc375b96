import { afterEach, describe, expect, test } from 'vitest';
import {
  actualLines,
  EXPECTED,
  expectedLines,
  QUERIES,
  queryText,
  records,
  SOURCES,
  TOPICS,
} from '../support/nexmark.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

const views = QUERIES.map((query) => `CREATE MATERIALIZED VIEW ${query} AS ${queryText(query)};`).join('\n');

/** The `part`-th of `parts` equal pieces of each topic. */
async function produce(server: ServerProcess, part: number, parts: number): Promise<void> {
  for (const topic of TOPICS) {
    const all = records(topic);
    const piece = all.slice(Math.floor((all.length * part) / parts), Math.floor((all.length * (part + 1)) / parts));
    await server.produce(topic, piece);
  }
}

async function expectAll(server: ServerProcess): Promise<void> {
  await server.sql('FLUSH');
  const known: readonly string[] = EXPECTED;
  for (const query of QUERIES) {
    // Of the others DuckDB is the judge, over the same log.
    const expected = known.includes(query) ? expectedLines(query) : actualLines(await server.rows(queryText(query)));
    expect([query, actualLines(await server.rows(`SELECT * FROM ${query}`))]).toEqual([query, expected]);
    expect(expected.length).toBeGreaterThan(0);
  }
}

describe('Nexmark: the expected rows, whenever the views are created', () => {
  const directory = temporaryDirectory();
  let server: ServerProcess | undefined;
  let run = 0;
  const start = async (env: Readonly<Record<string, string>> = {}) => {
    server = await ServerProcess.start(`${directory.path}/${run++}`, [], env);
    return server;
  };
  afterEach(async () => {
    await server?.stop();
  });

  test('before the data', async () => {
    const server = await start();
    await server.sql(SOURCES);
    await server.sql(views);
    await produce(server, 0, 1);
    await expectAll(server);
  });

  test('after the data', async () => {
    const server = await start();
    await server.sql(SOURCES);
    await produce(server, 0, 1);
    await server.sql(views);
    await expectAll(server);
  });

  test('in the middle of the data', async () => {
    const server = await start();
    await server.sql(SOURCES);
    await produce(server, 0, 2);
    await server.sql(views);
    await produce(server, 1, 2);
    await expectAll(server);
  });

  test('with a kill −9 in the middle', async () => {
    const first = await start();
    await first.sql(SOURCES);
    await first.sql(views);
    await produce(first, 0, 3);
    await first.sql('FLUSH');
    await produce(first, 1, 3);
    await first.kill();
    run--;
    const second = await start();
    await produce(second, 2, 3);
    await expectAll(second);
    expect(await second.stop()).toBe(0);
  });

  test('with two engine workers, a kill −9, and then three', async () => {
    const first = await start({ STREAMLINE_ENGINE_WORKERS: '2' });
    await first.sql(SOURCES);
    await first.sql(views);
    await produce(first, 0, 3);
    await first.sql('FLUSH');
    await produce(first, 1, 3);
    await first.kill();
    run--;
    const second = await start({ STREAMLINE_ENGINE_WORKERS: '3' });
    await produce(second, 2, 3);
    await expectAll(second);
    expect(await second.stop()).toBe(0);
    directory.remove();
  }, 180_000);
});
