import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { generateFields } from '../../src/server/graphql/generated.ts';
import { batchOfRows } from '../../src/values/batch.ts';
import { INTEGER } from '../../src/values/types.ts';
import { ServerProcess } from '../support/process.ts';

describe('GraphQL', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await ServerProcess.start(null);
    await server.sql(`CREATE SOURCE sale (shop VARCHAR, amount BIGINT) WITH (topic = 'sale');
      CREATE MATERIALIZED VIEW per_shop AS SELECT shop, count(*) AS n, sum(amount) AS total FROM sale GROUP BY shop`);
    await server.produce('sale', [
      { shop: 'a', amount: 1 },
      { shop: 'b', amount: 20 },
      { shop: 'c', amount: 300 },
      { shop: 'c', amount: 4000 },
    ]);
    await server.sql('FLUSH');
  });
  afterAll(() => server.stop());

  const ask = async (query: string, variables: Record<string, unknown> = {}) =>
    (await server.request('POST', '/graphql', { query, variables })).json;

  test('where, orderBy, first, after and byKey', async () => {
    const ordered = await ask('{ per_shop(where: { total: { gt: 1 } }, orderBy: { total: DESC }) { shop n total } }');
    expect(ordered).toEqual({
      data: {
        per_shop: [
          { shop: 'c', n: 2, total: 4300 },
          { shop: 'b', n: 1, total: 20 },
        ],
      },
    });
    const first = await ask('{ per_shop(orderBy: [{ n: DESC }, { shop: DESC }], first: 2) { shop _cursor } }');
    expect(first.data.per_shop.map((row: any) => row.shop)).toEqual(['c', 'b']);
    const rest = await ask(
      'query ($after: String) { per_shop(orderBy: [{ n: DESC }, { shop: DESC }], after: $after) { shop } }',
      {
        after: first.data.per_shop[1]._cursor,
      },
    );
    expect(rest.data.per_shop).toEqual([{ shop: 'a' }]);
    expect((await ask('{ per_shop(byKey: { shop: "b" }) { total } }')).data.per_shop).toEqual([{ total: 20 }]);
    const logic = await ask(
      '{ per_shop(where: { or: [{ shop: { in: ["a"] } }, { not: { n: { lt: 2 } } }] }, orderBy: { shop: ASC }) { shop } }',
    );
    expect(logic.data.per_shop).toEqual([{ shop: 'a' }, { shop: 'c' }]);
  });

  test('the fixed part, and a schema that follows DDL', async () => {
    const made = await ask(
      'mutation ($sql: String!) { executeSql(sql: $sql, params: [2]) { kind tag columns rows } }',
      {
        sql: 'CREATE MATERIALIZED VIEW big AS SELECT shop FROM sale WHERE amount > 100; SELECT $1 + 1 AS three',
      },
    );
    expect(made.data.executeSql[0]).toMatchObject({ kind: 'ok', tag: 'CREATE MATERIALIZED VIEW' });
    expect(made.data.executeSql[1].rows).toEqual([[3]]);
    await server.sql('FLUSH');
    expect((await ask('{ big { shop } }')).data.big).toEqual([{ shop: 'c' }, { shop: 'c' }]);
    const fixed = await ask(
      '{ topics { name records } sources { name topic } views { name rows state } pipelines { name kind } sinks { name } }',
    );
    expect(fixed.data.views).toContainEqual({ name: 'per_shop', rows: 3, state: 'running' });
    expect(fixed.data.sources).toEqual([{ name: 'sale', topic: 'sale' }]);
    expect((await ask('mutation { createTopic(name: "t", partitions: 2) { name } }')).data.createTopic.name).toBe('t');
    expect(
      (await ask('mutation { produce(topic: "t", records: [{ value: { a: 1 } }]) { partition offset } }')).data.produce,
    ).toEqual([{ partition: 0, offset: 0 }]);
    await server.sql('DROP MATERIALIZED VIEW big');
    expect((await ask('{ big { shop } }')).errors[0].message).toContain('Cannot query field');
  });

  test('errors carry code, position and hint', async () => {
    const { errors } = await ask('mutation { executeSql(sql: "SELEC 1") { kind } }');
    expect(errors[0].extensions).toMatchObject({ code: 'SQL_SYNTAX', position: { line: 1, column: 1 } });
  });

  test('names of views and columns that run together leave the schema whole', async () => {
    await server.sql('CREATE TABLE v (id INT PRIMARY KEY, x_y INT); CREATE TABLE v_x (y INT PRIMARY KEY)');
    expect(await ask('{ v(where: { x_y: { gt: 1 } }) { id } v_x(where: { y: { lt: 1 } }) { y } }')).toEqual({
      data: { v: [], v_x: [] },
    });
    await server.sql('DROP TABLE v; DROP TABLE v_x');
  });

  test('JSON literals keep their numbers, and variables within them their values', async () => {
    await ask('mutation { createTopic(name: "kept") { name } }');
    await ask(
      'mutation ($v: JSON, $none: JSON) { produce(topic: "kept", records: [{ value: { f: 1.5, i: 2, v: [$v], none: $none, n: null } }]) { offset } }',
      { v: { deep: true } },
    );
    const { json } = await server.request('GET', '/api/v1/topics/kept/partitions/0/records?offset=0');
    expect(JSON.parse(json.records[0].value)).toEqual({ f: 1.5, i: 2, v: [{ deep: true }], n: null });
  });

  test('documents and variables beyond the bounds are refused', async () => {
    const code = async (query: string, variables = {}) => (await ask(query, variables)).errors[0].extensions.code;
    expect(await code(`${'{a'.repeat(5000)}${'}'.repeat(5000)}`)).toBe('SQL_LIMIT');
    expect(await code(`{ ${'topics { name } '.repeat(5000)} }`)).toBe('SQL_LIMIT');
    let where = {};
    for (let depth = 0; depth < 3000; depth++) where = { not: where };
    expect(await code('query ($w: per_shop_where) { per_shop(where: $w) { n } }', { w: where })).toBe('SQL_LIMIT');
    const client = createWsClient({ url: `ws://${server.http}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 });
    const deep = client.iterate({ query: `subscription ${'{a'.repeat(200)}${'}'.repeat(200)}` });
    await expect(deep.next()).rejects.toMatchObject([{ extensions: { code: 'SQL_LIMIT' } }]);
    await client.dispose();
  });

  test('a page of somewhere else is refused, one of this machine is not', async () => {
    const from = (origin: string) => server.request('POST', '/graphql', { query: '{ topics { name } }' }, { origin });
    expect(await from('http://evil.example')).toMatchObject({ status: 403, json: { code: 'ORIGIN_REFUSED' } });
    expect((await from('null')).status).toBe(403);
    expect((await from('http://localhost.evil.example')).status).toBe(403);
    expect((await from('http://localhost:3000')).status).toBe(200);
    expect((await from(`http://${server.http}`)).status).toBe(200);
    const preflight = await server.request('OPTIONS', '/graphql', undefined, {
      origin: 'http://evil.example',
      'access-control-request-method': 'POST',
    });
    expect(preflight.status).toBe(403);
    const socket = new WebSocket(`ws://${server.http}/graphql`, 'graphql-transport-ws', {
      origin: 'http://evil.example',
    });
    await expect(new Promise((done, fail) => socket.on('open', done).on('error', fail))).rejects.toThrow('403');
  });

  const SUBSCRIPTION = 'subscription { per_shopChanges { epoch snapshot changes { diff row { shop total } } } }';

  async function follow(events: AsyncIterable<any>, amount: number): Promise<void> {
    let first = true;
    for await (const { data } of events) {
      const { snapshot, changes } = data.per_shopChanges;
      if (first) {
        expect(snapshot).toBe(true);
        expect(changes).toHaveLength(3);
        first = false;
        await server.produce('sale', [{ shop: 'a', amount }]);
      } else {
        expect(snapshot).toBe(false);
        expect(changes.map((change: any) => [change.diff, change.row.shop]).sort()).toEqual([
          [-1, 'a'],
          [1, 'a'],
        ]);
        return;
      }
    }
  }

  test('changes over graphql-ws', async () => {
    const client = createWsClient({ url: `ws://${server.http}/graphql`, webSocketImpl: WebSocket });
    await follow(client.iterate({ query: SUBSCRIPTION }), 7);
    await client.dispose();
  });

  test('changes over server-sent events', async () => {
    const client = createSseClient({ url: `http://${server.http}/graphql` });
    await follow(client.iterate({ query: SUBSCRIPTION }), 70);
    client.dispose();
  });
});

describe('a GraphQL subscription', () => {
  const column = { name: 'n', type: INTEGER, nullable: true, hidden: false };
  const change = { epoch: 1, snapshot: false, batch: batchOfRows([INTEGER], [[1]]) };

  /** The subscription of a view `v (n)`, and the engine's side of it. */
  async function subscribed() {
    const side = { closed: 0, send: (_change: unknown): void => {} };
    const engine = {
      subscribe: async (_id: string, _options: unknown, onChange: (change: unknown) => void) => {
        side.send = onChange;
        return { close: () => side.closed++ };
      },
    };
    const view = { id: 'v', name: 'v', kind: 'view', columns: [column], key: null, query: 'SELECT 1' };
    const { subscribe } = generateFields(view as never).subscription;
    const services = { executor: { context: { engine } } };
    const events = await (subscribe as any)(null, { snapshot: true }, services);
    return { side, events: events[Symbol.asyncIterator]() as AsyncIterator<any> };
  }

  test('of a view at rest ends when the client leaves, without waiting for a change', async () => {
    const { side, events } = await subscribed();
    const pending = events.next();
    await events.return?.();
    expect(side.closed).toBe(1);
    expect((await pending).done).toBe(true);
  });

  test('whose client does not read holds a bounded number of changes', async () => {
    const { side, events } = await subscribed();
    side.send(change);
    expect((await events.next()).value.changes).toEqual([{ diff: 1, row: { n: 1 } }]);
    for (let i = 0; i < 1000; i++) side.send(change);
    expect(side.closed).toBe(0);
    side.send(change);
    expect(side.closed).toBeGreaterThan(0);
    await expect(events.next()).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect((await events.next()).done).toBe(true);
  });
});
