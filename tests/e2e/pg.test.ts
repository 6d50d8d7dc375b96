import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../support/process.ts';

const hasPsql = spawnSync('psql', ['--version']).status === 0;
if (!hasPsql) console.warn('psql is not installed (Debian: postgresql-client): its tests are skipped');

describe.runIf(hasPsql)('psql', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await ServerProcess.start(null);
    await server.sql('CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR, price DECIMAL(10,2))');
  });
  afterAll(() => server.stop());

  const psql = (...args: string[]) => {
    const [host, port] = server.pg.split(':');
    const run = spawnSync('psql', ['-h', host, '-p', port, '-U', 'any', '-d', 'any', '-X', '-A', '-t', ...args], {
      encoding: 'utf8',
    });
    return { out: run.stdout.trim(), err: run.stderr.trim(), status: run.status };
  };

  test('runs statements and prints values as Postgres does', () => {
    expect(psql('-c', "INSERT INTO item VALUES (1, 'a', 1.5), (2, NULL, 20); FLUSH").out).toBe('INSERT 0 2\nFLUSH');
    expect(psql('-c', 'SELECT id, name, price FROM item ORDER BY id').out).toBe('1|a|1.50\n2||20.00');
    expect(
      psql('-c', "SELECT TIMESTAMP '2026-01-02 03:04:05.5' AS t, true AS b, 1e300::double precision AS d").out,
    ).toBe('2026-01-02 03:04:05.5|t|1e+300');
  });

  test('reports errors with their SQLSTATE and goes on', () => {
    const { err } = psql('-v', 'VERBOSITY=verbose', '-c', 'SELECT nope FROM item');
    expect(err).toContain('42703');
    expect(psql('-c', 'SELECT 1', '-c', 'SELEC 1', '-c', 'SELECT 2').out).toBe('1\n2');
  });

  test('a transaction block is accepted; one that wrote cannot be rolled back, and says so', () => {
    expect(psql('-c', 'BEGIN; SELECT 1; COMMIT').out).toBe('BEGIN\n1\nCOMMIT');
    expect(psql('-c', 'BEGIN; SELECT 1; ROLLBACK').out).toBe('BEGIN\n1\nROLLBACK');
    expect(psql('-c', "BEGIN; INSERT INTO item VALUES (9, 'x', 1); ROLLBACK").err).toContain('cannot be taken back');
    const failed = psql(
      '-c',
      'BEGIN',
      '-c',
      'SELECT nope FROM item',
      '-c',
      'SELECT 1',
      '-c',
      'ROLLBACK',
      '-c',
      'SELECT 2',
    );
    expect(failed.err).toContain('an earlier statement of this transaction block failed');
    expect(failed.out).toBe('BEGIN\nROLLBACK\n2');
    expect(psql('-c', "SELECT 'BEGIN; COMMIT' AS text; SET application_name = 'x'; SHOW server_version_num").out).toBe(
      'BEGIN; COMMIT\nSET\n150000',
    );
  });
});

const psycopg = spawnSync('python3', ['-c', 'import psycopg']).status === 0;
if (!psycopg) console.warn('psycopg is not installed (pip install psycopg[binary]): its test is skipped');

const PSYCOPG = `
import sys, psycopg
host, port = sys.argv[1].split(':')
with psycopg.connect(host=host, port=port, user='any', dbname='any', autocommit=True) as c:
    c.execute("INSERT INTO item VALUES (%s, %s, %s)", (1, 'a', '1.50'))
    c.execute("FLUSH")
with psycopg.connect(host=host, port=port, user='any', dbname='any') as c:
    for binary in (False, True):
        cur = c.cursor(binary=binary)
        cur.execute("SELECT id, name, price, TIMESTAMP '2026-01-02 03:04:05.5', DATE '1999-12-31', true, 1.5::double precision, -12345678.9012::decimal(20,4), NULL FROM item WHERE id = %s", (1,))
        print(cur.fetchall())
`;

test.runIf(psycopg)('psycopg reads the same values as text and in binary', async () => {
  const server = await ServerProcess.start(null);
  await server.sql('CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR, price DECIMAL(10,2))');
  const { stdout, stderr } = spawnSync('python3', ['-c', PSYCOPG, server.pg], { encoding: 'utf8' });
  const [text, binary] = stdout.trim().split('\n');
  expect(stderr).toBe('');
  expect(binary).toBe(text);
  expect(text).toContain("Decimal('-12345678.9012')");
  await server.stop();
});

const SESSION = `
import sys, threading, time, psycopg
host, port = sys.argv[1].split(':')
def connect(**more):
    return psycopg.connect(host=host, port=port, user='any', dbname='any', autocommit=True, **more)
def state(c, *args):
    try:
        c.execute(*args)
        return 'no error'
    except psycopg.Error as e:
        return e.sqlstate
LONG = "SELECT count(*) FROM big a CROSS JOIN big b CROSS JOIN big c"
with connect() as c:
    c.execute("INSERT INTO big SELECT * FROM (VALUES " + ",".join("(%d)" % i for i in range(3000)) + ") v")
    c.execute("FLUSH")
    threading.Timer(0.5, c.cancel).start()
    begun = time.monotonic()
    print('cancel', state(c, LONG), time.monotonic() - begun < 10)
    c.execute("SET statement_timeout = '300ms'")
    print('timeout', state(c, LONG))
    c.execute("RESET statement_timeout")
    print('after', c.execute("SELECT 1").fetchone())
    for name, sql in (('function', 'SELECT nothing(1)'), ('column', 'SELECT nothing FROM big'), ('table', 'SELECT 1 FROM nothing'), ('syntax', 'SELEC 1'), ('null', 'INSERT INTO big VALUES (NULL)')):
        print(name, state(c, sql))
    try:
        c.execute("SELECT 1 AS a; SET extra_float_digits = 3;\\n SELECT 'ü', nothing FROM big")
    except psycopg.Error as e:
        print('position', e.diag.statement_position, e.diag.message_primary)
with connect(options='-c statement_timeout=300') as c:
    print('option', state(c, LONG))
try:
    connect(options='-c nothing=1')
except psycopg.OperationalError as e:
    print('refused', 'there is no setting nothing' in str(e))
`;

test.runIf(psycopg)('cancel requests, statement_timeout, SQLSTATEs and positions', async () => {
  const server = await ServerProcess.start(null);
  await server.sql('CREATE TABLE big (id BIGINT PRIMARY KEY)');
  const { stdout, stderr } = spawnSync('python3', ['-c', SESSION, server.pg], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual([
    'cancel 57014 True',
    'timeout 57014',
    'after (1,)',
    'function 42883',
    'column 42703',
    'table 42P01',
    'syntax 42601',
    'null 23502',
    'position 57 there is no column "nothing" (line 2, column 14)',
    'option 57014',
    'refused True',
  ]);
  await server.stop();
});
