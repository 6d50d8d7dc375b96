import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { StreamError } from '../../../../src/lib/errors.ts';
import { Rpc, type RpcHandlers, type RpcPort, Transferred } from '../../../../streamql/engine/worker/rpc.ts';

/** Two ends in one thread: messages are cloned and counted, and arrive in a later turn. */
function pair(handlers: RpcHandlers): { rpc: Rpc; sent: { there: number; back: number } } {
  const sent = { there: 0, back: 0 };
  const listeners: ((message: unknown) => void)[] = [];
  const port = (to: 0 | 1, count: 'there' | 'back'): RpcPort => ({
    postMessage(message, transfer = []) {
      sent[count]++;
      const copy = structuredClone(message, { transfer: [...transfer] });
      setImmediate(() => listeners[to](copy));
    },
    on: (_event, listener) => listeners.push(listener),
  });
  const rpc = new Rpc(port(1, 'there'), {});
  new Rpc(port(0, 'back'), handlers);
  return { rpc, sent };
}

test('calls made together are one message, and so are their answers', async () => {
  const { rpc, sent } = pair({
    double: async (n: number) => {
      if (n === 3) throw new StreamError('NOT_FOUND', 'there is no 3');
      const bytes = new Uint8Array([n * 2]);
      return new Transferred(bytes, [bytes.buffer]);
    },
  });
  const answers = await Promise.allSettled([1, 2, 3, 4].map((n) => rpc.callTogether<Uint8Array>('double', [n])));
  expect(answers.map((one) => (one.status === 'fulfilled' ? one.value[0] : one.reason.code))).toEqual([
    2,
    4,
    'NOT_FOUND',
    8,
  ]);
  expect(sent).toEqual({ there: 1, back: 1 });
});

test('an answer that waits holds no other up', async () => {
  let release = (): void => undefined;
  const { rpc } = pair({
    wait: () => new Promise<string>((resolve) => (release = () => resolve('late'))),
    now: () => 'soon',
  });
  const late = rpc.callTogether('wait', []);
  expect(await rpc.callTogether('now', [])).toBe('soon');
  release();
  expect(await late).toBe('late');
});

test('messages arrive in the order they were sent', async () => {
  const seen: string[] = [];
  const { rpc } = pair({ note: (text: string) => void seen.push(text) });
  const first = rpc.callTogether('note', ['a']);
  rpc.note('note', ['b']);
  const second = rpc.callTogether('note', ['c']);
  await Promise.all([first, rpc.call('note', ['d']), second]);
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
});

test('what cannot cross fails the calls that go with it, and nobody waits', async () => {
  const { rpc } = pair({ now: () => 'soon', bad: () => () => undefined });
  const calls = [rpc.callTogether('now', []), rpc.callTogether('now', [() => undefined])];
  await expect(Promise.all(calls)).rejects.toThrow();
  await expect(rpc.callTogether('bad', [])).rejects.toThrow();
  await expect(rpc.call('bad', [])).rejects.toThrow();
  await turn();
  expect(await rpc.callTogether('now', [])).toBe('soon');
});
