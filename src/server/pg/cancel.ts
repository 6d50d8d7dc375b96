import { randomInt } from 'node:crypto';

/** What BackendKeyData tells a client, so that another connection of it can name this one in a CancelRequest. */
export interface CancelKey {
  readonly process: number;
  readonly secret: number;
}

/** The connections of one server by their keys. Only who knows both numbers of a connection ends its statement. */
export class CancelRegistry {
  readonly #entries = new Map<number, { secret: number; cancel: () => void }>();
  #last = 0;

  add(cancel: () => void): CancelKey {
    do this.#last = (this.#last % 0x7fffffff) + 1;
    while (this.#entries.has(this.#last));
    const secret = randomInt(-0x80000000, 0x80000000);
    this.#entries.set(this.#last, { secret, cancel });
    return { process: this.#last, secret };
  }

  remove({ process }: CancelKey): void {
    this.#entries.delete(process);
  }

  /** A request that names nobody is not answered, as in Postgres. */
  cancel({ process, secret }: CancelKey): void {
    const entry = this.#entries.get(process);
    if (entry?.secret === secret) entry.cancel();
  }
}
