import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WireProducer } from '../../src/playground/wire-producer.ts';
import { buildFsyncShim } from '../reliability/real/fsync-shim.ts';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';

/** KAFKA_STORAGE_ERROR */
const REFUSED = /error 56/;

/** Sends numbered values, one batch at a time, and keeps what was acknowledged: offset → number. */
class Numbers {
  readonly acknowledged = new Map<number, number>();
  readonly #padding: Buffer;
  #next = 0;

  constructor(bytes: number) {
    // Not compressible into nothing by a clever file system.
    this.#padding = Buffer.from(Array.from({ length: bytes }, (_, at) => 97 + ((at * 7919) % 26)));
  }

  async send(server: ServerProcess): Promise<void> {
    const producer = await WireProducer.connect(server.kafka);
    const number = this.#next++;
    try {
      const value = Buffer.concat([Buffer.from(`{"n":${number},"pad":"`), this.#padding, Buffer.from('"}')]);
      this.acknowledged.set(await producer.produce('t', 0, [value]), number);
    } finally {
      producer.close();
    }
  }

  /** Every acknowledged value is at its offset; nothing is there twice. */
  async check(server: ServerProcess): Promise<void> {
    const found = new Map<number, number>();
    for (let offset = 0; ; ) {
      const path = `/api/v1/topics/t/partitions/0/records?offset=${offset}&limit=50`;
      const { status, json, text } = await server.request('GET', path);
      expect(status, text).toBe(200);
      if (json.records.length === 0) break;
      for (const record of json.records) {
        found.set(record.offset, JSON.parse(record.value).n);
        offset = record.offset + 1;
      }
    }
    for (const [offset, number] of this.acknowledged) expect([offset, found.get(offset)]).toEqual([offset, number]);
    expect(new Set(found.values()).size).toBe(found.size);
  }
}

test('EIO from fsync: the directory takes no appends until a restart, reads go on, nothing acknowledged is lost', async (context) => {
  const tools = temporaryDirectory();
  const shim = buildFsyncShim(tools.path);
  if (typeof shim === 'string') return context.skip(shim);
  const data = temporaryDirectory();
  let server = await ServerProcess.start(data.path, [], shim.env);
  const numbers = new Numbers(100);
  try {
    await server.request('POST', '/api/v1/topics', { name: 't' });
    for (let at = 0; at < 5; at++) await numbers.send(server);
    shim.fail(true);
    await expect(numbers.send(server)).rejects.toThrow(REFUSED);
    shim.fail(false);
    // The kernel would now say that all is well. It is not.
    for (let at = 0; at < 3; at++) await expect(numbers.send(server)).rejects.toThrow(REFUSED);
    await numbers.check(server);
    expect(server.stderr.join('')).toContain('storage failed');
    const ready = await server.request('GET', '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.text).toContain('restart');

    await server.stop();
    server = await ServerProcess.start(data.path, [], shim.env);
    await numbers.check(server);
    for (let at = 0; at < 5; at++) await numbers.send(server);
    await numbers.check(server);
    expect(numbers.acknowledged.size).toBe(10);
    expect(await server.stop()).toBe(0);
  } finally {
    await server.kill();
    data.remove();
    tools.remove();
  }
}, 60_000);

test('a full disk: produce is refused, reads go on, and all goes on when there is space again', async (context) => {
  const mounted = mountTmpfs('12m');
  if (mounted.reason !== undefined) return context.skip(mounted.reason);
  const { path, unmount } = mounted;
  const ballast = join(path, 'ballast');
  writeFileSync(ballast, Buffer.alloc(5 << 20, 1));
  const reserve = join(path, 'reserve');
  writeFileSync(reserve, Buffer.alloc(1 << 20, 1));
  const data = join(path, 'data');
  let server = await ServerProcess.start(data);
  const numbers = new Numbers(200_000);
  try {
    await server.request('POST', '/api/v1/topics', { name: 't' });
    const fill = async (): Promise<unknown> => {
      for (let at = 0; at < 200; at++) {
        try {
          await numbers.send(server);
        } catch (thrown) {
          return thrown;
        }
      }
      return undefined;
    };
    expect(String(await fill())).toMatch(REFUSED);
    const before = numbers.acknowledged.size;
    expect(before).toBeGreaterThan(5);
    for (let at = 0; at < 3; at++) await expect(numbers.send(server)).rejects.toThrow(REFUSED);
    await numbers.check(server);

    rmSync(ballast);
    for (let at = 0; at < 5; at++) await numbers.send(server);
    await numbers.check(server);
    expect(numbers.acknowledged.size).toBe(before + 5);

    // Full once more, and then the process ends.
    expect(String(await fill())).toMatch(REFUSED);
    await server.kill();
    const rest = join(path, 'rest');
    spawnSync('dd', ['if=/dev/zero', `of=${rest}`, 'bs=4k']);
    await expect(ServerProcess.start(data)).rejects.toThrow(/STORAGE_FAILED.*no space left/);
    rmSync(rest, { force: true });
    rmSync(reserve);
    server = await ServerProcess.start(data);
    await numbers.check(server);
  } finally {
    await server.kill();
    unmount();
  }
}, 60_000);

function mountTmpfs(size: string): { path: string; unmount: () => void; reason?: undefined } | { reason: string } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { reason: 'mounting a tmpfs takes root on Linux' };
  const path = mkdtempSync(join(tmpdir(), 'streamline-tmpfs-'));
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { encoding: 'utf8' });
  if (done.status !== 0) {
    rmSync(path, { recursive: true });
    return { reason: `no tmpfs can be mounted here: ${done.error?.message ?? done.stderr}` };
  }
  return {
    path,
    unmount: () => {
      spawnSync('umount', [path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
