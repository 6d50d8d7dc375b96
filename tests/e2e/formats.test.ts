import avro from 'avsc';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** Sources and tables in every format, from a client's records to rows, dead letters and back after kill −9. */

const directory = temporaryDirectory();
let server: ServerProcess;
let producer: Producer;

async function connect(): Promise<void> {
  producer = new Kafka({ clientId: 'tests', brokers: [server.kafka], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
}

beforeAll(async () => {
  server = await ServerProcess.start(directory.path);
  await connect();
});
afterAll(async () => {
  await producer.disconnect();
  await server.stop();
  directory.remove();
});

type Bytes = string | Buffer | null;
const send = async (topic: string, ...records: (readonly [key: Bytes, value: Bytes])[]): Promise<void> => {
  await producer.send({ topic, messages: records.map(([key, value]) => ({ key, value })) });
};
const problem = async (sql: string) => {
  const { status, json } = await server.request('POST', '/api/v1/sql', { sql });
  return status === 200 ? null : `${json.code}: ${json.detail}`;
};

test('csv: rows, dead letters with their cause, a table with csv keys', async () => {
  await server.sql(`CREATE SOURCE sales (id BIGINT, place VARCHAR, amount DECIMAL(10,2)) WITH (format = 'csv', delimiter = ';');
    CREATE MATERIALIZED VIEW by_place AS SELECT place, sum(amount) AS amount FROM sales GROUP BY place;
    CREATE TABLE stock (place VARCHAR, item VARCHAR, n INTEGER, PRIMARY KEY (place, item)) WITH (format = 'csv', key_format = 'csv')`);
  await send('sales', [null, '1;"a;b";1.5'], [null, '2;;3'], [null, '3;c'], [null, '4;"a;b";2']);
  await send('stock', ['x,1', 'x,1,5'], ['x,2', 'x,2,6'], ['x,1', null], ['y', null], ['x,2', 'x,3,7']);
  await server.sql('FLUSH');
  expect(await server.rows('SELECT place, amount FROM by_place ORDER BY amount')).toEqual([
    [null, 3],
    ['a;b', 3.5],
  ]);
  expect(await server.rows('SELECT "offset", reason FROM sales$errors')).toEqual([
    [2, 'there are 2 fields for 3 columns'],
  ]);
  expect(await server.rows('SELECT id FROM sales ORDER BY id')).toEqual([[1], [2], [4]]);
  expect(await server.rows('SELECT * FROM stock')).toEqual([['x', '2', 6]]);
  expect(await server.rows('SELECT reason FROM stock$errors ORDER BY "offset"')).toEqual([
    ['the record key is no (place, item): there are 1 fields for 2 columns'],
    ['item differs between key and value'],
  ]);
});

test('raw: bytes without declared columns, a table of texts by key', async () => {
  await server.request('POST', '/api/v1/topics', { name: 'blobs', partitions: 1 });
  await server.sql(`CREATE SOURCE blobs WITH (format = 'raw');
    CREATE TABLE kv (k VARCHAR PRIMARY KEY, v VARCHAR) WITH (format = 'raw', key_format = 'raw')`);
  await send('blobs', [null, Buffer.from([1, 255])]);
  await send('kv', ['7', 'seven'], ['"q"', 'quoted'], ['8', 'eight'], ['8', null]);
  await server.sql('FLUSH');
  expect(await server.rows("SELECT encode(data, 'hex') FROM blobs")).toEqual([['01ff']]);
  expect(await server.rows('SELECT k, v FROM kv ORDER BY v')).toEqual([
    ['"q"', 'quoted'],
    ['7', 'seven'],
  ]);
});

test("avro: columns from the schema, a key in avro, Confluent's header", async () => {
  const schema = JSON.stringify({
    type: 'record',
    name: 'Trip',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'fare', type: ['null', { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }] },
      { name: 'stops', type: { type: 'array', items: 'string' } },
    ],
  });
  const type = avro.Type.forSchema(JSON.parse(schema), { wrapUnions: false });
  const trip = (id: number, fare: string | null) =>
    type.toBuffer({ id, at: 1.5e12, fare: fare === null ? null : Buffer.from(fare, 'hex'), stops: ['a', `b${id}`] });
  const framed = (value: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, 9]), value]);
  await server.request('POST', '/api/v1/topics', { name: 'trips', partitions: 1 });
  await server.sql(`CREATE SOURCE trips WITH (format = 'avro', schema = '${schema}');
    CREATE MATERIALIZED VIEW fares AS SELECT count(*) AS n, sum(fare) AS fare, max(stops[2]) AS stop, max(at) AS at FROM trips;
    CREATE TABLE trip (id BIGINT PRIMARY KEY, fare DECIMAL(9,2)) WITH (format = 'avro', schema = '${schema}', header = 'confluent', key_format = 'avro', key_schema = '"long"')`);
  await send('trips', [null, trip(1, '0096')], [null, framed(trip(2, null))], [null, trip(3, null)]);
  const key = (id: number) => avro.Type.forSchema('long').toBuffer(id);
  await send('trip', [key(1), framed(trip(1, '64'))], [key(2), framed(trip(2, '65'))], [key(1), null]);
  await server.sql('FLUSH');
  expect(await server.rows('SELECT * FROM fares')).toEqual([[2, 1.5, 'b3', '2017-07-14T02:40:00Z']]);
  expect(await server.rows('SELECT "offset", code FROM trips$errors')).toEqual([[1, 'RECORD_MALFORMED']]);
  expect(await server.rows('SELECT id, fare FROM trip')).toEqual([[2, 1.01]]);
  expect(await problem(`CREATE SOURCE bad (nope INT) WITH (format = 'avro', schema = '${schema}')`)).toMatch(
    /SQL_BIND/,
  );
});

test('protobuf: columns from a message, one that grew, keys in protobuf', async () => {
  const old = 'message Ping { int64 id = 1; string host = 2; }';
  const grown = `message Ping { int64 id = 1; string host = 2; optional double ms = 3; repeated string tags = 4; } message Key { int64 id = 1; }`;
  const typeOf = (text: string, name: string) => protobuf.parse(`syntax = "proto3"; ${text}`).root.lookupType(name);
  const bytes = (text: string, name: string, value: object) =>
    Buffer.from(typeOf(text, name).encode(typeOf(text, name).create(value)).finish());
  const options = `format = 'protobuf', schema = 'syntax = "proto3"; ${grown}', message = 'Ping'`;
  await server.request('POST', '/api/v1/topics', { name: 'pings', partitions: 1 });
  await server.sql(`CREATE SOURCE pings WITH (${options});
    CREATE MATERIALIZED VIEW slow AS SELECT host, max(ms) AS ms, max(cardinality(tags)) AS tags FROM pings GROUP BY host;
    CREATE TABLE ping (id BIGINT PRIMARY KEY, host VARCHAR) WITH (${options}, key_format = 'protobuf', key_schema = 'syntax = "proto3"; ${grown}', key_message = 'Key')`);
  const ping = { id: 1, host: 'a', ms: 2.5, tags: ['x', 'y'] };
  await send(
    'pings',
    [null, bytes(old, 'Ping', { id: 1, host: 'a' })],
    [null, bytes(grown, 'Ping', ping)],
    [null, 'x'],
  );
  const key = (id: number) => bytes(grown, 'Key', { id });
  await send(
    'ping',
    [key(1), bytes(old, 'Ping', ping)],
    [key(2), bytes(old, 'Ping', { id: 2, host: 'b' })],
    [key(1), null],
  );
  await server.sql('FLUSH');
  expect(await server.rows('SELECT host, ms, tags FROM slow')).toEqual([['a', 2.5, 2]]);
  expect(await server.rows('SELECT "offset" FROM pings$errors')).toEqual([[2]]);
  expect(await server.rows('SELECT id, host FROM ping')).toEqual([[2, 'b']]);
});

test('debezium: a keyed source that follows inserts, updates, deletes and a snapshot', async () => {
  await server.sql(`CREATE SOURCE people (id INT PRIMARY KEY, name VARCHAR, born DATE) WITH (format = 'debezium');
    CREATE MATERIALIZED VIEW names AS SELECT name, count(*) AS n FROM people GROUP BY name`);
  const fields = [
    { field: 'id', type: 'int32' },
    { field: 'name', type: 'string' },
    { field: 'born', type: 'int32', name: 'io.debezium.time.Date' },
  ];
  const row = (field: string) => ({ field, type: 'struct', fields });
  const schema = { type: 'struct', fields: [row('before'), row('after'), { field: 'op', type: 'string' }] };
  const key = (id: number) => JSON.stringify({ schema: { type: 'struct', fields: [fields[0]] }, payload: { id } });
  const event = (op: string, before: object | null, after: object | null) =>
    JSON.stringify({ schema, payload: { before, after, op, source: {}, ts_ms: 1 } });
  const plain = (op: string, before: object | null, after: object | null) => JSON.stringify({ before, after, op });
  const person = (id: number, name: string, born: number | null = null) => ({ id, name, born });
  await send(
    'people',
    [key(1), event('r', null, person(1, 'ann', 1))],
    [key(2), event('c', null, person(2, 'bob'))],
    [key(3), event('c', null, person(3, 'ann'))],
    [key(2), event('u', person(2, 'bob'), person(2, 'rob'))],
    [key(3), event('d', person(3, 'ann'), null)],
    [key(3), null],
    [key(1), event('u', null, person(1, 'anna', 2))],
    // Without schema and key: the rows say it all. The last changes the key.
    [null, plain('c', null, person(4, 'dan'))],
    [null, plain('u', person(4, 'dan'), person(5, 'eve'))],
    [null, plain('c', null, person(6, 'fay'))],
    [null, plain('d', { id: 6 }, null)],
    [null, event('m', null, null)],
    [null, event('t', null, null)],
    [null, plain('d', null, null)],
    [key(7), plain('c', null, person(8, 'x'))],
    [null, '{"id":1}'],
    // Refused as a whole: the row that `before` names stays.
    [key(2), plain('u', person(2, 'rob'), person(9, 'x'))],
  );
  await server.sql('FLUSH');
  expect(await server.rows('SELECT id, name, born FROM people ORDER BY id')).toEqual([
    [1, 'anna', '1970-01-03'],
    [2, 'rob', null],
    [5, 'eve', null],
  ]);
  expect(await server.rows('SELECT name FROM people WHERE id = 2')).toEqual([['rob']]);
  expect(await server.rows('SELECT name, n FROM names ORDER BY name')).toEqual([
    ['anna', 1],
    ['eve', 1],
    ['rob', 1],
  ]);
  expect(await server.rows('SELECT "offset", reason FROM people$errors ORDER BY 1')).toEqual([
    [12, expect.stringMatching(/TRUNCATE is not applied/)],
    [13, 'a delete has neither a record key nor "before"'],
    [14, 'id differs between key and value'],
    [15, expect.stringMatching(/no event of Debezium/)],
    [16, 'id differs between key and value'],
  ]);
  const byKey = await server.request('GET', '/api/v1/views/people/rows?key=5');
  expect(byKey.json.rows).toEqual([{ id: 5, name: 'eve', born: null }]);
  expect(await problem("INSERT INTO people VALUES (9, 'x', NULL)")).toMatch(/are debezium: SQL writes json/);
  expect(await problem("CREATE SOURCE bad (id INT) WITH (format = 'debezium')")).toMatch(/needs a PRIMARY KEY/);
});

test('from_key: a column of the record key, in the middle of csv fields', async () => {
  await server.sql(`CREATE SOURCE keyed (a INT, k VARCHAR, b VARCHAR) WITH (format = 'csv', from_key = 'k');
    CREATE MATERIALIZED VIEW by_key AS SELECT k, sum(a) AS a, max(b) AS b FROM keyed GROUP BY k`);
  await send('keyed', ['x', '1,p'], ['y', '2,q'], ['x', '3,r'], [null, '4,s'], ['z', '5,k,t']);
  await server.sql('FLUSH');
  expect(await server.rows('SELECT k, a, b FROM by_key ORDER BY a')).toEqual([
    ['y', 2, 'q'],
    ['x', 4, 'r'],
    [null, 4, 's'],
  ]);
  expect(await server.rows('SELECT reason FROM keyed$errors')).toEqual([['there are more than 2 fields']]);
  for (const [columns, reason] of [
    ['a INT, cod VARCHAR', /did you mean "cod"/],
    ['a INT, code INT', /the column is integer/],
    ['a INT, code VARCHAR NOT NULL', /NOT NULL/],
  ] as const) {
    expect(await problem(`CREATE SOURCE bad (${columns}) WITH (from_key = 'code')`)).toMatch(
      /OPTION_INVALID: from_key = 'code'/,
    );
    const { json } = await server.request('POST', '/api/v1/sql', {
      sql: `CREATE SOURCE bad (${columns}) WITH (from_key = 'code')`,
    });
    expect(`${json.detail} ${json.hint}`).toMatch(reason);
  }
});

test('a SELECT over a source that nothing follows says which records it left out', async () => {
  await server.sql('CREATE SOURCE loose (id INT, at TIMESTAMP)');
  await send(
    'loose',
    [null, '{"id":1,"at":1767225600000}'],
    [null, '{"id":"x"}'],
    [null, '{"id":3'],
    [null, '{"id":4}'],
  );
  const [result] = await server.sql('SELECT id, at FROM loose ORDER BY id');
  expect(result).toMatchObject({
    rows: [
      [1, '2026-01-01T00:00:00Z'],
      [4, null],
    ],
    warnings: [
      {
        message:
          '2 records are left out, not being what "loose" declares: first partition 0, offset 1: column "id" (integer) cannot hold "x"',
      },
    ],
  });
  expect(await server.sql('SELECT at FROM loose WHERE at IS NOT NULL')).toMatchObject([
    { warnings: [{ message: expect.stringMatching(/^1 record is left out/) }] },
  ]);
});

test('what does not fit is refused when it is created, and SQL does not write what it cannot', async () => {
  expect(await problem("CREATE SOURCE bad WITH (format = 'csv')")).toMatch(/SQL_BIND: a csv source needs its columns/);
  expect(await problem("CREATE SOURCE bad (a INT, b INT) WITH (format = 'raw')")).toMatch(/SQL_BIND: a raw record/);
  expect(await problem("CREATE SOURCE bad (a INT) WITH (delimiter = ';')")).toMatch(/OPTION_INVALID: option delimiter/);
  expect(await problem("CREATE SOURCE bad (a INT) WITH (key_format = 'raw')")).toMatch(/OPTION_INVALID: key_format/);
  expect(await problem("CREATE SOURCE bad (a INT) WITH (format = 'xml')")).toMatch(/OPTION_INVALID: format = 'xml'/);
  expect(await problem('CREATE SOURCE bad (a INT PRIMARY KEY)')).toMatch(
    /SQL_UNSUPPORTED: PRIMARY KEY on a source is for/,
  );
  expect(await problem("INSERT INTO kv VALUES ('a', 'b')")).toMatch(/SQL_UNSUPPORTED: records of "kv" are raw/);
});

test('after kill -9 every format goes on where it was', { timeout: 60_000 }, async () => {
  await producer.disconnect();
  await server.kill();
  server = await ServerProcess.start(directory.path);
  await connect();
  await send('sales', [null, '5;c;1']);
  await send('kv', ['9', 'nine']);
  await server.sql('FLUSH');
  expect(await server.rows('SELECT place, amount FROM by_place ORDER BY amount, place')).toEqual([
    ['c', 1],
    [null, 3],
    ['a;b', 3.5],
  ]);
  expect(await server.rows('SELECT count(*) FROM kv')).toEqual([[3]]);
  await send('people', [null, JSON.stringify({ op: 'd', before: { id: 5 }, after: null })]);
  await server.sql('FLUSH');
  expect(await server.rows('SELECT name FROM names ORDER BY name')).toEqual([['anna'], ['rob']]);
  expect(await server.rows('SELECT id FROM people ORDER BY id')).toEqual([[1], [2]]);
});
