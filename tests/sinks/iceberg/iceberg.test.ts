import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseBigJson, stringifyBigJson } from '../../../sinks/iceberg/big-json.ts';
import { iceberg } from '../../../sinks/iceberg/iceberg.ts';
import type { SinkContext, SinkToken } from '../../../src/ports/sink.ts';
import { type Batch, batchOfRows, type ColumnSchema } from '../../../src/values/batch.ts';
import {
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  JSONB,
  REAL,
  SMALLINT,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../../src/values/types.ts';
import { hasPyIceberg } from '../../support/iceberg.ts';
import { readWithIcebird } from '../../support/icebird.ts';
import { temporaryDirectory } from '../../support/process.ts';

const column = (name: string, type: ColumnSchema['type']): ColumnSchema => ({ name, type, nullable: true });
const COLUMNS: readonly ColumnSchema[] = [column('id', BIGINT), column('name', VARCHAR)];
const context = (dataDir: string, more: Partial<SinkContext> = {}): SinkContext => ({
  sinkId: '7e6d0c1a-0000-4000-8000-000000000001',
  name: 'lake',
  columns: COLUMNS,
  appendOnly: true,
  options: {},
  dataDir,
  ...more,
});
const rows = (...values: readonly (readonly Datum[])[]): Batch =>
  batchOfRows(
    COLUMNS.map(({ type }) => type),
    values,
  );
const throughJson = (token: SinkToken | null): SinkToken => JSON.parse(JSON.stringify(token)) as SinkToken;

const py = hasPyIceberg();
if (!py) console.warn('PyIceberg is not installed (pip install pyiceberg pyarrow): only icebird reads the tables back');

const PYTHON = `
import sys, json, os
from pyiceberg.table import StaticTable
table = sys.argv[1]
version = open(os.path.join(table, 'metadata', 'version-hint.text')).read().strip()
arrow = StaticTable.from_metadata(os.path.join(table, 'metadata', 'v%s.metadata.json' % version)).scan(*([] if len(sys.argv) < 3 else [sys.argv[2]])).to_arrow()
show = lambda v: None if v is None else v.hex() if isinstance(v, bytes) else v.isoformat() if hasattr(v, 'isoformat') else str(v)
json.dump({'types': [str(f.type) for f in arrow.schema], 'rows': [[show(v) for v in row.values()] for row in arrow.to_pylist()]}, sys.stdout)
`;

function readWithPyIceberg(table: string, filter?: string): { types: string[]; rows: (string | null)[][] } {
  const run = spawnSync('python3', ['-c', PYTHON, table, ...(filter === undefined ? [] : [filter])], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

describe('INTO ICEBERG', () => {
  test('commits are read back by readers we did not write, each row once however often a commit is repeated', async () => {
    const directory = temporaryDirectory();
    const sink = iceberg.create(context(directory.path));
    await sink.open();
    await sink.recover(0);
    const first = throughJson(
      await sink.prepare(3, [rows([1, 'a'], [2, null]), rows([9007199254740993n, 'Zürich \u{1f600}'])]),
    );
    await sink.commit(3, first);
    await sink.commit(3, first);
    expect(await sink.prepare(4, [rows()])).toBeNull();
    const second = throughJson(await sink.prepare(5, [rows([3, ''])]));
    await sink.close();
    const restarted = iceberg.create(context(directory.path));
    await restarted.open();
    await restarted.commit(5, second);
    await restarted.recover(5);
    await restarted.close();
    const table = `${directory.path}/warehouse/default/lake`;
    expect((await readWithIcebird(table)).map(({ name }) => name ?? null).sort()).toEqual(
      ['', 'Zürich \u{1f600}', 'a', null].sort(),
    );
    if (py) {
      expect(readWithPyIceberg(table).rows.sort()).toEqual(
        [
          ['1', 'a'],
          ['2', null],
          ['3', ''],
          ['9007199254740993', 'Zürich \u{1f600}'],
        ].sort(),
      );
      // Pruning by the bounds in the manifests finds the row and no other file hides it.
      expect(readWithPyIceberg(table, 'id == 9007199254740993').rows).toEqual([
        ['9007199254740993', 'Zürich \u{1f600}'],
      ]);
    }
    directory.remove();
  });

  test.runIf(py)('every type arrives exactly', async () => {
    const directory = temporaryDirectory();
    const columns = [
      column('b', BOOLEAN),
      column('i2', SMALLINT),
      column('i4', INTEGER),
      column('i8', BIGINT),
      column('d', decimal(38, 10)),
      column('r', REAL),
      column('f', DOUBLE),
      column('s', VARCHAR),
      column('y', BYTEA),
      column('dt', DATE),
      column('t', TIME),
      column('ts', TIMESTAMP),
      column('tz', TIMESTAMPTZ),
      column('u', UUID),
      column('j', JSONB),
      column('odd "name"', INTEGER),
    ];
    const values: Datum[] = [
      true,
      -32768,
      2147483647,
      -9223372036854775808n,
      -12345678901234567890123456789n,
      0.5,
      1e300,
      "it's",
      Buffer.from([0, 255]),
      -1,
      1,
      -1,
      1_700_000_000_123_456,
      '00000000-0000-4000-8000-00000000000a',
      '{"a":1}',
      7,
    ];
    const sink = iceberg.create(
      context(directory.path, { columns, options: { namespace: 'n', table: 'types', compression: 'snappy' } }),
    );
    await sink.open();
    const token = await sink.prepare(1, [
      batchOfRows(
        columns.map(({ type }) => type),
        [values, values.map(() => null)],
      ),
    ]);
    await sink.commit(1, throughJson(token));
    await sink.close();
    const { types, rows: read } = readWithPyIceberg(`${directory.path}/warehouse/n/types`);
    expect(types.map((type) => type.replace('large_', ''))).toEqual([
      'bool',
      'int32',
      'int32',
      'int64',
      'decimal128(38, 10)',
      'float',
      'double',
      'string',
      'binary',
      'date32[day]',
      'time64[us]',
      'timestamp[us]',
      'timestamp[us, tz=UTC]',
      'string',
      'string',
      'int32',
    ]);
    expect(read).toEqual([
      [
        'True',
        '-32768',
        '2147483647',
        '-9223372036854775808',
        '-1234567890123456789.0123456789',
        '0.5',
        '1e+300',
        "it's",
        '00ff',
        '1969-12-31',
        '00:00:00.000001',
        '1969-12-31T23:59:59.999999',
        '2023-11-14T22:13:20.123456+00:00',
        '00000000-0000-4000-8000-00000000000a',
        '{"a":1}',
        '7',
      ],
      columns.map(() => null),
    ]);
    directory.remove();
  });

  test('many commits stay readable: manifests are merged, old metadata goes', async () => {
    const directory = temporaryDirectory();
    const sink = iceberg.create(context(directory.path));
    await sink.open();
    const commits = 230;
    for (let epoch = 1; epoch <= commits; epoch++)
      await sink.commit(epoch, throughJson(await sink.prepare(epoch, [rows([epoch, 'x'])])));
    await sink.close();
    const table = `${directory.path}/warehouse/default/lake`;
    expect((await readWithIcebird(table)).length).toBe(commits);
    if (py) expect(new Set(readWithPyIceberg(table).rows.map(([id]) => Number(id))).size).toBe(commits);
    expect(
      readdirSync(`${table}/metadata`).filter((name) => name.endsWith('.metadata.json')).length,
    ).toBeLessThanOrEqual(101);
    directory.remove();
  });

  test('what cannot be right stops the sink', async () => {
    const directory = temporaryDirectory();
    const sink = iceberg.create(context(directory.path));
    await sink.open();
    await sink.commit(7, throughJson(await sink.prepare(7, [rows([1, 'a'])])));
    const older = throughJson(await sink.prepare(6, [rows([2, 'b'])]));
    await expect(sink.commit(6, older)).rejects.toMatchObject({ code: 'SINK_REJECTED' });
    const other = throughJson(await sink.prepare(7, [rows([2, 'b'])]));
    await expect(sink.commit(7, other)).rejects.toMatchObject({ code: 'SINK_REJECTED' });
    await expect(sink.recover(6)).rejects.toMatchObject({ code: 'SINK_REJECTED' });
    await expect(sink.prepare(8, [batchOfRows([BIGINT, VARCHAR], [[1, 'a']], [-1])])).rejects.toMatchObject({
      code: 'SINK_REJECTED',
    });
    await sink.close();
    const changed = iceberg.create(
      context(directory.path, { columns: [column('id', VARCHAR), column('name', VARCHAR)] }),
    );
    await expect(changed.open()).rejects.toMatchObject({ code: 'SINK_REJECTED' });
    await expect(iceberg.create(context(directory.path, { appendOnly: false })).open()).rejects.toMatchObject({
      code: 'SINK_REJECTED',
    });
    expect(() => iceberg.create(context(directory.path, { options: { table: '../x' } }))).toThrow(
      'no name of a directory',
    );
    directory.remove();
  });

  test('recover removes what lost checkpoints left, and nothing else', async () => {
    const directory = temporaryDirectory();
    const sink = iceberg.create(context(directory.path));
    await sink.open();
    await sink.commit(1, throughJson(await sink.prepare(1, [rows([1, 'a'])])));
    await sink.prepare(2, [rows([2, 'lost'])]);
    await sink.recover(1);
    await sink.close();
    expect(readdirSync(`${directory.path}/warehouse/default/lake/data`)).toHaveLength(1);
    expect(await readWithIcebird(`${directory.path}/warehouse/default/lake`)).toHaveLength(1);
    directory.remove();
  });

  test('64-bit ids stay exact in JSON, and text that looks like one stays text', () => {
    const text = '{"a":9223372036854775807,"b":"9223372036854775807","c":-1,"d":[1.5],"e":"x\\"1234567890123456789"}';
    expect(JSON.stringify(JSON.parse(stringifyBigJson(parseBigJson(text))))).toBe(JSON.stringify(JSON.parse(text)));
    expect(stringifyBigJson(parseBigJson(text))).toContain('9223372036854775807,');
  });
});
