import type { Datum } from '../../src/values/types.ts';
import { type Change, Content } from './case.ts';
import type { Random } from './random.ts';
import { isFirm, type Kind, LAG_MICROS, RELATIONS, schemaOf } from './relations.ts';

/** Random changes: NULLs, retractions, equal rows, times out of order. */
const START_MICROS = Date.UTC(2026, 0, 1) * 1000;

const DATUMS: Readonly<Record<Exclude<Kind, 'int' | 'dec' | 'bool' | 'ts' | 'tz'>, readonly Datum[]>> = {
  dbl: [0.5, -1.25, 3, 1e10, 0, 1, 4],
  text: ['a', 'b', 'ab', 'ba', '', 'Zü', '\u{1f600}'],
  i4: [0, 1, 2, 3, -5, 2147483647],
  i2: [0, 1, 2, 3, -7, 32767],
  real: [0, 0.5, -1.25, 3],
  date: [0, 19782, 20454, 20455, 20454],
  time: [0, 45_296_000_000, 86_399_500_000],
  iv: [
    { months: 0, days: 0, micros: 3_000_000 },
    { months: 1, days: -1, micros: 0 },
    { months: 0, days: 30, micros: 0 },
    { months: 0, days: 0, micros: -7_200_000_000 },
  ],
  uuid: ['00000000-0000-0000-0000-000000000001', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  json: ['{"a": 1, "b": [2, "x"]}', '{"a": "y", "b": null}', '[1, 2.5, null]', '3', '"text"', 'null'],
  bytes: [Uint8Array.of(), Uint8Array.of(0, 255), Uint8Array.of(97)],
  ints: [[], [1], [1, 2, 1], [3, null, 1], [2]],
  texts: [[], ['a'], ['a', null], ['x', 'ab', 'b']],
  row: ['["1","x"]', '[null,null]', '["-7","ab"]', '["2",null]'],
  map: ['[]', '["a","0.5"]', '["a","3","b",null]'],
};

function randomDatum(random: Random, kind: Kind): Datum {
  if (random.chance(0.13)) return null;
  switch (kind) {
    case 'int':
      return random.chance(0.03)
        ? random.pick<Datum>([9007199254740993n, -9007199254740993n, 1000000007])
        : random.below(7) - 1;
    case 'dec':
      return random.below(900) - 100;
    case 'bool':
      return random.chance(0.5);
    case 'ts':
    case 'tz':
      return START_MICROS + (random.below(90_000) - 20_000) * 1000;
    default:
      return random.pick(DATUMS[kind]);
  }
}

const randomRow = (random: Random, relation: string): Datum[] =>
  RELATIONS[relation].map(([, kind]) => randomDatum(random, kind));

/** What `count` epochs bring. */
export function randomEpochs(random: Random, count: number): Change[][] {
  const content = new Content();
  // Now and then enough for tables to grow, and for rows that were let go to be many.
  const most = random.chance(0.04) ? 60 : 9;
  let offset = 0;
  return Array.from({ length: count }, (_, epoch) => {
    const changes: Change[] = [];
    const add = (change: Change): void => {
      if (content.apply(change)) changes.push(change);
    };
    for (const relation of Object.keys(RELATIONS)) {
      for (let left = random.below(most); left > 0; left--) {
        for (const change of changesOf(
          random,
          relation,
          content.rows[relation] ?? [],
          epoch,
          content.watermark(relation),
        ))
          add(change);
        const last = changes.at(-1);
        if (relation === 't' && last?.relation === 't') add(versionOf(random, last, offset++));
      }
    }
    return changes;
  });
}

function changesOf(
  random: Random,
  relation: string,
  rows: readonly (readonly Datum[])[],
  epoch: number,
  watermark: number | undefined,
): Change[] {
  const row = randomRow(random, relation);
  if (relation === 't') {
    row[0] = random.below(6);
    const old = rows.find(([key]) => key === row[0]);
    const goes: Change[] = old === undefined ? [] : [{ relation, row: old, weight: -1 }];
    return old !== undefined && random.chance(0.3) ? goes : [...goes, { relation, row, weight: 1 }];
  }
  const changes = relation === 'g' || relation === 'c';
  if (changes && rows.length > 0 && random.chance(0.35)) return [{ relation, row: random.pick(rows), weight: -1 }];
  if (isFirm(relation)) {
    const time = schemaOf(relation).findIndex(({ name }) => name === 'ts');
    if (row[time] !== null) {
      const about = START_MICROS + epoch * 12_000_000 + random.below(16_000) * 1000;
      row[time] = Math.max(about, watermark ?? about - LAG_MICROS);
    }
    return [{ relation, row, weight: 1 }];
  }
  return [{ relation, row: rows.length > 0 && random.chance(0.15) ? random.pick(rows) : row, weight: 1 }];
}

/** The row of t$history that a change of t comes with. */
function versionOf(random: Random, { row, weight }: Change, offset: number): Change {
  const [key, n, m] = row;
  const version = START_MICROS + (random.below(80_000) - 20_000) * 1000;
  const isDelete = weight < 0;
  const columns = schemaOf('t$history').map(({ name }): Datum => {
    switch (name) {
      case 'k':
        return key;
      case 'n':
        return isDelete ? null : n;
      case 'm':
        return isDelete ? null : m;
      case '_partition':
        return 0;
      case '_offset':
        return offset;
      case '_version':
        return version;
      default:
        return isDelete;
    }
  });
  return { relation: 't$history', row: columns, weight: 1 };
}
