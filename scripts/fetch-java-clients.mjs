// Fetches Apache Kafka's Java client and command-line tools from Maven Central into .cache/java-clients, for the tests in
// tests/clients. Needs java and mvn on the PATH. Prints the folder; does nothing when it is already there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const KAFKA_VERSION = '4.1.0';
const target = resolve(import.meta.dirname, '..', '.cache', 'java-clients', KAFKA_VERSION);

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>streamline.tests</groupId>
  <artifactId>java-clients</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
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
