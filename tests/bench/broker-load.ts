import { WireClient } from '../../src/playground/wire-client.ts';
import { ERROR_CODES } from '../../src/protocol/error-codes.ts';

export interface FetchLoad {
  readonly address: string;
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
}

export interface ProduceLoad extends FetchLoad {
  readonly recordBytes: number;
  readonly acks: '0' | '1' | 'all';
  readonly codec: string;
}

/** From a record's send to its acknowledgement; both tools gather for 5 ms, their default. */
export interface LatencyMs {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** A client in a process of its own; nobody of this project wrote it. Figures are records a second. */
export interface LoadTool {
  readonly name: string;
  /** Brings the program when it is not there; a text says why it cannot run here. */
  prepare(): string | undefined;
  produce(load: ProduceLoad): Promise<number>;
  /** Reads the topic from its beginning. */
  fetch(load: FetchLoad): Promise<number>;
  /** Sends at a rate. */
  latency(load: ProduceLoad, perSecond: number): Promise<LatencyMs>;
}

const TIMEOUT_MS = 30_000;

/** The same request to every broker, so that no tool's start counts. */
export async function createTopic(address: string, name: string, numPartitions: number): Promise<void> {
  const client = await WireClient.connect(address);
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
  const answer = await client.call('createTopics', 7, { topics: [topic], timeoutMs: TIMEOUT_MS, validateOnly: false });
  client.close();
  const { errorCode } = answer.topics[0];
  if (errorCode !== ERROR_CODES.NONE) throw new Error(`topic ${name} was not created: error ${errorCode}`);
}

export async function deleteTopic(address: string, name: string): Promise<void> {
  const client = await WireClient.connect(address);
  await client.call('deleteTopics', 5, { topicNames: [name], timeoutMs: TIMEOUT_MS });
  client.close();
}
