import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { javaClasspath } from '../support/java.ts';

const QUIET_LOG4J = 'rootLogger.level = OFF\n';

/** A real Apache Kafka on this machine: one KRaft node, default settings, from the jars of the Java clients. */
export class ApacheKafka {
  readonly address: string;
  /** From spawning the formatted node to the answer to a first request. */
  readonly startMs: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: string, startMs: number) {
    this.#child = child;
    this.address = address;
    this.startMs = startMs;
  }

  /** Formats the directory unless that was done, starts the node and waits until its port answers. */
  static async start(directory: string, port?: number): Promise<ApacheKafka> {
    const [client, controller] = [port ?? (await freePort()), await freePort()];
    mkdirSync(directory, { recursive: true });
    const config = join(directory, 'server.properties');
    const logging = join(directory, 'log4j2.properties');
    writeFileSync(logging, QUIET_LOG4J);
    writeFileSync(
      config,
      [
        'process.roles=broker,controller',
        'node.id=1',
        `controller.quorum.voters=1@127.0.0.1:${controller}`,
        `listeners=PLAINTEXT://127.0.0.1:${client},CONTROLLER://127.0.0.1:${controller}`,
        'controller.listener.names=CONTROLLER',
        `log.dirs=${join(directory, 'logs')}`,
        'offsets.topic.replication.factor=1',
        'transaction.state.log.replication.factor=1',
        'transaction.state.log.min.isr=1',
      ].join('\n'),
    );
    const java = ['-Xmx1G', '-Xms1G', `-Dlog4j2.configurationFile=${logging}`, '-cp', javaClasspath()];
    const id = randomBytes(16).toString('base64url');
    spawnSync('java', [...java, 'kafka.tools.StorageTool', 'format', '--ignore-formatted', '-t', id, '-c', config], {
      stdio: 'ignore',
    });
    const began = performance.now();
    const child = spawn('java', [...java, 'kafka.Kafka', config], { stdio: 'ignore' });
    await answering(client, () => child.exitCode === null);
    return new ApacheKafka(child, `127.0.0.1:${client}`, performance.now() - began);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  kill(signal: NodeJS.Signals): Promise<void> {
    return new Promise((done) => {
      this.#child.once('exit', () => done());
      this.#child.kill(signal);
    });
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** ApiVersions v0: length, key 18, version 0, correlation id 1, no client id. */
const API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]);

/** Until a broker answers its first request. A listening socket is not enough: Kafka binds its port before it answers. */
export async function answering(port: number, alive: () => boolean): Promise<void> {
  for (;;) {
    if (!alive()) throw new Error('the broker ended at its start');
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(API_VERSIONS));
      socket.once('data', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false)).once('close', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
