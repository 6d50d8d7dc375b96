import type { Option } from '../../streamql/parser/ast.ts';
import { changelogOf } from '../../streamql/plan/changelog.ts';
import { withExpiry } from '../../streamql/plan/expire.ts';
import type { ChangelogKind, Plan } from '../../streamql/plan/plan.ts';
import { inputsOf } from '../../streamql/plan/walk.ts';
import { StreamError } from '../lib/errors.ts';
import { mapsFiles } from '../lib/memory-map.ts';
import type { StateLimit } from '../ports/engine.ts';
import { checkOptions, parseBytes, parseCount, parseDurationMs, VIEW_OPTIONS } from './options.ts';

type ViewOptions = Readonly<Record<string, string>>;

/** What the catalogue keeps of `WITH (…)`: nothing for a view without. OPTION_INVALID. */
export function viewOptions(given: readonly Option[]): ViewOptions {
  const options = checkOptions(given, VIEW_OPTIONS);
  if (options['max_state'] === undefined && given.some(({ name }) => name === 'on_exceed')) {
    throw new StreamError('OPTION_INVALID', 'on_exceed says what happens beyond max_state: give that too', {
      at: given.find(({ name }) => name === 'on_exceed')!.at,
    });
  }
  checkSpill(given);
  if (options['ttl'] !== undefined) ttlMicros(options);
  if (options['backfill_rate'] !== undefined) parseCount(options['backfill_rate'], 'backfill_rate', 1_000_000_000);
  retainHistoryMs(options);
  stateLimit(options);
  if (given.length === 0) return {};
  return options;
}

/** SQL_UNSUPPORTED. A view that has it from elsewhere pauses beyond its limit, and says why. */
function checkSpill(given: readonly Option[]): void {
  const option = given.find(({ name, value }) => name === 'on_exceed' && value === 'spill');
  if (option === undefined || mapsFiles()) return;
  throw new StreamError('SQL_UNSUPPORTED', "on_exceed = 'spill' needs Linux on x64 or arm64 and the package koffi", {
    at: option.at,
    hint: "npm install koffi, or choose 'pause', 'fail' or 'expire'",
  });
}

const ttlMicros = (options: ViewOptions): number => parseDurationMs(options['ttl'], 'ttl') * 1000;

export function stateLimit(options: ViewOptions): StateLimit | null {
  const text = options['max_state'];
  if (text === undefined) return null;
  return {
    bytes: parseBytes(text, 'max_state'),
    onExceed: (options['on_exceed'] ?? 'pause') as StateLimit['onExceed'],
  };
}

export const retainHistoryMs = (options: ViewOptions): number =>
  options['retain_history'] === undefined ? 0 : parseDurationMs(options['retain_history'], 'retain_history');

const expires = (options: ViewOptions): boolean =>
  options['ttl'] !== undefined || (options['max_state'] !== undefined && options['on_exceed'] === 'expire');

/** The plan of a view with these options. */
export function boundedPlan<T extends { readonly plan: Plan; readonly changelog: ChangelogKind }>(
  bound: T,
  options: ViewOptions,
): T {
  if (!expires(options)) return bound;
  if (has(bound.plan, 'close')) {
    throw new StreamError('SQL_UNSUPPORTED', 'what EMIT ON WINDOW CLOSE has let out is final: it cannot expire', {
      hint: "leave out ttl and on_exceed = 'expire'; windows that are closed are freed by the watermark",
    });
  }
  const plan = withExpiry(bound.plan, options['ttl'] === undefined ? null : ttlMicros(options));
  return { ...bound, plan, changelog: changelogOf(plan) };
}

const has = (plan: Plan, op: Plan['op']): boolean => plan.op === op || inputsOf(plan).some((input) => has(input, op));

/** ALTER MATERIALIZED VIEW … SET (…): what may change while the state stays. */
export function alteredOptions(options: ViewOptions, given: readonly Option[]): ViewOptions {
  const checked = checkOptions(given, VIEW_OPTIONS);
  checkSpill(given);
  const fixed = given.find(({ name }) => name === 'backfill_rate');
  if (fixed !== undefined)
    throw new StreamError('SQL_UNSUPPORTED', `${fixed.name} is given at CREATE`, {
      at: fixed.at,
      hint: 'SET takes max_state, on_exceed and retain_history',
    });
  const changed = Object.fromEntries(given.map(({ name }) => [name, checked[name]]));
  const result = { ...options, ...changed };
  if (expires(result) !== expires(options) || result['ttl'] !== options['ttl']) {
    throw new StreamError('SQL_UNSUPPORTED', 'whether and when rows expire is part of the definition', {
      at: given[0].at,
      hint: 'use CREATE OR REPLACE MATERIALIZED VIEW … WITH (…), which builds the view anew beside the old one',
    });
  }
  retainHistoryMs(result);
  stateLimit(result);
  return result;
}
