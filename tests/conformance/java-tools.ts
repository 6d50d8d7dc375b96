import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../clients/programs.ts';
import { javaClasspath, prepareJava } from '../support/java.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import { javaUpgrade, UPGRADE_CASE } from './java-upgrade.ts';
import { type Judge, WITH_ACLS } from './judge.ts';

const HEADER_BYTES = 64;
/** Of the topic that most cases use. */
const PARTITIONS = 5;

interface Context {
  readonly bootstrap: string;
  readonly dataDir: string;
  readonly work: string;
}

/** One call of a tool: its main class, its arguments, and what its output must show. Cases build on each other, in order. */
interface ToolCase {
  readonly name: string;
  readonly main: string;
  readonly args: (context: Context) => readonly string[];
  readonly input?: string;
  readonly shows: RegExp;
}

const T = 'org.apache.kafka.tools';
const bootstrap = ({ bootstrap: address }: Context): readonly string[] => ['--bootstrap-server', address];
const on =
  (...args: string[]) =>
  (context: Context): readonly string[] => [...bootstrap(context), ...args];

const CASES: readonly ToolCase[] = [
  {
    name: 'kafka-broker-api-versions',
    main: `${T}.BrokerApiVersionsCommand`,
    args: on(),
    shows: /Produce\(0\)[\s\S]*Fetch\(1\)/,
  },
  {
    name: 'kafka-topics --create',
    main: `${T}.TopicCommand`,
    args: on('--create', '--topic', 'made', '--partitions', '3', '--config', 'retention.ms=60000'),
    shows: /Created topic made/,
  },
  {
    name: 'kafka-topics --describe',
    main: `${T}.TopicCommand`,
    args: on('--describe', '--topic', 'made'),
    shows: /PartitionCount: 3[\s\S]*retention\.ms=60000/,
  },
  {
    name: 'kafka-topics --alter',
    main: `${T}.TopicCommand`,
    args: on('--alter', '--topic', 'made', '--partitions', '5'),
    shows: /^/,
  },
  { name: 'kafka-topics --list', main: `${T}.TopicCommand`, args: on('--list'), shows: /^made$/m },
  {
    name: 'kafka-producer-perf-test',
    main: `${T}.ProducerPerformance`,
    args: ({ bootstrap: b }) => [
      '--topic',
      'perf',
      '--num-records',
      '50000',
      '--record-size',
      '1000',
      '--throughput',
      '-1',
      '--producer-props',
      `bootstrap.servers=${b}`,
      'acks=all',
    ],
    shows: /50000 records sent/,
  },
  {
    name: 'kafka-consumer-perf-test',
    main: `${T}.ConsumerPerformance`,
    args: on('--topic', 'perf', '--messages', '50000', '--timeout', '30000'),
    shows: /, 50000, /,
  },
  {
    name: 'kafka-e2e-latency',
    main: `${T}.EndToEndLatency`,
    args: ({ bootstrap: b }) => [b, 'latency', '200', 'all', '100'],
    shows: /Avg latency/,
  },
  {
    name: 'kafka-verifiable-producer',
    main: `${T}.VerifiableProducer`,
    args: on('--topic', 'verified', '--max-messages', '1000', '--acks', '-1'),
    shows: /"acked":1000/,
  },
  {
    name: 'kafka-verifiable-consumer',
    main: `${T}.VerifiableConsumer`,
    args: on('--topic', 'verified', '--group-id', 'verifier', '--max-messages', '1000', '--reset-policy', 'earliest'),
    shows: /records_consumed[\s\S]*shutdown_complete/,
  },
  {
    name: 'kafka-verifiable-consumer, group protocol consumer',
    main: `${T}.VerifiableConsumer`,
    args: on(
      '--topic',
      'verified',
      '--group-id',
      'verifier-848',
      '--max-messages',
      '1000',
      '--reset-policy',
      'earliest',
      '--group-protocol',
      'consumer',
    ),
    shows: /records_consumed[\s\S]*shutdown_complete/,
  },
  {
    name: 'kafka-console-producer',
    main: `${T}.ConsoleProducer`,
    args: on('--topic', 'console', '--property', 'parse.key=true', '--property', 'key.separator=:'),
    input: 'a:1\nb:2\na:3\n',
    shows: /^/,
  },
  {
    name: 'kafka-console-consumer',
    main: `${T}.consumer.ConsoleConsumer`,
    args: on(
      '--topic',
      'console',
      '--from-beginning',
      '--max-messages',
      '3',
      '--timeout-ms',
      '20000',
      '--group',
      'console-group',
    ),
    shows: /^1\n2\n3\n/m,
  },
  { name: 'kafka-get-offsets', main: `${T}.GetOffsetShell`, args: on('--topic', 'console'), shows: /console:0:3/ },
  {
    name: 'kafka-consumer-groups --list',
    main: `${T}.consumer.group.ConsumerGroupCommand`,
    args: on('--list'),
    shows: /console-group/,
  },
  {
    name: 'kafka-consumer-groups --describe',
    main: `${T}.consumer.group.ConsumerGroupCommand`,
    args: on('--describe', '--group', 'console-group'),
    shows: /console-group\s+console\s+0\s+3\s+3\s+0/,
  },
  {
    name: 'kafka-consumer-groups --reset-offsets',
    main: `${T}.consumer.group.ConsumerGroupCommand`,
    args: on('--reset-offsets', '--group', 'console-group', '--topic', 'console', '--to-earliest', '--execute'),
    shows: /console\s+0\s+0/,
  },
  {
    name: 'kafka-consumer-groups --delete',
    main: `${T}.consumer.group.ConsumerGroupCommand`,
    args: on('--delete', '--group', 'console-group'),
    shows: /successful/,
  },
  { name: 'kafka-groups --list', main: `${T}.GroupsCommand`, args: on('--list'), shows: /verifier-848\s+Consumer/ },
  {
    name: 'kafka-configs --alter (topic)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--alter', '--entity-type', 'topics', '--entity-name', 'made', '--add-config', 'max.message.bytes=2000'),
    shows: /Completed updating config/,
  },
  {
    name: 'kafka-configs --describe (topic, all)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--describe', '--all', '--entity-type', 'topics', '--entity-name', 'made'),
    shows: /max\.message\.bytes=2000[\s\S]*synonyms/,
  },
  {
    name: 'kafka-configs --describe (broker, all)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--describe', '--all', '--entity-type', 'brokers', '--entity-name', '1'),
    shows: /num\.partitions=/,
  },
  {
    name: 'kafka-configs --alter (broker)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--entity-type', 'brokers', '--entity-name', '1', '--alter', '--add-config', 'log.retention.ms=60000000'),
    shows: /Completed updating config for broker 1/,
  },
  {
    name: 'kafka-configs --alter (default of brokers)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--entity-type', 'brokers', '--entity-default', '--alter', '--add-config', 'max.connections.per.ip=1000'),
    shows: /Completed updating default config for brokers/,
  },
  {
    name: 'kafka-configs --describe (broker)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--entity-type', 'brokers', '--entity-name', '1', '--describe'),
    shows: /log\.retention\.ms=60000000[\s\S]*DYNAMIC_BROKER_CONFIG/,
  },
  {
    name: 'kafka-configs --alter (group)',
    main: 'kafka.admin.ConfigCommand',
    args: on(
      '--entity-type',
      'groups',
      '--entity-name',
      'g',
      '--alter',
      '--add-config',
      'consumer.session.timeout.ms=50000',
    ),
    shows: /Completed updating config for group g/,
  },
  {
    name: 'kafka-configs --describe (group)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--entity-type', 'groups', '--entity-name', 'g', '--describe'),
    shows: /consumer\.session\.timeout\.ms=50000[\s\S]*GROUP_CONFIG/,
  },
  {
    name: 'kafka-configs --alter (SCRAM user)',
    main: 'kafka.admin.ConfigCommand',
    args: on(
      '--alter',
      '--entity-type',
      'users',
      '--entity-name',
      'ada',
      '--add-config',
      'SCRAM-SHA-512=[iterations=8192,password=secret]',
    ),
    shows: /Completed updating config/,
  },
  {
    name: 'kafka-configs --describe (SCRAM user)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--describe', '--entity-type', 'users', '--entity-name', 'ada'),
    shows: /SCRAM-SHA-512=iterations=8192/,
  },
  {
    name: 'kafka-configs --alter (quota)',
    main: 'kafka.admin.ConfigCommand',
    args: on(
      '--alter',
      '--entity-type',
      'clients',
      '--entity-name',
      'c1',
      '--add-config',
      'producer_byte_rate=1000000',
    ),
    shows: /Completed updating config/,
  },
  {
    name: 'kafka-configs --describe (quota)',
    main: 'kafka.admin.ConfigCommand',
    args: on('--describe', '--entity-type', 'clients', '--entity-name', 'c1'),
    shows: /producer_byte_rate=1000000/,
  },
  {
    name: 'kafka-acls --add',
    main: `${T}.AclCommand`,
    args: on('--add', '--allow-principal', 'User:ada', '--operation', 'Read', '--topic', 'made'),
    shows: /operation=READ/,
  },
  { name: 'kafka-acls --list', main: `${T}.AclCommand`, args: on('--list'), shows: /principal=User:ada/ },
  {
    name: 'kafka-acls --remove',
    main: `${T}.AclCommand`,
    args: on('--remove', '--force', '--allow-principal', 'User:ada', '--operation', 'Read', '--topic', 'made'),
    shows: /^/,
  },
  {
    name: 'kafka-delete-records',
    main: `${T}.DeleteRecordsCommand`,
    args: (context) => {
      writeFileSync(
        join(context.work, 'delete.json'),
        '{"version":1,"partitions":[{"topic":"console","partition":0,"offset":2}]}',
      );
      return [...bootstrap(context), '--offset-json-file', join(context.work, 'delete.json')];
    },
    shows: /low_watermark: 2/,
  },
  { name: 'kafka-log-dirs', main: `${T}.LogDirsCommand`, args: on('--describe'), shows: /"partition":"console-0"/ },
  {
    name: 'kafka-metadata-quorum',
    main: `${T}.MetadataQuorumCommand`,
    args: on('describe', '--status'),
    shows: /LeaderId/,
  },
  {
    name: 'kafka-features',
    main: `${T}.FeatureCommand`,
    args: on('describe'),
    shows: /transaction\.version|group\.version/,
  },
  {
    name: 'kafka-leader-election',
    main: `${T}.LeaderElectionCommand`,
    args: on('--election-type', 'preferred', '--all-topic-partitions'),
    shows: /^/,
  },
  {
    name: 'kafka-client-metrics',
    main: `${T}.ClientMetricsCommand`,
    args: on('--alter', '--name', 'all', '--interval', '1000', '--metrics', 'org.apache.kafka.producer.'),
    shows: /Altered client metrics config/,
  },
  {
    name: 'kafka-cluster cluster-id',
    main: `${T}.ClusterTool`,
    args: (context) => ['cluster-id', ...bootstrap(context)],
    shows: /Cluster ID: \S{22}/,
  },
  {
    name: 'TransactionalMessageCopier',
    main: `${T}.TransactionalMessageCopier`,
    args: ({ bootstrap: b }) => [
      '--broker-list',
      b,
      '--input-topic',
      'verified',
      '--input-partition',
      '0',
      '--output-topic',
      'copied',
      '--max-messages',
      '1000',
      '--consumer-group',
      'copiers',
      '--transaction-size',
      '75',
      '--transactional-id',
      'copier',
    ],
    shows: /"remaining":"?0"?/,
  },
  {
    name: 'kafka-console-consumer, read_committed',
    main: `${T}.consumer.ConsoleConsumer`,
    args: on(
      '--topic',
      'copied',
      '--from-beginning',
      '--max-messages',
      '1000',
      '--timeout-ms',
      '20000',
      '--isolation-level',
      'read_committed',
    ),
    shows: /^999$/m,
  },
  {
    name: 'kafka-transactions list',
    main: `${T}.TransactionsCommand`,
    args: on('list'),
    shows: /copier\s+\d+\s+\d+\s+CompleteCommit/,
  },
  {
    name: 'kafka-transactions describe',
    main: `${T}.TransactionsCommand`,
    args: on('describe', '--transactional-id', 'copier'),
    shows: /CompleteCommit/,
  },
  {
    name: 'kafka-transactions describe-producers',
    main: `${T}.TransactionsCommand`,
    args: on('describe-producers', '--topic', 'copied', '--partition', '0'),
    shows: /ProducerId/,
  },
  {
    name: 'kafka-dump-log over a STRM file without its header',
    main: 'kafka.tools.DumpLogSegments',
    args: (context) => ['--deep-iteration', '--print-data-log', '--files', kafkaLog(context, 'verified')],
    shows: /offset: 999 [\s\S]*payload: 999/,
  },
  { name: 'kafka-topics --delete', main: `${T}.TopicCommand`, args: on('--delete', '--topic', 'made'), shows: /^/ },
];

/** The first segment of a topic's partition 0 as Kafka's own file: everything behind the header. */
function kafkaLog({ dataDir, work }: Context, topic: string): string {
  const segments = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.strm'));
  const found = segments.find((path) => path.includes(`${topic}-0/`)) ?? segments.find((path) => path.includes(topic));
  const file = join(work, '00000000000000000000.log');
  if (found !== undefined) writeFileSync(file, readFileSync(join(dataDir, found)).subarray(HEADER_BYTES));
  return file;
}

export const javaTools: Judge = {
  name: 'java',
  title: "Apache Kafka's Java client and command-line tools 4.1",
  prepare: async () => prepareJava(),
  async run(_cache, report, only) {
    const directory = temporaryDirectory();
    const work = temporaryDirectory();
    const server = await ServerProcess.start(directory.path, WITH_ACLS);
    const isWanted = (name: string): boolean => only.length === 0 || only.some((part) => name.includes(part));
    const context = { bootstrap: server.kafka, dataDir: directory.path, work: work.path };
    for (const { name, main, args, input, shows } of CASES) {
      // While the topic that it reads is there.
      if (name === 'kafka-topics --delete' && isWanted(UPGRADE_CASE))
        report(await javaUpgrade(server.kafka, PARTITIONS));
      if (!isWanted(name)) continue;
      const started = performance.now();
      try {
        const flags = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', javaClasspath(), main];
        const out = await run('java', [...flags, ...args(context)], input, 120_000);
        const seconds = (performance.now() - started) / 1000;
        if (shows.test(out)) report({ name, outcome: 'pass', seconds });
        else report({ name, outcome: 'fail', note: `printed: ${out.slice(-300)}`, seconds });
      } catch (error) {
        report({
          name,
          outcome: 'fail',
          note: String(error)
            .replace(/^.*ended with/s, 'ended with')
            .slice(0, 300),
        });
      }
    }
    await server.stop();
    directory.remove();
    work.remove();
  },
};
