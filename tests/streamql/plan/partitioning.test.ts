import { describe, expect, test } from 'vitest';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { buildPipeline } from '../../../streamql/engine/build.ts';
import { localPeers } from '../../../streamql/engine/shards/peers.ts';
import type { QueryStatement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalog } from '../../differential/relations.ts';

/** The exchanges and windows of one of two shards, inputs first. */
function waysOf(sql: string): string[] {
  const { query } = parseStatements(sql)[0] as QueryStatement;
  const { plan } = bindQuery(query, catalog, { mode: 'view' });
  const output = { onOutput: () => undefined, onError: () => undefined };
  const shard = { peers: localPeers(2)[0], channel: 'v', result: { to: 'any' } } as const;
  return buildPipeline(optimize(plan), output, shard)
    .operators.map(({ name, detail }) => `${name} ${detail}`)
    .filter((line) => /^(exchange|window|hop|cumulate|tumble)/i.test(line))
    .map((line) => (line.startsWith('exchange') ? line : 'window'));
}

const HOP = `HOP(a, ts, INTERVAL '5 seconds', INTERVAL '15 seconds')`;
const CUMULATE = `CUMULATE(a, ts, INTERVAL '5 seconds', INTERVAL '15 seconds')`;
const TUMBLE = `TUMBLE(a, ts, INTERVAL '5 seconds')`;

describe('rows change shards', () => {
  test.each([HOP, CUMULATE])('before %s multiplies them, by the keys that they have there', (call) => {
    expect(
      waysOf(`SELECT s, window_start, window_end, count(*) FROM ${call} GROUP BY s, window_start, window_end`),
    ).toEqual(['exchange by s', 'window']);
    const between = `SELECT x, window_end, count(*) FROM (SELECT s AS x, window_end FROM ${call} WHERE s <> 'a') q GROUP BY x, window_end`;
    expect(waysOf(between)).toEqual(['exchange by s', 'window']);
  });

  test.each([
    ['that do not multiply', `SELECT s, window_start, count(*) FROM ${TUMBLE} GROUP BY s, window_start`],
    ['whose bounds are the only keys', `SELECT window_start, count(*) FROM ${HOP} GROUP BY window_start`],
    ['with keys that are computed above', `SELECT upper(s), window_start, count(*) FROM ${HOP} GROUP BY 1, 2`],
    ['with keys of two values', `SELECT b, window_start, count(*) FROM ${HOP} GROUP BY b, window_start`],
  ])('after windows %s', (_, sql) => {
    const ways = waysOf(sql);
    expect(ways[0]).toBe('window');
    expect(ways[1]).toMatch(/^exchange by /);
    expect(ways).toHaveLength(2);
  });
});
