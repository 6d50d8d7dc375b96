import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { StreamError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { ByteStream, Network } from './network.ts';

/** PEM files of a TLS listener. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Authorities that clients' certificates must come from; without it clients need none. */
  readonly clientCa?: string;
}

/** A client that has not finished its handshake by then is closed. */
const HANDSHAKE_MS = 10_000;
/** Clients in their handshake at the same time; more are closed at once. */
const MAX_HANDSHAKES = 1000;
const POLL_FILES_MS = 1000;

/**
 * TLS 1.2 and 1.3. Changed files are read again within about a second: new connections use them, open ones go on. Files that cannot be used
 * leave what was there in place and say so in the log; at the start they are OPTION_INVALID.
 */
export function tlsNetwork(files: TlsFiles, log: Log): Network {
  const first = readFiles(files);
  return {
    async listen(at, onConnection, onError) {
      const options: TlsOptions = {
        ...first,
        requestCert: files.clientCa !== undefined,
        rejectUnauthorized: files.clientCa !== undefined,
        handshakeTimeout: HANDSHAKE_MS,
      };
      const server = usable(files, () => {
        return createServer(options, (socket) => onConnection(withName(socket)));
      });
      const handshaking = new Set<Socket>();
      server.on('connection', (socket: Socket) => {
        if (handshaking.size >= MAX_HANDSHAKES) {
          socket.destroy();
          return;
        }
        handshaking.add(socket);
        socket.once('close', () => handshaking.delete(socket));
        // A client that goes away in its handshake is no error of ours.
        socket.on('error', () => undefined);
      });
      server.on('secureConnection', (secure) => {
        for (const socket of handshaking) {
          if (socket.remotePort === secure.remotePort && socket.remoteAddress === secure.remoteAddress) {
            handshaking.delete(socket);
          }
        }
      });
      server.on('tlsClientError', (error, socket) => {
        log.warn('tls.refused', { peer: socket.remoteAddress ?? '', reason: error.message });
        socket.destroy();
      });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(at.port, at.host, () => {
          server.off('error', reject);
          resolve();
        });
      });
      server.on('error', onError);
      const reload = (): void => {
        try {
          const fresh = readFiles(files);
          usable(files, () => server.setSecureContext(fresh));
          log.info('tls.reloaded', { certificate: files.certificate });
        } catch (thrown) {
          log.error('tls.reload_failed', { reason: thrown instanceof Error ? thrown.message : String(thrown) });
        }
      };
      const watched = paths(files);
      for (const path of watched) watchFile(path, { interval: POLL_FILES_MS, persistent: false }, reload);
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('a TCP listener has an address and a port');
      return {
        bound: { host: address.address, port: address.port },
        close: () => {
          for (const path of watched) unwatchFile(path, reload);
          for (const socket of handshaking) socket.destroy();
          return new Promise<void>((resolve) => server.close(() => resolve()));
        },
      };
    },
  };
}

/** OpenSSL gives the parts of the name in the order of the certificate, a line each; RFC 2253 has the last one first. */
function withName(socket: TLSSocket): ByteStream {
  const subject = socket.authorized ? socket.getPeerX509Certificate()?.subject : undefined;
  if (subject === undefined) return socket;
  return Object.assign(socket, { distinguishedName: subject.split('\n').reverse().join(',') });
}

function paths(files: TlsFiles): string[] {
  return [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
}

function readFiles(files: TlsFiles): SecureContextOptions {
  return usable(files, () => ({
    cert: readFileSync(files.certificate),
    key: readFileSync(files.key),
    ...(files.clientCa === undefined ? {} : { ca: readFileSync(files.clientCa) }),
    minVersion: 'TLSv1.2' as const,
  }));
}

function usable<T>(files: TlsFiles, use: () => T): T {
  try {
    return use();
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new StreamError('OPTION_INVALID', `cannot use the TLS files ${paths(files).join(', ')}: ${reason}`, {
      hint: 'a certificate chain, its private key and the authorities of clients, each a PEM file',
    });
  }
}
