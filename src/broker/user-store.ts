import {
  type CredentialSource,
  newCredential,
  SCRAM_NAMES,
  type ScramCredential,
  type ScramName,
} from '../auth/credentials.ts';
import { StreamError } from '../lib/errors.ts';
import { USERS_TOPIC } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';
import { DurableMap } from './durable-map.ts';

interface Stored {
  readonly iterations: number;
  /** base64, as the other two. */
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
}

export interface CredentialChange {
  readonly user: string;
  readonly mechanism: ScramName;
  /** Null deletes. */
  readonly credential: ScramCredential | null;
}

/** SCRAM credentials of users, durable in `__users`. Passwords are not kept. */
export class UserStore implements CredentialSource {
  readonly #map: DurableMap;
  readonly #credentials = new Map<string, Map<ScramName, ScramCredential>>();

  private constructor(map: DurableMap) {
    this.#map = map;
  }

  static async open(storage: Storage): Promise<UserStore> {
    const map = await DurableMap.open(storage, USERS_TOPIC);
    const store = new UserStore(map);
    for (const [key, text] of map.entries()) {
      const [user, mechanism] = JSON.parse(key) as [string, ScramName];
      const { iterations, ...keys } = JSON.parse(text) as Stored;
      const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64');
      const [salt, storedKey, serverKey] = [bytes(keys.salt), bytes(keys.storedKey), bytes(keys.serverKey)];
      store.#keep({ user, mechanism, credential: { iterations, salt, storedKey, serverKey } });
    }
    return store;
  }

  names(): IterableIterator<string> {
    return this.#credentials.keys();
  }

  credential(user: string, mechanism: ScramName): ScramCredential | undefined {
    return this.#credentials.get(user)?.get(mechanism);
  }

  /** In force when this resolves; all or none. STORAGE_FAILED. */
  async change(changes: readonly CredentialChange[]): Promise<void> {
    const base64 = (bytes: Buffer): string => bytes.toString('base64');
    await this.#map.set(
      changes.map(({ user, mechanism, credential }) => {
        const key = JSON.stringify([user, mechanism]);
        if (credential === null) return [key, null];
        const { iterations, salt, storedKey, serverKey } = credential;
        const stored: Stored = {
          iterations,
          salt: base64(salt),
          storedKey: base64(storedKey),
          serverKey: base64(serverKey),
        };
        return [key, JSON.stringify(stored)];
      }),
    );
    for (const change of changes) this.#keep(change);
  }

  /** Creates the users of a file that do not exist yet: a line for each with its name, a space and its password; `#` begins a comment. OPTION_INVALID. */
  async createMissing(text: string, path: string): Promise<string[]> {
    const created: string[] = [];
    for (const [at, line] of text.split('\n').entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue;
      const match = /^(\S+)\s+(\S.*?)\s*$/u.exec(line);
      if (match === null) {
        throw new StreamError(
          'OPTION_INVALID',
          `${path}, line ${at + 1}: expected a user name, a space and a password`,
        );
      }
      const [, user, password] = match as unknown as string[];
      if (this.#credentials.has(user!)) continue;
      const changes: CredentialChange[] = [];
      for (const mechanism of SCRAM_NAMES) {
        changes.push({ user: user!, mechanism, credential: await newCredential(mechanism, password!) });
      }
      await this.change(changes);
      created.push(user!);
    }
    return created;
  }

  #keep({ user, mechanism, credential }: CredentialChange): void {
    const known = this.#credentials.get(user) ?? new Map<ScramName, ScramCredential>();
    if (credential === null) known.delete(mechanism);
    else known.set(mechanism, credential);
    if (known.size === 0) this.#credentials.delete(user);
    else this.#credentials.set(user, known);
  }
}
