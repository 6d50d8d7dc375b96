// Fetches jars from Maven Central for tests and benches, into .cache. Needs java and mvn on the PATH.
//   node scripts/fetch-java-clients.mjs          Apache Kafka's Java client and command-line tools
//   node scripts/fetch-java-clients.mjs flink    Apache Flink with its Kafka connector (192 MB)
// Prints the folder; does nothing when it is already there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const SETS = {
  kafka: {
    folder: 'java-clients/4.1.0',
    jars: ['org.apache.kafka:kafka-tools:4.1.0', 'org.apache.kafka:kafka_2.13:4.1.0'],
  },
  flink: {
    folder: 'flink/2.2.1',
    jars: [
      'org.apache.flink:flink-table-api-java-bridge:2.2.1',
      'org.apache.flink:flink-table-planner-loader:2.2.1',
      'org.apache.flink:flink-table-runtime:2.2.1',
      'org.apache.flink:flink-clients:2.2.1',
      'org.apache.flink:flink-json:2.2.1',
      'org.apache.flink:flink-connector-base:2.2.1',
      'org.apache.flink:flink-statebackend-rocksdb:2.2.1',
      'org.apache.flink:flink-connector-kafka:5.0.0-2.2',
    ],
  },
};

const set = SETS[process.argv[2] ?? 'kafka'];
const target = resolve(import.meta.dirname, '..', '.cache', set.folder);

const dependency = (jar) => {
  const [group, artifact, version] = jar.split(':');
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
};
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>streamline.tests</groupId>
  <artifactId>jars</artifactId>
  <version>1</version>
  <dependencies>
    ${set.jars.map(dependency).join('\n    ')}
  </dependencies>
</project>
`;

if (!existsSync(target)) {
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'java-clients-'));
  try {
    writeFileSync(join(work, 'pom.xml'), POM);
    const jars = `${target}.part`;
    rmSync(jars, { recursive: true, force: true });
    const maven = spawnSync(
      'mvn',
      ['-B', '-q', '-f', join(work, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    if (maven.error) throw maven.error;
    if (maven.status !== 0) process.exit(maven.status ?? 1);
    renameSync(jars, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
console.log(target);
