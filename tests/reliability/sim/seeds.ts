import { expect, test } from 'vitest';
import { ANOMALIES } from '../checker.ts';
import { type Outcome, simulate } from './simulate.ts';

/** SIMULATION_SEEDS=1000 runs so many; SEED=n replays one and prints what happened. */
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 40);
const FIRST_SEED = Number(process.env['SIMULATION_FIRST_SEED'] ?? 1);
const ONE = process.env['SEED'];

/** What the runs of one part went through, for the figures in docs/reliability.md. */
interface Figures {
  seeds: number;
  seconds: number;
  acknowledged: number;
  operations: number;
  lives: number;
  faults: number;
  simulatedSeconds: number;
  readonly anomalies: Record<string, number>;
}

/** Defines the tests for every `parts`-th seed, so that several files share the work of several cores. */
export function simulateSeeds(part: number, parts: number): void {
  if (ONE !== undefined) {
    if (part === 0) test(`seed ${ONE}`, async () => replay(Number(ONE)));
    return;
  }
  const seeds = Array.from({ length: SEEDS }, (_, at) => FIRST_SEED + at).filter((seed) => seed % parts === part);
  test(
    `${seeds.length} simulated runs from seed ${seeds[0]} on: no anomaly`,
    async () => {
      const began = performance.now();
      const figures: Figures = {
        seeds: 0,
        seconds: 0,
        acknowledged: 0,
        operations: 0,
        lives: 0,
        faults: 0,
        simulatedSeconds: 0,
        anomalies: Object.fromEntries(ANOMALIES.map((name) => [name, 0])),
      };
      const failures: string[] = [];
      for (const seed of seeds) {
        try {
          const outcome = await simulate(seed);
          add(figures, outcome);
          if (outcome.problems.length > 0) failures.push(told(seed, outcome.problems));
        } catch (thrown) {
          failures.push(told(seed, [thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)]));
        }
        if (failures.length >= 5) break;
      }
      figures.seconds = Math.round((performance.now() - began) / 100) / 10;
      if (process.env['SIMULATION_FIGURES']) console.log(JSON.stringify(figures));
      expect(failures.join('\n')).toBe('');
    },
    60_000 + seeds.length * 2000,
  );
}

function add(figures: Figures, outcome: Outcome): void {
  figures.seeds++;
  figures.acknowledged += outcome.acknowledged;
  figures.operations += outcome.ops;
  figures.lives += outcome.lives;
  figures.faults += outcome.faults.length;
  figures.simulatedSeconds = Math.round(figures.simulatedSeconds + outcome.simulatedMs / 1000);
  for (const name of ANOMALIES) figures.anomalies[name]! += outcome.counts[name];
}

const told = (seed: number, problems: readonly string[]): string =>
  `SEED=${seed} npx vitest run tests/reliability/simulation-1.test.ts\n  ${problems.slice(0, 5).join('\n  ')}`;

async function replay(seed: number): Promise<void> {
  const outcome = await simulate(seed);
  const { history: _, problems, lines, faults, ...rest } = outcome;
  console.log([...faults, '', ...lines, JSON.stringify(rest, null, 1), ...problems].join('\n'));
  expect(problems).toEqual([]);
}
