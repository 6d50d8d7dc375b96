/**
 * What others publish, in thousand events a second and core. RisingWave: its "New Performance Report", 8 vCPU, Kafka JSON, state on S3,
 * blackhole sink. Flink: per core of the nexmark/nexmark guide, RocksDB, generator in the process. Feldera: hand-written Rust, in memory,
 * 16 cores, generator in the process. Other machines, other years: an orientation, not a race.
 */
export interface Peers {
  readonly risingwave: number | null;
  readonly flink: number | null;
  readonly feldera: number | null;
}

const row = (risingwave: number | null, flink: number | null, feldera: number | null): Peers => ({
  risingwave: risingwave === null ? null : risingwave / 8,
  flink,
  feldera: feldera === null ? null : feldera / 16,
});

export const PEERS: Readonly<Record<string, Peers>> = {
  q0: row(1148, 155, 6974),
  q1: row(1186, 158, 6596),
  q2: row(1187, 175, 6749),
  q3: row(1008, 152, 6608),
  q4: row(189, 34, 4234),
  q5: row(89, 22, 6590),
  q6: row(117, null, 3998),
  q7: row(296, 12, 3137),
  q8: row(627, 146, 6642),
  q9: row(155, 14, 911),
  q10: row(1073, 58, null),
  q11: row(null, 40, null),
  q12: row(722, 76, 6682),
  q13: row(875, 131, 3675),
  q14: row(1106, 161, 6859),
  q15: row(403, 72, 3539),
  q16: row(85, 19, 811),
  q17: row(330, 117, 3870),
  q18: row(188, 54, 1358),
  q19: row(116, 44, 1201),
  q20: row(142, 19, 1352),
  q21: row(899, 98, 6635),
  q22: row(1071, 130, 6306),
};

/** Ours (events a second, one engine worker) beside theirs. */
export function peerTable(rates: ReadonlyMap<string, number>, peers: Readonly<Record<string, Peers>>): string {
  const cells = (values: readonly (string | number | null)[]): string =>
    values.map((value) => String(value === null ? '–' : value).padStart(12)).join('');
  const lines = [cells(['thousand/s', 'Streamline', 'RisingWave', 'Flink', 'Feldera'])];
  for (const [query, rate] of rates) {
    const { risingwave, flink, feldera } = peers[query] ?? { risingwave: null, flink: null, feldera: null };
    const whole = (value: number | null): number | null => (value === null ? null : Math.round(value));
    lines.push(cells([query, Math.round(rate / 1000), whole(risingwave), whole(flink), whole(feldera)]));
  }
  return `${lines.join('\n')}\nper core as published on other machines; see tests/bench/nexmark-peers.ts\n`;
}
