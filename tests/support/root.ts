import { resolve } from 'node:path';

/** The checkout's folder, from sources and from dist alike (the benches run compiled). */
export const root = resolve(import.meta.dirname, import.meta.url.endsWith('.ts') ? '../..' : '../../..');
