import { readFile } from 'node:fs/promises';

/** Rows of a local table by icebird, which reads over fetch only: file URLs are answered from the disk meanwhile. */
export async function readWithIcebird(table: string): Promise<Record<string, unknown>[]> {
  const { icebergRead } = await import('icebird');
  const original = globalThis.fetch;
  globalThis.fetch = (async (input: string | URL | Request, init?: RequestInit) => {
    const url = String(input instanceof Request ? input.url : input);
    if (!url.startsWith('file://')) return original(input as string, init);
    return fileResponse(url.slice(7), init);
  }) as typeof fetch;
  try {
    return (await icebergRead({ tableUrl: `file://${table}` })) as Record<string, unknown>[];
  } finally {
    globalThis.fetch = original;
  }
}

async function fileResponse(path: string, init?: RequestInit): Promise<Response> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch {
    return new Response('not found', { status: 404 });
  }
  const range = /bytes=(\d+)-(\d*)/.exec(new Headers(init?.headers).get('range') ?? '');
  const headers = { 'content-length': String(bytes.length), 'accept-ranges': 'bytes' };
  if (init?.method === 'HEAD') return new Response(null, { headers });
  if (range === null) return new Response(new Uint8Array(bytes), { headers });
  const part = bytes.subarray(Number(range[1]), range[2] === '' ? undefined : Number(range[2]) + 1);
  return new Response(new Uint8Array(part), {
    status: 206,
    headers: { 'content-range': `bytes ${range[1]}-${range[2]}/${bytes.length}` },
  });
}
