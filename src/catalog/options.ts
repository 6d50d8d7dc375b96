import type { Option } from '../../streamql/parser/ast.ts';
import { closest } from '../../streamql/parser/suggest.ts';
import { FORMAT_NAMES, FORMAT_OPTIONS, KEY_FORMAT_NAMES } from '../formats/formats.ts';
import { StreamError } from '../lib/errors.ts';
import type { OptionSpec } from '../ports/sink.ts';

/** `WITH (…)` of CREATE SOURCE and CREATE TABLE; docs/reference/sql.md lists them. */
export const SOURCE_OPTIONS: readonly OptionSpec[] = [
  { name: 'topic', doc: 'Topic to read; default: the name. Created when missing and columns are declared.' },
  { name: 'format', doc: 'How record values are written.', default: 'json', oneOf: FORMAT_NAMES },
  {
    name: 'late',
    doc: 'What happens to a row behind the watermark: it still counts, it is dropped (and counted), or it goes to <name>$late.',
    default: 'update',
    oneOf: ['update', 'drop', 'dead_letter'],
  },
  {
    name: 'idle_timeout',
    doc: 'After this long without records a partition no longer holds the watermark back.',
    default: '30s',
  },
  {
    name: 'max_drift',
    doc: 'Sources: do not read further than this ahead, in event time, of another source of the same query that has unread records.',
  },
  {
    name: 'from_key',
    doc: 'Sources: the declared VARCHAR column that is the text of the record key, and no part of the value.',
  },
  { name: 'partitions', doc: 'Partitions of the topic if it has to be created.', default: '1' },
  ...FORMAT_OPTIONS,
  {
    name: 'key_format',
    doc: 'Tables: how record keys are written; json takes bare text too. Its options are those of formats with key_ before them.',
    oneOf: KEY_FORMAT_NAMES,
  },
  ...FORMAT_OPTIONS.map((spec) => ({ ...spec, name: `key_${spec.name}`, doc: `Of key_format. ${spec.doc}` })),
];

/** `WITH (…)` of CREATE MATERIALIZED VIEW; docs/reference/sql.md says what they mean for the rows. */
export const VIEW_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'backfill_rate',
    doc: 'Records per second that the view may read of the log to catch up; default: as many as it can.',
  },
  { name: 'ttl', doc: 'A row of the input is taken back this long after it came, by the clock.' },
  {
    name: 'retain_history',
    doc: 'How long the changes of the view are kept, so that SELECT … AS OF reads its rows as they were; 0s: not at all.',
  },
  { name: 'max_state', doc: 'What the rows of the view and of its operators may use: 500MB, 2GB.' },
  {
    name: 'on_exceed',
    doc: 'What happens beyond max_state: the view pauses, fails, lets go of its oldest input, or keeps its state in files.',
    default: 'pause',
    oneOf: ['pause', 'fail', 'expire', 'spill'],
  },
];

/** Checks names and choices, fills in defaults. OPTION_INVALID with the position of the culprit. */
export function checkOptions(given: readonly Option[], specs: readonly OptionSpec[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const spec of specs) if (spec.default !== undefined) values[spec.name] = spec.default;
  const seen = new Set<string>();
  for (const option of given) {
    const spec = specs.find((candidate) => candidate.name === option.name);
    if (spec === undefined) {
      throw new StreamError('OPTION_INVALID', `unknown option ${option.name}`, {
        at: option.at,
        hint: optionHint(option.name, specs),
      });
    }
    if (seen.has(option.name))
      throw new StreamError('OPTION_INVALID', `option ${option.name} is given twice`, { at: option.at });
    seen.add(option.name);
    if (spec.oneOf !== undefined && !spec.oneOf.includes(option.value)) {
      throw new StreamError(
        'OPTION_INVALID',
        `${option.name} = '${option.value}': expected one of ${spec.oneOf.join(', ')}`,
        {
          at: option.at,
          hint: spec.doc,
        },
      );
    }
    values[option.name] = option.value;
  }
  for (const spec of specs) {
    if (spec.required && values[spec.name] === undefined) {
      throw new StreamError('OPTION_INVALID', `option ${spec.name} is missing`, { hint: spec.doc });
    }
  }
  return values;
}

/** Options of the peers, whose brokers are elsewhere. */
const OF_CONNECTORS = /^(connector|properties|scan|bootstrap|value|json|avro|csv)\b/;

function optionHint(name: string, specs: readonly OptionSpec[]): string {
  const near = closest(name, new Set(specs.map((candidate) => candidate.name)));
  if (near !== undefined) return `did you mean ${near}?`;
  const known = `the options are: ${specs.map((candidate) => candidate.name).join(', ')}`;
  return OF_CONNECTORS.test(name) ? `leave it out: topics are this server's own; ${known}` : known;
}

/**
 * Runs what reads the values of options. An error about one (its message names it first or soon) gets the place where the statement gives it, since the
 * values have gone through other hands by then.
 */
export async function locatingOptions<T>(given: readonly Option[], run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof StreamError) || thrown.code !== 'OPTION_INVALID' || thrown.at !== undefined) throw thrown;
    const words = thrown.message.split(/[^a-z_]+/);
    const named = given.filter(({ name }) => words.includes(name));
    named.sort((a, b) => words.indexOf(a.name) - words.indexOf(b.name));
    if (named.length === 0) throw thrown;
    const { hint, sqlState } = thrown;
    throw new StreamError(thrown.code, thrown.message, {
      at: named[0].at,
      cause: thrown,
      ...(hint === undefined ? {} : { hint }),
      ...(sqlState === undefined ? {} : { sqlState }),
    });
  }
}

/** Milliseconds of each unit, by what the word for it may be. `m` is a minute: months have no fixed length. */
const UNITS: readonly (readonly [word: RegExp, ms: number])[] = [
  [/^(ms|milliseconds?)$/, 1],
  [/^(s|secs?|seconds?)$/, 1000],
  [/^(m|mins?|minutes?)$/, 60_000],
  [/^(h|hours?)$/, 3_600_000],
  [/^(d|days?)$/, 86_400_000],
];

/** `30s`, `500 ms`, `2 minutes` → milliseconds. */
export function parseDurationMs(text: string, name: string): number {
  const [, count, word] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim().toLowerCase()) ?? [];
  const unit = UNITS.find(([pattern]) => word !== undefined && pattern.test(word));
  if (unit === undefined) {
    throw new StreamError('OPTION_INVALID', `${name} = '${text}' is not a duration`, {
      hint: 'write a number and a unit: 500ms, 30s, 5 minutes, 1h, 1 day',
    });
  }
  return Math.round(Number(count) * unit[1]);
}

export function parseCount(text: string, name: string, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > most) {
    throw new StreamError('OPTION_INVALID', `${name} = '${text}': expected a whole number from 1 to ${most}`);
  }
  return value;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** `500MB`, `2 GiB`, `1000` → bytes. */
export function parseBytes(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?i?b)?$/i.exec(text.trim());
  const bytes = match === null ? 0 : Number(match[1]) * (UNIT_BYTES[(match[2] ?? 'b').toLowerCase()] ?? 0);
  if (bytes < 1) {
    throw new StreamError('OPTION_INVALID', `${name} = '${text}' is not a size`, {
      hint: 'write a number and a unit: 500MB, 2GB, 1GiB',
    });
  }
  return Math.round(bytes);
}
