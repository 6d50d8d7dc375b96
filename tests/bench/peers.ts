import { ServerProcess } from '../support/process.ts';
import { ApacheKafka, answering, freePort } from './apache-kafka.ts';

/** A broker under test: ours or Apache Kafka, both with the settings they come with. */
export interface Peer {
  readonly name: 'streamline' | 'kafka';
  readonly address: string;
  readonly pid: number;
  /** From spawning the process to the answer to a first request. */
  readonly startMs: number;
  kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export type StartPeer = (directory: string) => Promise<Peer>;

export const startOurs =
  (args: readonly string[]): StartPeer =>
  async (directory) => {
    const port = await freePort();
    const began = performance.now();
    const starting = ServerProcess.start(directory, ['--kafka-listen', `127.0.0.1:${port}`, ...args]);
    // A server that does not start is told by `starting`.
    let failed = false;
    starting.catch(() => {
      failed = true;
    });
    await answering(port, () => !failed).catch(() => {});
    const startMs = performance.now() - began;
    const server = await starting;
    const kill = async (signal: string): Promise<void> =>
      void (await (signal === 'SIGKILL' ? server.kill() : server.stop()));
    return { name: 'streamline', address: server.kafka, pid: server.pid, startMs, kill };
  };

export const startKafka: StartPeer = async (directory) => {
  const kafka = await ApacheKafka.start(directory, await freePort());
  const { address, pid, startMs } = kafka;
  return { name: 'kafka', address, pid, startMs, kill: (signal) => kafka.kill(signal) };
};
