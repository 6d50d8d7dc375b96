import type { ObjectStats, ReplayCounts } from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import {
  type DraftEntry,
  isRef,
  type LoadedCheckpoint,
  type Manifest,
  readPiece,
} from '../runtime/checkpoint-store.ts';
import type { EpochReport } from '../runtime/epoch.ts';
import type { Waiting } from '../shards/peers.ts';
import type { Crew, OtherShard, Shard } from '../shards/shard.ts';
import { bytesOfParts, type Parts } from '../state/piece.ts';
import { packed, unpacked } from './engine-service.ts';
import type { PortPeers } from './port-peers.ts';
import { Rpc, type RpcHandlers, type RpcPort, Transferred } from './rpc.ts';

/** A checkpoint as it crosses threads: its files are open in all, or shared, not copied for each. */
export interface SharedCheckpoint {
  readonly manifest: Manifest;
  readonly firstEpoch: number;
  readonly overtaken: LoadedCheckpoint['overtaken'];
  readonly files: ReadonlyMap<string, number | SharedArrayBuffer>;
}

function shareCheckpoint({ files, piece: _, close: __, ...rest }: LoadedCheckpoint): SharedCheckpoint {
  const shared = [...files].map(([name, content]): [string, number | SharedArrayBuffer] => {
    if (typeof content === 'number') return [name, content];
    const buffer = new SharedArrayBuffer(content.byteLength);
    new Uint8Array(buffer).set(content);
    return [name, buffer];
  });
  return { ...rest, files: new Map(shared) };
}

export function fromShared({ files, ...rest }: SharedCheckpoint): LoadedCheckpoint {
  const contents = new Map(
    [...files].map(([name, content]) => [name, typeof content === 'number' ? content : Buffer.from(content)]),
  );
  // Who opened the files closes them.
  return { ...rest, files: contents, piece: (ref) => readPiece(contents, ref), close: async () => undefined };
}

type Args<M extends keyof OtherShard> = Parameters<OtherShard[M]>;

/** A shard in another thread. Every argument crosses, also those that come later to a method. */
class RemoteShard implements OtherShard {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  prepare(...args: Args<'prepare'>): Promise<boolean> {
    return this.#rpc.call('prepare', args);
  }

  commit(...args: Args<'commit'>): void {
    this.#rpc.note('commit', args);
  }

  abort(...args: Args<'abort'>): void {
    this.#rpc.note('abort', args);
  }

  remove(...args: Args<'remove'>): void {
    this.#rpc.note('remove', args);
  }

  handOver(...args: Args<'handOver'>): void {
    this.#rpc.note('handOver', args);
  }

  alter(...args: Args<'alter'>): void {
    this.#rpc.note('alter', args);
  }

  resume(): void {
    this.#rpc.note('resume', []);
  }

  async lookup(...args: Args<'lookup'>): Promise<Batch> {
    return unpacked(await this.#rpc.call('lookup', args));
  }

  async scan(...args: Args<'scan'>): Promise<Batch[]> {
    return (await this.#rpc.call<unknown[]>('scan', args)).map(unpacked);
  }

  epochAt(...args: Args<'epochAt'>): Promise<number> {
    return this.#rpc.call('epochAt', args);
  }

  watch(...args: Args<'watch'>): void {
    this.#rpc.note('watch', args);
  }

  draft(): Promise<DraftEntry[]> {
    return this.#rpc.call('draft', []);
  }

  drafted(...args: Args<'drafted'>): void {
    this.#rpc.note('drafted', args);
  }

  stats(): Promise<ObjectStats[]> {
    return this.#rpc.call('stats', []);
  }

  spill(...args: Args<'spill'>): Promise<number> {
    return this.#rpc.call('spill', args);
  }

  replay(...args: Args<'replay'>): Promise<ReplayCounts> {
    return this.#rpc.call('replay', args);
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

/** Pieces in an array each, which crosses without a copy; what they consist of may be memory of the state. */
function joined(drafts: readonly DraftEntry[]): Transferred {
  const buffers: ArrayBuffer[] = [];
  const piece = (parts: Parts): Parts => {
    const whole = new Uint8Array(bytesOfParts(parts));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    buffers.push(whole.buffer);
    return [whole];
  };
  const entries = drafts.map((draft) => ({
    ...draft,
    tables: draft.tables.map((table) => ({
      ...table,
      pieces: table.pieces.map((one) => (isRef(one) ? one : piece(one))),
    })),
  }));
  return new Transferred(entries, buffers);
}

/** In another shard's thread: what its RemoteShard calls. */
export function serveShard(shard: Shard, peers: PortPeers): RpcHandlers {
  const transferred = (batches: readonly Batch[], of: (plain: unknown[]) => unknown): Transferred => {
    const { plain, buffers } = packed(batches);
    return new Transferred(of(plain), buffers);
  };
  const { epoch } = shard;
  return {
    prepare: (...args: Args<'prepare'>) => shard.prepare(...args),
    commit: (...args: Args<'commit'>) => shard.commit(...args),
    abort: (...args: Args<'abort'>) => shard.abort(...args),
    remove: (...args: Args<'remove'>) => shard.remove(...args),
    handOver: (...args: Args<'handOver'>) => shard.handOver(...args),
    alter: (...args: Args<'alter'>) => shard.alter(...args),
    resume: () => void shard.resume(),
    lookup: async (...args: Args<'lookup'>) => transferred([await shard.lookup(...args)], ([batch]) => batch),
    scan: async (...args: Args<'scan'>) => transferred(await shard.scan(...args), (batches) => batches),
    epochAt: (...args: Args<'epochAt'>) => shard.epochAt(...args),
    watch: (...args: Args<'watch'>) => shard.watch(...args),
    draft: async () => joined(await shard.draft()),
    drafted: (...args: Args<'drafted'>) => shard.drafted(...args),
    stats: () => shard.stats(),
    spill: (...args: Args<'spill'>) => shard.spill(...args),
    replay: (...args: Args<'replay'>) => shard.replay(...args),
    close: () => shard.close(),
    epoch: () => void peers.run(epoch.run()),
  };
}
