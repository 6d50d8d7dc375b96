import type { LoadedCheckpoint } from '../runtime/checkpoint-store.ts';
import { localPeers, runTogether } from './peers.ts';
import { type Crew, Shard, type ShardParts } from './shard.ts';

/** Shards that share this thread and take turns: what threads do, in an order that is always the same. */
export function localCrew(
  count: number,
  parts: Omit<ShardParts, 'peers' | 'wake'>,
  loaded: LoadedCheckpoint | null,
): Crew {
  const [first, ...peersOfOthers] = localPeers(count);
  let wake: (behind: boolean) => void = () => undefined;
  const others = peersOfOthers.map(
    (peers) => new Shard({ ...parts, sinks: [], peers, wake: () => wake(false) }, loaded),
  );
  return {
    peers: first,
    others,
    runEpoch: (epoch) => runTogether([epoch, ...others.map((shard) => shard.epoch.run())])[0],
    onWake: (listener) => {
      wake = listener;
    },
  };
}
