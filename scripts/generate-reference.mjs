// Writes docs/reference/{errors,settings,topics,broker,http,functions}.md from the tables that the code uses. Run by `npm run docs`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const built = (path) => import(join(root, 'dist', path));
const [
  { ERRORS },
  { SETTINGS },
  { ROUTES },
  { defaultText },
  { FUNCTIONS },
  { TOPIC_CONFIG },
  { AGGREGATES },
  { exampleOf },
  { TABLE_FUNCTIONS },
  { WINDOW_FUNCTIONS },
  { SPELLINGS, SYNONYMS, TABLE_SYNONYMS },
  { PARAMETERS },
  { BROKER_CONFIG, GROUP_CONFIG, isFixed },
  { BROKER_DEFAULTS },
] = await Promise.all([
  built('src/lib/errors.js'),
  built('src/config.js'),
  built('src/server/server.js'),
  built('src/cli/start.js'),
  built('streamql/functions/functions.js'),
  built('src/storage/topic-config.js'),
  built('streamql/functions/aggregates.js'),
  built('streamql/functions/examples.js'),
  built('streamql/functions/table-functions.js'),
  built('streamql/functions/window-functions.js'),
  built('streamql/functions/spellings.js'),
  built('streamql/functions/parameters.js'),
  built('src/broker/broker-config-rows.js'),
  built('src/broker/broker-settings.js'),
]);

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const write = (name, lines) => writeFileSync(join(root, 'docs/reference', name), `${lines.join('\n')}\n`);

write('errors.md', [
  '# Errors',
  '',
  'Over HTTP an error is `application/problem+json` with `code`, `detail`, and where they help `position` and `hint`. In a',
  'dead-letter relation (`<source>$errors`, `<view>$errors`) the code stands in column `code`.',
  '',
  '| code | HTTP | who acts | retry | meaning and next step |',
  '| --- | --- | --- | --- | --- |',
  ...Object.entries(ERRORS).map(
    ([code, row]) => `| \`${code}\` | ${row.http} | ${row.fault} | ${row.retry ? 'yes' : 'no'} | ${cell(row.doc)} |`,
  ),
]);
write('settings.md', [
  '# Settings of `streamline start`',
  '',
  'A flag beats the environment, which beats the file given with `-c`, which beats the default. In the TOML file a name with a',
  'dot is a key in a table: `kafka.listen` is `listen` under `[kafka]`.',
  '',
  '| flag | environment | file | default | meaning |',
  '| --- | --- | --- | --- | --- |',
  ...Object.values(SETTINGS).map(
    (row) =>
      `| \`--${row.flag}\` | \`${row.env}\` | \`${row.name}\` | ${defaultText(row.default)} | ${cell(row.doc)} |`,
  ),
]);
write('topics.md', [
  '# Settings of topics',
  '',
  "Given at creation (`POST /api/v1/topics`, any Kafka admin client) or altered later. Names, types and defaults are Kafka's where Kafka",
  'has the setting; one that is not listed is refused.',
  '',
  '| setting | type | default | must be | meaning |',
  '| --- | --- | --- | --- | --- |',
  ...TOPIC_CONFIG.map(
    (row) => `| \`${row.name}\` | ${row.type} | ${row.default} | ${cell(row.allowed)} | ${cell(row.doc)} |`,
  ),
]);
write('broker.md', [
  '# Settings of the broker and of groups',
  '',
  'As Kafka names and counts them. Those of the broker are changed while it runs by IncrementalAlterConfigs (`kafka-configs --alter --entity-type brokers`), for the',
  'one broker (`--entity-name 1`) or as the default of all (`--entity-default`): the first goes before the second, that before what the server was started with. A change is',
  'durable and holds at once. What is not listed, or has one value only, is refused.',
  '',
  '| setting | type | default | must be | meaning |',
  '| --- | --- | --- | --- | --- |',
  ...BROKER_CONFIG.map(
    (row) =>
      `| \`${row.name}\` | ${row.type} | ${row.default} | ${isFixed(row) ? 'cannot be changed' : cell(row.allowed)} | ${cell(row.doc)} |`,
  ),
  '',
  '## Groups of the consumer protocol',
  '',
  "Set for a single group (`kafka-configs --alter --entity-type groups --entity-name NAME`), in place of the broker's setting.",
  '',
  '| setting | between, unless the broker is told otherwise | meaning |',
  '| --- | --- | --- |',
  ...GROUP_CONFIG.map(
    ({ name, least, most, doc }) =>
      `| \`${name}\` | ${BROKER_DEFAULTS[least]} and ${BROKER_DEFAULTS[most]} | ${cell(doc)} |`,
  ),
]);
write('http.md', [
  '# HTTP',
  '',
  'The exact shapes are in `GET /openapi.json`, which is made from the same table as this page.',
  '',
  '| route | what it does |',
  '| --- | --- |',
  ...ROUTES.map((route) => `| \`${route.method} ${route.url}\` | ${cell(route.summary)} |`),
  '| `GET /graphql` | GraphQL queries, and subscriptions over server-sent events and graphql-ws. |',
  '| `POST /graphql` | GraphQL queries and mutations. |',
  '',
  "Rows come as JSON, or as the request's `Accept` says: `application/x-ndjson`, `text/csv`, `application/vnd.apache.arrow.stream`.",
  '',
  'Of `POST /api/v1/sql` a result of kind `ok` has a `tag`, and where there is something to say a `notice` (what was not as asked for) and',
  '`warnings`, a list of `{"message", "hint"}` such as of state without bound. Rows of a source come with a warning when records were left out that are not what it declares.',
  '',
  '`GET /api/v1/pipelines/<name>` answers why something is slow, big, stuck or wrong:',
  '',
  '| field | what it tells |',
  '| --- | --- |',
  '| `state`, `error` | `running`, `paused` or `failed`, and the cause: in which operator, or that `max_state` is exceeded |',
  '| `rates` | over the last ten seconds of work: `rowsInPerSecond`, `rowsOutPerSecond`, `busyShare` (of one core, 0 to 1), `stateBytesPerHour` |',
  '| `watermark`, `watermarkLagMs`, `late` | how far event time has come in what it reads, how far that is behind the clock, rows that came behind it |',
  '| `lag`, `recordsBehind` | of a source, records not read yet; of a query that catches up, records to go |',
  '| `errors` | dead letters so far, which are rows of `<name>$errors` |',
  '| `stateRows`, `stateBytes`, `spilledBytes` | what is kept in memory, and texts on disk |',
  '| `operators` | the same of each, with `inputs`, `changelog`, `rowsIn`, `rowsOut`, `busyMs`, `usedBytes` (of `stateBytes`, what rows use) and `growth`: `bounded`, `keys` or `unbounded`, with `reason` and `fix` |',
  '',
  'A GraphQL document may have 10,000 tokens, and it and its variables 100 levels; beyond it is refused (`SQL_LIMIT`).',
  '',
  'There is no password yet, so what a browser sends from a page of another address than this machine or the server itself is',
  'refused (`ORIGIN_REFUSED`), WebSockets included. Clients that are no browsers send no `Origin` and are not concerned.',
]);
const byName = [...FUNCTIONS.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
write('functions.md', [
  '# Functions',
  '',
  '## Aggregates',
  '',
  'Each is incremental also where rows are taken back, and takes `FILTER (WHERE …)`; `DISTINCT` where it makes a difference. The examples',
  "are over a table `t` of the rows (s 'a', n 1, x 1), ('b', 2, 2), ('b', 2, 3) and ('c', 4, 4).",
  '',
  '| call | meaning | example | is |',
  '| --- | --- | --- | --- |',
  ...[...AGGREGATES.values()].map(
    (row) => `| \`${row.signature}\` | ${cell(row.doc)} | \`${cell(row.example[0])}\` | \`${row.example[1]}\` |`,
  ),
  '',
  '## Window functions',
  '',
  'Called with `OVER (PARTITION BY … ORDER BY … frame)`. Without a frame a call sees the rows up to and with its peers, without ORDER BY the',
  'whole partition. Aggregates take `FILTER (WHERE …)`.',
  '',
  '| call | meaning |',
  '| --- | --- |',
  ...[...WINDOW_FUNCTIONS.values()].map((row) => `| \`${row.signature}\` | ${cell(row.doc)} |`),
  '',
  '## Functions in FROM',
  '',
  'Their arguments may name columns of the tables before them in FROM. `WITH ORDINALITY` adds the number of the row from 1.',
  '',
  '| call | meaning |',
  '| --- | --- |',
  ...[...TABLE_FUNCTIONS.values()].map((row) => `| \`${row.name}(${row.signature})\` | ${cell(row.doc)} |`),
  '',
  '## Scalar functions and operators',
  '',
  'Regular expressions have the syntax of RE2: their time is linear in the text; there is no lookaround and no reference back, and of',
  'alternatives the first that matches wins.',
  '',
  '| name | arguments | meaning | example | is |',
  '| --- | --- | --- | --- | --- |',
  ...byName.map((row) => {
    const example = exampleOf(row)?.map((text) => `\`${cell(text)}\``) ?? ['', ''];
    const args = `${row.args.join(', ')}${row.variadic ? ', …' : ''}`;
    return `| \`${cell(row.name)}\` | ${args} | ${cell(row.doc)} | ${example.join(' | ')} |`;
  }),
  '',
  '## Other spellings',
  '',
  `Other names: ${[...Object.entries(SYNONYMS), ...Object.entries(TABLE_SYNONYMS)].map(([name, same]) => `\`${name}\` (${same})`).join(', ')}.`,
  '',
  `Arguments that have names, with defaults for those that may be left out: ${Object.entries(PARAMETERS)
    .map(([name, all]) => `\`${name}(${all.join(', ')})\``)
    .join(', ')}.`,
  '',
  '| call | means | example | is |',
  '| --- | --- | --- | --- |',
  ...Object.entries(SPELLINGS).map(
    ([key, { means, example }]) =>
      `| \`${key.replace(/\/\d+ ?/, ' ').trim()}\` | \`${cell(means)}\` | \`${cell(example[0])}\` | \`${example[1]}\` |`,
  ),
]);
