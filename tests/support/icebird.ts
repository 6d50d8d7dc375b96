import { open, readFile } from 'node:fs/promises';
import { icebergRead } from 'icebird';

/**
 * Rows of a local Iceberg table by icebird, a reader that shares no code with us. It reads by HTTP only, so `file:` addresses are
 * answered from the disk while it runs. It parses metadata as plain JSON: not for checks of ids; decimals come as doubles.
 */
export async function readWithIcebird(tableDir: string): Promise<Record<string, unknown>[]> {
  const version = (await readFile(`${tableDir}/metadata/version-hint.text`, 'utf8')).trim();
  const metadata = JSON.parse(await readFile(`${tableDir}/metadata/v${version}.metadata.json`, 'utf8'));
  if ((metadata['current-snapshot-id'] ?? -1) === -1) return [];
  const network = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const url = String(input);
    return url.startsWith('file://') ? fetchFile(url.slice('file://'.length), init) : network(input, init);
  };
  try {
    return (await icebergRead({ tableUrl: `file://${tableDir}`, metadata })) as Record<string, unknown>[];
  } finally {
    globalThis.fetch = network;
  }
}

async function fetchFile(path: string, init: RequestInit | undefined): Promise<Response> {
  const range = /^bytes=(\d+)-(\d*)$/.exec(new Headers(init?.headers).get('range') ?? '');
  if (range === null) return new Response(new Uint8Array(await readFile(path)));
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const start = Number(range[1]);
    const end = range[2] === '' ? size : Math.min(size, Number(range[2]) + 1);
    const bytes = new Uint8Array(end - start);
    await handle.read(bytes, 0, bytes.length, start);
    return new Response(bytes, { status: 206 });
  } finally {
    await handle.close();
  }
}
