import { PRODUCER_IDS_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { ProducerIds } from '../transaction/producer-ids.ts';
import { InternalLog } from './internal-log.ts';

const KEY = Buffer.from('reserved');

/** Producer ids whose reservations are the records of `__producer_ids`: the decimal end of the ids that may be in use. */
export async function openProducerIds(storage: Storage): Promise<ProducerIds> {
  const log = new InternalLog(storage, PRODUCER_IDS_TOPIC);
  let reserved = 0;
  await log.scan((_, value) => {
    if (value !== null) reserved = Math.max(reserved, Number(value.toString()));
  });
  const store = {
    reserve: (end: number) => log.append([{ key: KEY, value: Buffer.from(String(end)) }]),
  };
  return new ProducerIds(store, reserved);
}
