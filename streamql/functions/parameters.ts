/** The names of arguments as Postgres has them, for `name => value`; a default in place of an argument that is left out. */
export const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  jsonb_insert: ['jsonb_in', 'path', 'replacement', 'insert_after = false'],
  jsonb_set: ['jsonb_in', 'path', 'replacement', 'create_if_missing = true'],
  make_date: ['year', 'month', 'day'],
  make_interval: ['years = 0', 'months = 0', 'weeks = 0', 'days = 0', 'hours = 0', 'mins = 0', 'secs = 0'],
  make_time: ['hour', 'min', 'sec'],
  make_timestamp: ['year', 'month', 'mday', 'hour', 'min', 'sec'],
  make_timestamptz: ['year', 'month', 'mday', 'hour', 'min', 'sec', "timezone = 'UTC'"],
};
