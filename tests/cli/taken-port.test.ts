import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../support/process.ts';

let taken: Server;
let address: string;

beforeAll(async () => {
  taken = createServer();
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
  address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
});
afterAll(() => {
  taken.close();
});

test.each(['kafka-listen', 'http-listen', 'pg-listen'])(
  'a taken port of --%s ends the process and says so',
  async (flag) => {
    const start = ServerProcess.start(null, [`--${flag}`, address]);
    await expect(start).rejects.toThrow(
      new RegExp(`ended with 1 .*OPTION_INVALID: cannot listen for .* on ${address}.*--${flag} HOST:PORT`, 's'),
    );
  },
);
