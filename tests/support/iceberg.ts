import { spawnSync } from 'node:child_process';

/** Whether PyIceberg, the reader that Iceberg's own project writes, is on this machine. */
export function hasPyIceberg(): boolean {
  return spawnSync('python3', ['-c', 'import pyiceberg, pyarrow']).status === 0;
}

const SCRIPT = `
import sys, json, glob, os
from pyiceberg.table import StaticTable
table, column = sys.argv[1], sys.argv[2]
version = open(os.path.join(table, 'metadata', 'version-hint.text')).read().strip()
metadata = os.path.join(table, 'metadata', 'v%s.metadata.json' % version)
rows = StaticTable.from_metadata(metadata).scan(selected_fields=(column,)).to_arrow()
json.dump([str(value) for value in rows.column(column).to_pylist()], sys.stdout)
`;

/** One column of a table, as text, by PyIceberg where it is installed, else by icebird. */
export async function readIcebergColumn(table: string, column: string): Promise<string[]> {
  if (hasPyIceberg()) {
    const run = spawnSync('python3', ['-c', SCRIPT, table, column], { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (run.status !== 0) throw new Error(run.stderr);
    return JSON.parse(run.stdout) as string[];
  }
  console.warn('PyIceberg is not installed (pip install pyiceberg pyarrow): reading with icebird instead');
  const { readWithIcebird } = await import('./icebird.ts');
  return (await readWithIcebird(table)).map((row) => String(row[column]));
}
