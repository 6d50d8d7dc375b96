import type { SinkKind } from '../src/ports/sink.ts';
import { blackhole } from './blackhole/blackhole.ts';
import { iceberg } from './iceberg/iceberg.ts';
import { subscription, table, topic } from './topic/topic.ts';

/** What `INTO <kind>` may name. Loading this is cheap; a sink loads what it needs when it opens. */
export const SINK_KINDS: readonly SinkKind[] = [blackhole, iceberg, subscription, table, topic];
