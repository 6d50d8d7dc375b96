import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** The contract of DESIGN 2.2, 2.3 and 2.5 as a client over HTTP sees it. */
describe('HTTP', () => {
  const directory = temporaryDirectory();
  let server: ServerProcess;
  beforeAll(async () => {
    server = await ServerProcess.start(directory.path);
    await server.sql(`CREATE SOURCE orders (id BIGINT, amount DECIMAL(12,2), at TIMESTAMP) WITH (topic = 'orders', format = 'json');
      CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(amount) AS amount FROM orders;
      CREATE TABLE product (id BIGINT PRIMARY KEY, name VARCHAR);`);
  });
  afterAll(async () => {
    await server.stop();
    directory.remove();
  });

  test('a connection that is kept alive does not gather what its requests listened to', async () => {
    for (let i = 0; i < 15; i++) await server.sql('SELECT 1');
    expect(server.stderr.join('')).not.toContain('MaxListenersExceededWarning');
  });

  test('a typo answers 400 with position and hint', async () => {
    const { status, json } = await server.request('POST', '/api/v1/sql', { sql: 'SELECT 1;\nSELCT 2' });
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: 'SQL_SYNTAX', position: { line: 2, column: 1 } });
    expect(json.hint).toContain('SELECT');
    const unknown = await server.request('POST', '/api/v1/sql', { sql: 'SELECT ammount FROM orders' });
    expect(unknown.json).toMatchObject({ code: 'SQL_BIND', position: { line: 1, column: 8 } });
    expect(unknown.json.hint).toContain('amount');
  });

  test('a record that is not JSON is a dead letter with its offset, and the view goes on', async () => {
    await server.produce('orders', [
      { id: 1, amount: 10.5, at: '2026-01-01 00:00:00' },
      'not json',
      { id: 2, amount: 'x' },
      { id: 3, amount: 0.25 },
    ]);
    await server.sql('FLUSH');
    expect(await server.rows('SELECT n, amount FROM totals')).toEqual([[2, 10.75]]);
    const errors = await server.rows('SELECT "offset", code, value FROM orders$errors ORDER BY "offset"');
    expect(errors.map(([offset, code]) => [offset, code])).toEqual([
      [1, 'RECORD_MALFORMED'],
      [2, 'RECORD_MALFORMED'],
    ]);
    expect(errors[0][2]).toBe('not json');
  });

  test('a table takes INSERT, UPDATE and DELETE, and is read by key', async () => {
    await server.sql("INSERT INTO product VALUES (1, 'one'), (2, 'two'), (9007199254740993, 'big')");
    await server.sql("UPDATE product SET name = 'zwei' WHERE id = 2; DELETE FROM product WHERE id = 1; FLUSH");
    expect(await server.rows('SELECT id, name FROM product ORDER BY id')).toEqual([
      [2, 'zwei'],
      ['9007199254740993', 'big'],
    ]);
    expect(await server.rows('SELECT name FROM product WHERE id = 2')).toEqual([['zwei']]);
    const byKey = await server.request('GET', '/api/v1/views/product/rows?key=9007199254740993');
    expect(byKey.json.rows).toEqual([{ id: '9007199254740993', name: 'big' }]);
  });

  test('an answer says its epoch, and AS OF that epoch answers it again', async () => {
    await server.sql(`CREATE SOURCE visit (who VARCHAR) WITH (topic = 'visit');
      CREATE MATERIALIZED VIEW visits WITH (retain_history = '1h') AS SELECT who, count(*) AS n FROM visit GROUP BY who`);
    const ask = async (sql: string, params: unknown[] = []) => {
      const { json } = await server.request('POST', '/api/v1/sql', { sql, params });
      return json.results[0];
    };
    await server.sql("INSERT INTO visit VALUES ('ann'), ('bob'); FLUSH");
    const { epoch, rows } = await ask('SELECT * FROM visits ORDER BY who');
    await server.sql("INSERT INTO visit VALUES ('ann'); FLUSH");
    const later = await ask('SELECT * FROM visits ORDER BY who');
    expect(later.epoch).toBeGreaterThan(epoch);
    expect(later.rows).toEqual([
      ['ann', 2],
      ['bob', 1],
    ]);
    expect(await ask('SELECT * FROM visits ORDER BY who AS OF $1', [epoch])).toMatchObject({ epoch, rows });
    const early = await server.request('POST', '/api/v1/sql', { sql: "SELECT * FROM visits AS OF '2020-01-01'" });
    expect(early).toMatchObject({ status: 404, json: { code: 'NOT_FOUND' } });
    expect(early.json.detail).toMatch(/its history begins at 20.*, epoch \d+/);
  });

  test('values keep their exactness on the way out, parameters on the way in', async () => {
    const [row] = await server.rows(
      "SELECT 9007199254740993 AS big, 0.1000000000000000000001 AS d, TIMESTAMP '2026-01-02 03:04:05.678' AS t, NULL AS n, $1 + 1 AS p, $2 AS s",
      [41, "it's"],
    );
    expect(row).toEqual(['9007199254740993', '0.1000000000000000000001', '2026-01-02T03:04:05.678Z', null, 42, "it's"]);
  });

  test('other forms of a SELECT', async () => {
    const ask = (accept: string) =>
      server.request('POST', '/api/v1/sql', { sql: "SELECT 1 AS a, 'x,y' AS b, NULL AS c" }, { accept });
    expect((await ask('application/x-ndjson')).text).toBe('{"a":1,"b":"x,y","c":null}\n');
    expect((await ask('text/csv')).text).toBe('a,b,c\r\n1,"x,y",\r\n');
    const { tableFromIPC } = await import('apache-arrow');
    const response = await fetch(`http://${server.http}/api/v1/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/vnd.apache.arrow.stream' },
      body: JSON.stringify({
        sql: 'SELECT 9007199254740993 AS a, 1.5 AS b, true AS c UNION ALL SELECT NULL, NULL, NULL',
      }),
    });
    const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
    expect(table.numRows).toBe(2);
    expect([...(table.getChild('a') ?? [])].sort()).toEqual([9007199254740993n, null]);
  });

  test('subscribe sends the columns, a snapshot and then changes', async () => {
    await server.sql(
      "CREATE SOURCE s (k VARCHAR, v BIGINT) WITH (topic = 's'); CREATE MATERIALIZED VIEW per_k AS SELECT k, sum(v) AS v FROM s GROUP BY k",
    );
    await server.produce('s', [{ k: 'a', v: 1 }]);
    await server.sql('FLUSH');
    const abort = new AbortController();
    const url = `http://${server.http}/api/v1/subscribe?sql=${encodeURIComponent('SUBSCRIBE per_k')}`;
    expect((await fetch(url, { headers: { 'last-event-id': 'zzz' } })).status).toBe(400);
    const response = await fetch(url, { signal: abort.signal });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const seen = new Map<string, number>();
    let text = '';
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let produced = false;
    while (!(seen.get('["a",3]') === 1)) {
      const { value } = await reader.read();
      text += Buffer.from(value as Uint8Array).toString();
      for (const block of text.split('\n\n').slice(0, -1)) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined || !/^event: (snapshot|change)$/m.test(block)) continue;
        expect(block).toMatch(/^id: \d+$/m);
        const { rows, diffs } = JSON.parse(data);
        rows.forEach((row: unknown[], i: number) => {
          const id = JSON.stringify(row);
          seen.set(id, (seen.get(id) ?? 0) + diffs[i]);
        });
      }
      text = text.slice(text.lastIndexOf('\n\n') + 2);
      if (!produced) await server.produce('s', [{ k: 'a', v: 2 }]);
      produced = true;
    }
    expect(seen.get('["a",1]')).toBe(0);
    abort.abort();
  });

  test('subscribe with an envelope sends messages without diffs', async () => {
    await server.sql(
      'CREATE TABLE enveloped (id INT PRIMARY KEY, name VARCHAR); INSERT INTO enveloped VALUES (1, NULL); FLUSH',
    );
    const abort = new AbortController();
    const sql = 'SUBSCRIBE enveloped ENVELOPE UPSERT (KEY (id))';
    const url = `http://${server.http}/api/v1/subscribe?sql=${encodeURIComponent(sql)}`;
    const response = await fetch(url, { signal: abort.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('event: snapshot') || !text.endsWith('\n\n')) {
      text += Buffer.from((await reader.read()).value as Uint8Array).toString();
    }
    abort.abort();
    const [columns, snapshot] = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data));
    expect(columns.map(({ name }: { name: string }) => name)).toEqual(['state', 'id', 'name']);
    expect(snapshot).toEqual({ epoch: expect.any(Number), rows: [['upsert', 1, null]] });
  });

  test('a second process on the same data directory is refused', async () => {
    await expect(ServerProcess.start(directory.path)).rejects.toThrow('DATA_DIR_LOCKED');
  });

  test('every GET route without parameters answers, and openapi describes all', async () => {
    const { json } = await server.request('GET', '/openapi.json');
    for (const path of Object.keys(json.paths)) {
      if (path.includes('{') || json.paths[path].get === undefined || path === '/api/v1/subscribe') continue;
      expect([path, (await server.request('GET', path)).status]).toEqual([path, 200]);
    }
  });

  test("the server's own topics are shown when asked for, and only read", async () => {
    await server.sql('SHOW TOPICS');
    await server.produce('orders', [{ id: 9 }]);
    const names = async (query: string): Promise<string[]> =>
      (await server.request('GET', `/api/v1/topics${query}`)).json.topics.map(({ name }: { name: string }) => name);
    expect((await names('')).filter((name) => name.startsWith('__'))).toEqual([]);
    expect(await names('?internal=true')).toEqual(expect.arrayContaining(await names('')));
    expect((await server.rows('SHOW TOPICS')).flat().filter((name) => String(name).startsWith('__'))).toEqual([]);
    const created = await server.request('POST', '/api/v1/topics', { name: '__consumer_offsets' });
    expect([created.status, created.json.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  test('of several statements each keeps its own text', async () => {
    await server.sql(
      "CREATE SOURCE s_one (a INT) WITH (topic = 's1'); CREATE SOURCE s_two (b INT) WITH (topic = 's2')",
    );
    const [, two] = (await server.rows('DESCRIBE s_two')) as unknown[][];
    expect(two).toBeDefined();
    await server.sql(
      'CREATE MATERIALIZED VIEW v_one AS SELECT a FROM s_one; CREATE MATERIALIZED VIEW v_two AS SELECT b FROM s_two',
    );
    const { json } = await server.request('GET', '/api/v1/views/v_two');
    expect(json.sql).toBe('CREATE MATERIALIZED VIEW v_two AS SELECT b FROM s_two');
    await server.sql('DROP SOURCE s_one CASCADE; DROP SOURCE s_two CASCADE');
    expect((await server.request('GET', '/api/v1/views/v_two')).status).toBe(404);
  });

  test('failures are problems with their status', async () => {
    const cases: [string, string, unknown, number, string][] = [
      ['GET', '/api/v1/views/nope', undefined, 404, 'NOT_FOUND'],
      ['GET', '/nope', undefined, 404, 'NOT_FOUND'],
      ['POST', '/api/v1/sql', { sqll: 'x' }, 400, 'REQUEST_INVALID'],
      ['POST', '/api/v1/sql', { sql: 'CREATE TABLE product (id BIGINT PRIMARY KEY)' }, 409, 'ALREADY_EXISTS'],
      ['POST', '/api/v1/sql', { sql: 'DROP SOURCE orders' }, 409, 'IN_USE'],
      [
        'POST',
        '/api/v1/sql',
        { sql: "CREATE SOURCE z (a INT) WITH (topic = 'z', formt = 'json')" },
        400,
        'OPTION_INVALID',
      ],
      ['POST', '/api/v1/sql', { sql: 'SELECT 1 / 0' }, 400, 'VALUE_DIVISION_BY_ZERO'],
      ['POST', '/api/v1/sql', { sql: 'SELECT * FROM totals; garbage' }, 400, 'SQL_SYNTAX'],
      ['DELETE', '/api/v1/topics/orders', undefined, 409, 'IN_USE'],
    ];
    for (const [method, path, body, status, code] of cases) {
      const answer = await server.request(method, path, body);
      expect([path, body, answer.status, answer.json?.code]).toEqual([path, body, status, code]);
    }
  });
});
