/** Other names of functions, used where the table has no row of the first. */
export const SYNONYMS: Readonly<Record<string, string>> = {
  array_join: 'array_to_string',
  array_to_json: 'to_jsonb',
  ceiling: 'ceil',
  char_length: 'length',
  character_length: 'length',
  clock_timestamp: 'now',
  datediff: 'date_diff',
  day: 'dayofmonth',
  json_array_length: 'jsonb_array_length',
  mod: '%',
  mz_now: 'now',
  pow: 'power',
  regexp: 'regexp_like',
  row_to_json: 'to_jsonb',
  statement_timestamp: 'now',
  substring: 'substr',
  transaction_timestamp: 'now',
  truncate: 'trunc',
};

/** The same of functions in FROM. */
export const TABLE_SYNONYMS: Readonly<Record<string, string>> = {
  json_array_elements: 'jsonb_array_elements',
  json_array_elements_text: 'jsonb_array_elements_text',
  json_each: 'jsonb_each',
  json_each_text: 'jsonb_each_text',
  json_object_keys: 'jsonb_object_keys',
};

/** A call that stands for an expression over its arguments, which are written $1, $2 …. */
export interface Spelling {
  readonly means: string;
  readonly example: readonly [call: string, value: string];
}

/**
 * Calls of Postgres and Flink that others say as well, by `name/arguments`. The expression is bound in place of the call, so each argument should stand in it
 * once; one that depends on the clock is refused in a view as what it means is. A unit is the first word of the call: `timestampdiff(DAY, …)`.
 */
export const SPELLINGS: Readonly<Record<string, Spelling>> = {
  'age/1': { means: 'age(current_date::timestamp, $1)', example: ['age(current_date::timestamp)', '00:00:00'] },
  'array_dims/1': { means: "'[1:' || array_length($1, 1) || ']'", example: ['array_dims(ARRAY[7, 8, 9])', '[1:3]'] },
  'date_add/2': {
    means: '$1 + $2',
    example: ["date_add(timestamp '2026-01-31', interval '1 day')", '2026-02-01 00:00:00'],
  },
  'date_subtract/2': {
    means: '$1 - $2',
    example: ["date_subtract(timestamp '2026-01-01', interval '1 day')", '2025-12-31 00:00:00'],
  },
  'get_bit/2': { means: '(get_byte($1, $2 / 8) >> ($2 % 8)) & 1', example: ["get_bit('\\x05'::bytea, 2)", '1'] },
  'locate/2': { means: 'strpos($2, $1)', example: ["locate('b', 'abc')", '2'] },
  'make_interval/1': { means: 'make_interval($1, 0, 0, 0, 0, 0, 0)', example: ['make_interval(2)', '2 years'] },
  'make_interval/2': { means: 'make_interval($1, $2, 0, 0, 0, 0, 0)', example: ['make_interval(0, 3)', '3 mons'] },
  'make_interval/3': { means: 'make_interval($1, $2, $3, 0, 0, 0, 0)', example: ['make_interval(0, 0, 1)', '7 days'] },
  'make_interval/4': {
    means: 'make_interval($1, $2, $3, $4, 0, 0, 0)',
    example: ['make_interval(0, 0, 0, 10)', '10 days'],
  },
  'make_interval/5': {
    means: 'make_interval($1, $2, $3, $4, $5, 0, 0)',
    example: ['make_interval(0, 0, 0, 0, 10)', '10:00:00'],
  },
  'make_interval/6': {
    means: 'make_interval($1, $2, $3, $4, $5, $6, 0)',
    example: ['make_interval(0, 0, 0, 0, 0, 10)', '00:10:00'],
  },
  'regexp_count/3': {
    means: 'regexp_count(substr($1, $3), $2)',
    example: ["regexp_count('123456789012', '\\d\\d\\d', 2)", '3'],
  },
  'timestampadd/3 second': timestampAdd('second', "timestamp '2026-01-01 00:00:01'", '2026-01-01 00:00:04'),
  'timestampadd/3 minute': timestampAdd('minute', "timestamp '2026-01-01'", '2026-01-01 00:03:00'),
  'timestampadd/3 hour': timestampAdd('hour', "timestamp '2026-01-01'", '2026-01-01 03:00:00'),
  'timestampadd/3 day': timestampAdd('day', "timestamp '2026-01-01'", '2026-01-04 00:00:00'),
  'timestampadd/3 week': timestampAdd('week', "timestamp '2026-01-01'", '2026-01-22 00:00:00'),
  'timestampadd/3 month': timestampAdd('month', "timestamp '2026-01-31'", '2026-04-30 00:00:00'),
  'timestampadd/3 year': timestampAdd('year', "timestamp '2024-02-29'", '2027-02-28 00:00:00'),
  'timestampdiff/3 second': timestampDiff(1, 'second', '00:00:59.9', '59'),
  'timestampdiff/3 minute': timestampDiff(60, 'minute', '00:01:59', '1'),
  'timestampdiff/3 hour': timestampDiff(3600, 'hour', '23:59:59', '23'),
  'timestampdiff/3 day': timestampDiff(86_400, 'day', '23:59:59', '0'),
  'timestampdiff/3 week': timestampDiff(604_800, 'week', '23:59:59', '0'),
  'timestampdiff/3 month': {
    means: `(extract(year FROM age($3, $2)) * 12 + extract(month FROM age($3, $2)))::integer`,
    example: ["timestampdiff(month, timestamp '2026-01-31', timestamp '2026-03-30')", '1'],
  },
  'timestampdiff/3 year': {
    means: 'extract(year FROM age($3, $2))::integer',
    example: ["timestampdiff(year, timestamp '2024-02-29', timestamp '2026-02-28')", '1'],
  },
  'unix_timestamp/0': { means: 'unix_timestamp(now())', example: ['unix_timestamp() > 0', 'true'] },
  'uuid/0': { means: 'gen_random_uuid()::varchar', example: ['length(uuid())', '36'] },
};

/** So many units later, as Flink has it. */
function timestampAdd(unit: string, from: string, value: string): Spelling {
  return { means: `$3 + $2 * INTERVAL '1 ${unit}'`, example: [`timestampadd(${unit}, 3, ${from})`, value] };
}

/** Whole units between, as Flink and MySQL count them, and not the borders that lie between. */
function timestampDiff(seconds: number, unit: string, to: string, value: string): Spelling {
  return {
    means: `trunc(extract(epoch FROM ($3 - $2)) / ${seconds})::integer`,
    example: [`timestampdiff(${unit}, timestamp '2026-01-01', timestamp '2026-01-01 ${to}')`, value],
  };
}
