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
});
