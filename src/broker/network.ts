import { createServer, type Socket } from 'node:net';
import type { HostPort } from '../lib/config-table.ts';
import { sendFile, sendsFiles } from '../lib/send-file.ts';
import type { StoredBytes } from '../ports/stored-bytes.ts';

/** What a connection needs of a socket: `node:net`'s and `node:tls`' have it, and so has a simulated one. */
export interface ByteStream {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  /** Of the certificate that the client has shown and that was checked, as RFC 2253 writes it. */
  readonly distinguishedName?: string;
  /** Bytes written that have not left yet. */
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'drain' | 'timeout' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** Emits `timeout` after so many milliseconds without traffic. */
  setTimeout(ms: number): unknown;
  setNoDelay(on: boolean): unknown;
  pause(): unknown;
  resume(): unknown;
  /** What is written until `uncork` leaves together. */
  cork(): void;
  uncork(): void;
  write(chunk: Buffer): unknown;
  destroy(): unknown;
  /**
   * Hands bytes of a file to the kernel, as many as go at once, and returns how many: perhaps none. Only when nothing that was written is
   * unsent. Absent where bytes have to be changed on their way (TLS), or the system cannot do it.
   */
  readonly sendStored?: (bytes: StoredBytes) => number;
}

export interface Listening {
  /** The address itself, whatever name was given for it, and the port that was picked for port 0. */
  readonly bound: HostPort;
  /** Accepts nobody any more; resolves when all accepted streams are closed. */
  close(): Promise<void>;
}

/** Where clients come from. Injected, so that a simulator can delay, split and lose bytes. */
export interface Network {
  /** Rejects with the system's error when the address cannot be used; later errors go to `onError`. */
  listen(at: HostPort, onConnection: (stream: ByteStream) => void, onError: (error: Error) => void): Promise<Listening>;
}

/** The descriptor of a connected socket; Node shows it on the handle only. */
const fdOf = (socket: Socket): number => (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1;

function sendingFiles(socket: Socket): ByteStream {
  if (!sendsFiles() || fdOf(socket) < 0) return socket;
  const sendStored = (bytes: StoredBytes): number => {
    const [to, from] = [fdOf(socket), bytes.fd()];
    return to < 0 || from === undefined ? 0 : sendFile(to, from, bytes.position, bytes.length);
  };
  return Object.assign(socket, { sendStored });
}

const READ_BYTES = 256 << 10;

/** TCP. */
export const nodeNetwork: Network = {
  async listen(at, onConnection, onError) {
    const server = createServer({ highWaterMark: READ_BYTES }, (socket) => onConnection(sendingFiles(socket)));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at.port, at.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', onError);
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP listener has an address and a port');
    return {
      bound: { host: address.address, port: address.port },
      close: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
  },
};
