import { readFileSync } from 'node:fs';

/** From package.json, which stands above both the sources and dist/src. */
export const VERSION: string = readVersion();

function readVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (found.name === 'streamline' && found.version) return found.version;
    } catch {}
  }
  return 'unknown';
}
