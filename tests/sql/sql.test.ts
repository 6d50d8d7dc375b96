import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { runTestFile } from '../../src/cli/sql-test/run-file.ts';
import { WAYS } from '../../src/cli/sql-test/ways.ts';
import { root } from '../support/root.ts';

const folder = join(root, 'tests/sql');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.slt'));
const analytics = new DuckDbAnalytics({ memoryLimitBytes: 512 * 2 ** 20 });
afterAll(() => analytics.close());

describe.each(WAYS)('$name: $doc', (way) => {
  test.each(files.sort())('%s', async (file) => {
    const { steps, failures } = await runTestFile(readFileSync(join(folder, file), 'utf8'), analytics, way, {
      verifies: true,
    });
    expect(failures.map(({ line, message }) => `${file}:${line}: ${message}`)).toEqual([]);
    expect(steps).toBeGreaterThan(0);
  });
});
