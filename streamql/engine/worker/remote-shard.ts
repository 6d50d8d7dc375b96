import type { EngineObject, ObjectStats, ReplayCounts } from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { DraftEntry, LoadedCheckpoint, Manifest } from '../runtime/checkpoint-store.ts';
import type { EpochReport } from '../runtime/epoch.ts';
import type { Waiting } from '../shards/peers.ts';
import type { Crew, OtherShard, RelationScan, Shard } from '../shards/shard.ts';
import { packed, unpacked } from './engine-service.ts';
import type { PortPeers } from './port-peers.ts';
import { Rpc, type RpcHandlers, type RpcPort, Transferred } from './rpc.ts';

/** A checkpoint as it crosses threads: its files are shared, not copied for each. */
export interface SharedCheckpoint {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, SharedArrayBuffer>;
}

export function shareCheckpoint({ manifest, files }: LoadedCheckpoint): SharedCheckpoint {
  const shared = [...files].map(([name, content]): [string, SharedArrayBuffer] => {
    const buffer = new SharedArrayBuffer(content.byteLength);
    new Uint8Array(buffer).set(content);
    return [name, buffer];
  });
  return { manifest, files: new Map(shared) };
}

export function fromShared({ manifest, files }: SharedCheckpoint): LoadedCheckpoint {
  const contents = new Map([...files].map(([name, buffer]) => [name, Buffer.from(buffer)]));
  return {
    manifest,
    files: contents,
    piece: (ref) => contents.get(ref.file)!.subarray(ref.at, ref.at + ref.bytes),
  };
}

/** A shard in another thread. */
class RemoteShard implements OtherShard {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  prepare(object: EngineObject, fresh: boolean): Promise<boolean> {
    return this.#rpc.call('prepare', [object, fresh]);
  }

  commit(id: string): void {
    this.#rpc.note('commit', [id]);
  }

  abort(id: string): void {
    this.#rpc.note('abort', [id]);
  }

  remove(id: string): void {
    this.#rpc.note('remove', [id]);
  }

  alter(id: string, change: Parameters<OtherShard['alter']>[1]): void {
    this.#rpc.note('alter', [id, change]);
  }

  resume(): void {
    this.#rpc.note('resume', []);
  }

  async lookup(id: string, key: readonly Datum[], limit: number): Promise<Batch> {
    return unpacked(await this.#rpc.call('lookup', [id, key, limit]));
  }

  async scan(wants: readonly RelationScan[]): Promise<Batch[]> {
    return (await this.#rpc.call<unknown[]>('scan', [wants])).map(unpacked);
  }

  watch(id: string, isWatched: boolean, starting: boolean): void {
    this.#rpc.note('watch', [id, isWatched, starting]);
  }

  draft(): Promise<DraftEntry[]> {
    return this.#rpc.call('draft', []);
  }

  drafted(manifest: Manifest | null, crowded: ReadonlySet<string>): void {
    this.#rpc.note('drafted', [manifest, crowded]);
  }

  stats(): Promise<ObjectStats[]> {
    return this.#rpc.call('stats', []);
  }

  replay(id: string): Promise<ReplayCounts> {
    return this.#rpc.call('replay', [id]);
  }

  close(): void {
    this.#rpc.note('close', []);
  }
}

/** In the first shard's thread: the others, each behind a port. Rejects with what one of them throws when it begins. */
export async function remoteCrew(
  peers: PortPeers,
  ports: readonly RpcPort[],
  loaded: LoadedCheckpoint | null,
): Promise<Crew> {
  let wake: (behind: boolean) => void = () => undefined;
  const rpcs = ports.map((port) => new Rpc(port, { wake: (behind: boolean) => wake(behind) }));
  const checkpoint = loaded === null ? null : shareCheckpoint(loaded);
  await Promise.all(rpcs.map((rpc) => rpc.call('begin', [checkpoint])));
  return {
    peers,
    others: rpcs.map((rpc) => new RemoteShard(rpc)),
    runEpoch: (first: Waiting<EpochReport>) => {
      for (const rpc of rpcs) rpc.note('epoch', []);
      return peers.run(first);
    },
    onWake: (listener) => {
      wake = listener;
    },
  };
}

/** In another shard's thread: what its RemoteShard calls. */
export function serveShard(shard: Shard, peers: PortPeers): RpcHandlers {
  const transferred = (batches: readonly Batch[], of: (plain: unknown[]) => unknown): Transferred => {
    const { plain, buffers } = packed(batches);
    return new Transferred(of(plain), buffers);
  };
  return {
    prepare: (object: EngineObject, fresh: boolean) => shard.prepare(object, fresh),
    commit: (id: string) => shard.commit(id),
    abort: (id: string) => shard.abort(id),
    remove: (id: string) => shard.remove(id),
    alter: (id: string, change: Parameters<OtherShard['alter']>[1]) => shard.alter(id, change),
    resume: () => void shard.resume(),
    lookup: async (id: string, key: readonly Datum[], limit: number) =>
      transferred([await shard.lookup(id, key, limit)], ([batch]) => batch),
    scan: async (wants: readonly RelationScan[]) => transferred(await shard.scan(wants), (batches) => batches),
    watch: (id: string, isWatched: boolean, starting: boolean) => shard.watch(id, isWatched, starting),
    draft: () => shard.draft(),
    drafted: (manifest: Manifest | null, crowded: ReadonlySet<string>) => shard.drafted(manifest, crowded),
    stats: () => shard.stats(),
    replay: (id: string) => shard.replay(id),
    close: () => shard.close(),
    epoch: () => void peers.run(shard.epoch.run()),
  };
}
