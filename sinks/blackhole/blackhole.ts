import type { SinkKind } from '../../src/ports/sink.ts';

/** `INTO BLACKHOLE`: takes any changes and keeps none; what a query costs without a view or a target. */
export const blackhole: SinkKind = {
  name: 'blackhole',
  options: [],
  create: () => ({
    discards: true,
    async open() {},
    async prepare() {
      return null;
    },
    async commit() {},
    async recover() {},
    async close() {},
  }),
};
