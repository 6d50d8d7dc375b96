import { randomUUID } from 'node:crypto';
import { type Clock, systemClock, type Timer } from '../lib/clock.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import { type Log, silentLog } from '../lib/log.ts';
import type { Disk, DurableDisk } from '../ports/disk.ts';
import { isInternalTopic } from '../ports/internal-topics.ts';
import type { NewRecord, PartitionBounds, TopicInfo, TopicLog } from '../ports/topic-log.ts';
import { encodeChecked } from './checked-file.ts';
import { readCommitted } from './committed-read.ts';
import { DataDirLock } from './data-dir-lock.ts';
import { MemoryDisk } from './disk/memory-disk.ts';
import { NodeDisk } from './disk/node-disk.ts';
import type { KeyRing } from './encryption.ts';
import { LogShared } from './log-shared.ts';
import { MetadataFile, type TopicRow } from './metadata.ts';
import { PartitionLog } from './partition-log.ts';
import { appendError, encodeRecordSet } from './record-set.ts';
import { checkTopicConfig, TOPIC_CONFIG, type TopicConfigRow, topicSettings } from './topic-config.ts';
import { readWal, Wal } from './wal.ts';

const CLEAN_MARKER = 'clean-shutdown';
/** There after a sync failed, until a start has written again what that one should have. */
const FAILED_MARKER = 'storage-failed';
const TOPICS = 'topics';
const OFFLINE_HINT = 'restore the file from a copy and start again, or delete the topic';
const MOST_PARTITIONS = 10_000;
/** Partitions opened at the same time: enough to keep two cores and the disk busy. */
const OPEN_AT_ONCE = 4;

export interface StorageOptions {
  /** The data directory; it is locked. Without it there must be a disk or `inMemory`. */
  readonly dir?: string | null;
  readonly inMemory?: boolean;
  /** Defaults to the real one at `dir`. */
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Topic ids, UUIDs as text; random unless told otherwise. */
  readonly newId?: () => string;
  /** Topic settings that differ from TOPIC_CONFIG's defaults for topics that do not set them. */
  readonly topicDefaults?: Readonly<Record<string, string>>;
  /** Memory for recently appended batches. */
  readonly tailCacheBytes?: number;
  /** Bytes that may wait for the disk before appends are refused. */
  readonly pendingBytes?: number;
  /** How often retention is applied. */
  readonly retentionCheckMs?: number;
  /** How often compacted topics are looked at (log.cleaner.backoff.ms). */
  readonly compactionCheckMs?: number;
  /** For topics with streamline.encryption. */
  readonly keys?: KeyRing;
  /** Size of each of the two files of the write-ahead log. */
  readonly walFileBytes?: number;
}

interface Topic {
  row: TopicRow;
  readonly directory: string;
  readonly logs: PartitionLog[];
}

/** A setting as it is in force for a topic. */
export interface EffectiveSetting {
  readonly row: TopicConfigRow;
  readonly value: string;
  readonly source: 'topic' | 'server' | 'default';
}

/**
 * The durable log: topics, each a number of partitions (partition-log.ts), each a row of STRM segments (segment.ts).
 * A data directory holds `metadata` (metadata.ts), `lock`, after a clean stop `clean-shutdown`, `wal/` (wal.ts) and `topics/<name>.<id>/<partition>/`.
 */
export class Storage implements TopicLog {
  readonly #shared: LogShared;
  readonly #metadata: MetadataFile;
  readonly #lock: DataDirLock | undefined;
  readonly #startDefaults: Readonly<Record<string, string>>;
  #defaults: Readonly<Record<string, string>>;
  readonly #topics = new Map<string, Topic>();
  readonly #byId = new Map<string, Topic>();
  readonly #listeners = new Set<(topic: string) => void>();
  readonly #changed = new Set<string>();
  readonly #retentionCheckMs: number;
  readonly #compactionCheckMs: number;
  readonly #walFileBytes: number;
  /** What the write-ahead log holds of each partition while the logs are opened after a crash. */
  readonly #committed = new Map<string, Buffer[]>();
  readonly #newId: () => string;
  #retention: Timer | undefined;
  #compaction: Timer | undefined;
  #closing: Promise<void> | undefined;

  /** DATA_DIR_LOCKED; STORAGE_FAILED naming the file when what all topics need is damaged beyond what recovery may repair. */
  static async open(options: StorageOptions): Promise<Storage> {
    const lock = options.dir && !options.inMemory ? DataDirLock.acquire(options.dir) : undefined;
    try {
      const disk = options.inMemory ? new MemoryDisk() : (options.disk ?? (options.dir && new NodeDisk(options.dir)));
      if (!disk) throw new StreamError('OPTION_INVALID', 'storage needs a data directory, a disk or inMemory');
      checkTopicConfig(options.topicDefaults ?? {});
      const metadata = await MetadataFile.open(disk);
      const storage = new Storage(options, disk, metadata, lock);
      await storage.#start();
      return storage;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  private constructor(options: StorageOptions, disk: Disk, metadata: MetadataFile, lock: DataDirLock | undefined) {
    const limits = {
      // What is in memory anyway needs no second copy.
      tailCacheBytes: disk instanceof MemoryDisk ? 0 : (options.tailCacheBytes ?? 64 << 20),
      pendingBytes: options.pendingBytes ?? 256 << 20,
    };
    const note = (topic: string) => this.#noteChange(topic);
    this.#shared = new LogShared(
      disk,
      options.clock ?? systemClock,
      options.log ?? silentLog,
      limits,
      note,
      options.keys,
    );
    this.#shared.onFailure((failure) => {
      disk
        .replaceFile(FAILED_MARKER, encodeChecked('storage-failed', 1, `${failure.message}\n`))
        .catch((error: unknown) => {
          this.#shared.log.error('the failure could not be marked', { file: FAILED_MARKER, reason: String(error) });
        });
    });
    this.#metadata = metadata;
    this.#lock = lock;
    this.directory = options.dir ?? undefined;
    this.#startDefaults = options.topicDefaults ?? {};
    this.#defaults = this.#startDefaults;
    this.#retentionCheckMs = options.retentionCheckMs ?? 300_000;
    this.#compactionCheckMs = options.compactionCheckMs ?? 15_000;
    this.#walFileBytes = options.walFileBytes ?? 32 << 20;
    this.#newId = options.newId ?? randomUUID;
  }

  /** The data directory; undefined in memory or on an injected disk. */
  readonly directory: string | undefined;

  get clusterId(): string {
    return this.#metadata.current.clusterId;
  }

  get clock(): Clock {
    return this.#shared.clock;
  }

  /** Why nothing can be appended until a restart, when that is so. */
  get failure(): StreamError | undefined {
    return this.#shared.failure;
  }

  describeTopic(name: string): TopicInfo | undefined {
    return this.#topics.get(name)?.row;
  }

  listTopics(): TopicInfo[] {
    return [...this.#topics.values()].map((topic) => topic.row);
  }

  topicById(id: string): TopicInfo | undefined {
    return this.#byId.get(id)?.row;
  }

  partition(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.logs[partition];
  }

  /** Every setting there is, as it holds for the topic. NOT_FOUND. */
  topicConfig(name: string): EffectiveSetting[] {
    const own = this.#topic(name).row.config;
    return TOPIC_CONFIG.map((row) => {
      if (own[row.name] !== undefined) return { row, value: own[row.name]!, source: 'topic' };
      if (this.#defaults[row.name] !== undefined) return { row, value: this.#defaults[row.name]!, source: 'server' };
      return { row, value: row.default, source: 'default' };
    });
  }

  /** ALREADY_EXISTS; REQUEST_INVALID (name, count); OPTION_INVALID (config). With `dryRun` only checks. */
  async createTopic(
    name: string,
    options: { partitions: number; config?: Readonly<Record<string, string>>; dryRun?: boolean },
  ): Promise<TopicInfo> {
    checkName(name);
    checkCount(options.partitions);
    const config = { ...options.config };
    this.#checkConfig(config);
    const row: TopicRow = { name, id: this.#newId(), partitions: options.partitions, config };
    const refuseExisting = () => {
      if (this.#metadata.current.topics.some((topic) => topic.name === name)) {
        throw new StreamError('ALREADY_EXISTS', `topic ${name} exists already`);
      }
    };
    refuseExisting();
    if (options.dryRun) return row;
    await this.#metadata.change((metadata) => {
      refuseExisting();
      return { ...metadata, topics: [...metadata.topics, row] };
    });
    await this.#openTopic(row, true);
    this.#noteChange(name);
    return row;
  }

  async deleteTopic(name: string): Promise<void> {
    const topic = this.#topic(name);
    await this.#metadata.change((metadata) => {
      if (!metadata.topics.some((row) => row.id === topic.row.id)) throw noTopic(name);
      return {
        ...metadata,
        topics: metadata.topics.filter((row) => row.id !== topic.row.id),
        deleting: [...metadata.deleting, topic.directory],
      };
    });
    this.#topics.delete(name);
    this.#byId.delete(topic.row.id);
    this.#noteChange(name);
    await Promise.all(topic.logs.map((log) => log.abandon()));
    await this.#finishDeletion(topic.directory);
  }

  /** Raises the number of partitions to `count`. NOT_FOUND; REQUEST_INVALID when it would not grow. */
  async createPartitions(name: string, count: number, options: { dryRun?: boolean } = {}): Promise<void> {
    checkCount(count);
    const topic = this.#topic(name);
    const grow = (row: TopicRow): TopicRow => {
      if (count > row.partitions) return { ...row, partitions: count };
      throw new StreamError('REQUEST_INVALID', `topic ${name} has ${row.partitions} partitions; it can only get more`);
    };
    grow(topic.row);
    if (options.dryRun) return;
    await this.#changeRow(topic, grow);
    while (topic.logs.length < topic.row.partitions)
      topic.logs.push(await this.#openLog(topic, topic.logs.length, true));
    this.#noteChange(name);
  }

  /** Sets settings, or with null takes them back to the default. NOT_FOUND; OPTION_INVALID. */
  async alterTopic(
    name: string,
    changes: Readonly<Record<string, string | null>>,
    options: { dryRun?: boolean } = {},
  ): Promise<void> {
    const topic = this.#topic(name);
    const alter = (row: TopicRow): TopicRow => {
      const config = { ...row.config };
      for (const [key, value] of Object.entries(changes)) {
        if (value !== null) config[key] = value;
        else if (TOPIC_CONFIG.some((known) => known.name === key)) delete config[key];
        else checkTopicConfig({ [key]: '' });
      }
      this.#checkConfig(config);
      return { ...row, config };
    };
    alter(topic.row);
    if (options.dryRun) return;
    await this.#changeRow(topic, alter);
    for (const log of topic.logs) log.configure(topicSettings(topic.row.config, this.#defaults));
    this.#noteChange(name);
  }

  /** Other defaults than those that the server was started with, from now on. OPTION_INVALID; with `dryRun` only checks. */
  changeDefaults(changes: Readonly<Record<string, string>>, options: { dryRun?: boolean } = {}): void {
    const defaults = { ...this.#startDefaults, ...changes };
    checkTopicConfig(changes, this.#startDefaults);
    if (options.dryRun) return;
    this.#defaults = defaults;
    for (const { row, logs } of this.#topics.values())
      for (const log of logs) log.configure(topicSettings(row.config, defaults));
  }

  bounds(topic: string, partition: number): PartitionBounds {
    const { logStart, lastStableOffset, offline } = this.#log(topic, partition);
    return { logStart, highWatermark: lastStableOffset, ...(offline ? { offline: offline.message } : {}) };
  }

  async read(topic: string, partition: number, offset: number, maxBytes: number): Promise<Uint8Array> {
    return readCommitted(this.#log(topic, partition), offset, maxBytes);
  }

  seekKey(topic: string, partition: number, offset: number, key: Uint8Array): Promise<number> {
    return this.#log(topic, partition).seekKey(offset, key);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const log = this.#log(topic, partition);
    if (log.settings.compacts && records.some(({ key }) => key === null)) {
      throw new StreamError('REQUEST_INVALID', `a record of the compacted topic ${topic} needs a key`);
    }
    const { baseOffset, lastOffset, error } = log.append(
      encodeRecordSet(records, this.#shared.clock.nowMs(), log.settings.maxMessageBytes),
    );
    if (error !== undefined) throw this.#shared.failure ?? log.offline ?? appendError(error, topic, partition);
    await log.durable(lastOffset);
    return baseOffset;
  }

  onChange(listener: (topic: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Syncs everything appended so far in all topics, whatever their policy. */
  async flush(): Promise<void> {
    await Promise.all(this.#logs().map((log) => log.flush()));
  }

  async applyRetention(): Promise<void> {
    for (const log of this.#logs()) await log.applyRetention();
  }

  /** Compacts the topics whose cleanup.policy asks for it, one partition after another. */
  async applyCompaction(): Promise<void> {
    for (const log of this.#logs()) await log.compact();
  }

  /** Writes and syncs what is queued and marks the shutdown as clean. Appends are refused from now on. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#retention?.cancel();
    this.#compaction?.cancel();
    try {
      const results = await Promise.allSettled(this.#logs().map((log) => log.close()));
      for (const result of results) {
        if (result.status === 'rejected')
          this.#shared.log.error('a log was not closed', { reason: String(result.reason) });
      }
      const clean = results.every((result) => result.status === 'fulfilled' && result.value);
      await this.#shared.wal?.close().catch(() => {});
      if (clean) await this.#shared.disk.replaceFile(CLEAN_MARKER, encodeChecked('clean-shutdown', 1, ''));
    } finally {
      this.#lock?.release();
    }
  }

  async #start(): Promise<void> {
    const { disk, log, clock } = this.#shared;
    const began = clock.monotonicMs();
    const clean = await disk.exists(CLEAN_MARKER);
    if (clean) {
      await disk.remove(CLEAN_MARKER);
      await disk.syncDirectory('.');
    } else if (this.#metadata.current.topics.length > 0) {
      // What an unclean stop cut off may have been read under interval and os: a new epoch tells those readers (KIP-320).
      await this.#metadata.change((metadata) => ({ ...metadata, leaderEpoch: metadata.leaderEpoch + 1 }));
    }
    for (const directory of this.#metadata.current.deleting) await this.#finishDeletion(directory);
    const wal = isDurable(disk) ? await readWal(disk, clean) : undefined;
    for (const { topicId, partition, payload } of wal?.records ?? []) {
      const key = `${topicId}/${partition}`;
      const known = this.#committed.get(key);
      if (known === undefined) this.#committed.set(key, [payload]);
      else known.push(payload);
    }
    this.#shared.distrustCache = await disk.exists(FAILED_MARKER);
    for (const row of this.#metadata.current.topics) {
      this.#checkKeys(row.config, ` of topic ${row.name}`);
      await this.#openTopic(row, clean);
    }
    this.#committed.clear();
    if (this.#shared.distrustCache) {
      await disk.remove(FAILED_MARKER);
      await disk.syncDirectory('.');
      this.#shared.distrustCache = false;
    }
    if (wal !== undefined && isDurable(disk)) {
      const checkpoint = () => this.#shared.checkpoint();
      this.#shared.wal = new Wal(disk, { fileBytes: this.#walFileBytes, generation: wal.nextGeneration, checkpoint });
    }
    this.#armRetention();
    this.#armCompaction();
    const { leaderEpoch } = this.#metadata.current;
    log.info('storage opened', { clean, topics: this.#topics.size, leaderEpoch, ms: clock.monotonicMs() - began });
  }

  async #openTopic(row: TopicRow, clean: boolean): Promise<void> {
    // Part of the id's directory is the name, for people; the longest name and an id would exceed a file name's 255 bytes.
    const directory = `${TOPICS}/${row.name.slice(0, 200)}.${row.id}`;
    const topic: Topic = { row, directory, logs: new Array(row.partitions) };
    const partitions = topic.logs.keys();
    const openNext = async () => {
      for (const partition of partitions) topic.logs[partition] = await this.#openLog(topic, partition, clean);
    };
    await Promise.all(Array.from({ length: OPEN_AT_ONCE }, openNext));
    this.#topics.set(row.name, topic);
    this.#byId.set(row.id, topic);
  }

  /** A partition whose files are damaged is offline, with a line in the log; one that the broker itself needs stops the start. */
  async #openLog(topic: Topic, partition: number, clean: boolean): Promise<PartitionLog> {
    const options = {
      directory: `${topic.directory}/${partition}`,
      topic: topic.row.name,
      topicId: topic.row.id,
      partition,
      settings: topicSettings(topic.row.config, this.#defaults),
      leaderEpoch: this.#metadata.current.leaderEpoch,
      clean,
      committed: this.#committed.get(`${topic.row.id}/${partition}`) ?? [],
    };
    try {
      return await PartitionLog.open(this.#shared, options);
    } catch (thrown) {
      const error = asStreamError(thrown);
      if (error.code !== 'STORAGE_FAILED' || isInternalTopic(options.topic)) throw thrown;
      const { message: reason, hint } = error;
      this.#shared.log.error('partition offline', {
        topic: options.topic,
        partition,
        reason,
        hint: hint ?? OFFLINE_HINT,
      });
      return PartitionLog.offline(this.#shared, options, error);
    }
  }

  #checkConfig(config: Readonly<Record<string, string>>): void {
    checkTopicConfig(config, this.#defaults);
    this.#checkKeys(config, '');
  }

  #checkKeys(config: Readonly<Record<string, string>>, whose: string): void {
    if (!topicSettings(config, this.#defaults).encrypted || this.#shared.keys !== undefined) return;
    throw new StreamError('OPTION_INVALID', `topic setting streamline.encryption${whose} needs keys`, {
      hint: 'start the server with storage.encryption_key_file',
    });
  }

  async #changeRow(topic: Topic, edit: (row: TopicRow) => TopicRow): Promise<void> {
    let edited = topic.row;
    await this.#metadata.change((metadata) => {
      const row = metadata.topics.find((known) => known.id === topic.row.id);
      if (!row) throw noTopic(topic.row.name);
      edited = edit(row);
      return { ...metadata, topics: metadata.topics.map((known) => (known === row ? edited : known)) };
    });
    topic.row = edited;
  }

  async #finishDeletion(directory: string): Promise<void> {
    await this.#shared.disk.remove(directory);
    await this.#metadata.change((metadata) => ({
      ...metadata,
      deleting: metadata.deleting.filter((known) => known !== directory),
    }));
  }

  #armRetention(): void {
    this.#retention = this.#shared.clock.setTimeout(() => {
      this.applyRetention()
        .catch((error: unknown) => this.#shared.log.error('retention failed', { reason: String(error) }))
        .finally(() => {
          if (!this.#closing) this.#armRetention();
        });
    }, this.#retentionCheckMs);
  }

  #armCompaction(): void {
    this.#compaction = this.#shared.clock.setTimeout(() => {
      this.applyCompaction()
        .catch((error: unknown) => this.#shared.log.error('compaction failed', { reason: String(error) }))
        .finally(() => {
          if (!this.#closing) this.#armCompaction();
        });
    }, this.#compactionCheckMs);
  }

  /** Tells listeners once per turn of the event loop and topic. */
  #noteChange(topic: string): void {
    if (this.#changed.size === 0) {
      setImmediate(() => {
        const topics = [...this.#changed];
        this.#changed.clear();
        for (const listener of [...this.#listeners]) for (const changed of topics) listener(changed);
      });
    }
    this.#changed.add(topic);
  }

  #logs(): PartitionLog[] {
    return [...this.#topics.values()].flatMap((topic) => topic.logs);
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (!topic) throw noTopic(name);
    return topic;
  }

  #log(name: string, partition: number): PartitionLog {
    const topic = this.#topic(name);
    const log = topic.logs[partition];
    if (!log)
      throw new StreamError('NOT_FOUND', `topic ${name} has no partition ${partition}: it has ${topic.row.partitions}`);
    return log;
  }
}

const isDurable = (disk: Disk): disk is DurableDisk => 'openDurable' in disk;

function noTopic(name: string): StreamError {
  return new StreamError('NOT_FOUND', `there is no topic ${name}`);
}

/** Kafka's rule: 1–249 of ASCII letters, digits, dot, underscore and hyphen; not "." or "..". REQUEST_INVALID. */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..') return;
  throw new StreamError(
    'REQUEST_INVALID',
    `topic name ${JSON.stringify(name)} must be 1 to 249 of a-z A-Z 0-9 . _ -, not "." or ".."`,
  );
}

function checkCount(partitions: number): void {
  if (Number.isInteger(partitions) && partitions >= 1 && partitions <= MOST_PARTITIONS) return;
  throw new StreamError('REQUEST_INVALID', `a topic has 1 to ${MOST_PARTITIONS} partitions, not ${partitions}`);
}
