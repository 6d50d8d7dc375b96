import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
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
