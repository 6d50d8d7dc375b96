import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProducerIds } from '../../src/transaction/producer-ids.ts';

test('no id is given twice, whatever fails and however often the process stops', async () => {
  const step = fc.constantFrom('one' as const, 'many' as const, 'crash' as const, 'fail' as const);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      let reserved = 0;
      let failing = false;
      const store = {
        reserve: async (end: number) => {
          await Promise.resolve();
          if (failing) throw new Error('disk');
          reserved = Math.max(reserved, end);
        },
      };
      let ids = new ProducerIds(store, reserved);
      const given: number[] = [];
      for (const next of steps) {
        failing = next === 'fail';
        if (next === 'crash') ids = new ProducerIds(store, reserved);
        const count = next === 'many' ? 1500 : 1;
        const answers = await Promise.allSettled(Array.from({ length: count }, () => ids.next()));
        for (const answer of answers) if (answer.status === 'fulfilled') given.push(answer.value);
      }
      expect(new Set(given).size).toBe(given.length);
      for (const id of given) expect(id).toBeLessThan(reserved);
    }),
    { numRuns: 40 },
  );
});
