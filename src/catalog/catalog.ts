import { StreamError } from '../lib/errors.ts';
import type { Disk } from '../ports/disk.ts';
import type { Relation, RelationCatalog } from '../ports/relations.ts';
import { type CatalogObject, deadLetterRelation, historyRelation, relationOf } from './objects.ts';

const FILE = 'catalog.json';
const FORMAT = 1;
const HISTORY = '$history';

/**
 * What exists: sources, tables, views and sinks by name, in the order of their creation, so that everything comes after
 * what it reads. Durable: `put` and `delete` return after the catalogue file was replaced atomically.
 */
export class Catalog implements RelationCatalog {
  readonly #disk: Disk | null;
  readonly #objects = new Map<string, CatalogObject>();
  #version = 0;
  readonly #listeners = new Set<() => void>();

  private constructor(disk: Disk | null) {
    this.#disk = disk;
  }

  /** `disk` null: nothing is kept. Throws STORAGE_FAILED when the file is damaged or of a newer format. */
  static async open(disk: Disk | null): Promise<Catalog> {
    const catalog = new Catalog(disk);
    if (disk !== null && (await disk.exists(FILE))) {
      let parsed: { format: number; objects: CatalogObject[] };
      try {
        parsed = JSON.parse((await disk.readFile(FILE)).toString('utf8'));
      } catch (cause) {
        throw new StreamError('STORAGE_FAILED', `${FILE} is damaged`, {
          cause,
          hint: 'restore it from a backup of the data directory',
        });
      }
      if (parsed.format !== FORMAT) {
        throw new StreamError('STORAGE_FAILED', `${FILE} has format ${parsed.format}; this release reads ${FORMAT}`);
      }
      for (const object of parsed.objects) catalog.#objects.set(object.name, object);
    }
    return catalog;
  }

  /** Grows with every change; lets caches (the GraphQL schema) know that they are old. */
  get version(): number {
    return this.#version;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(name: string): CatalogObject | undefined {
    return this.#objects.get(name);
  }

  byId(id: string): CatalogObject | undefined {
    return this.list().find((object) => object.id === id);
  }

  /** In order of creation. */
  list(): CatalogObject[] {
    return [...this.#objects.values()];
  }

  /** Objects that read the given one, and sinks that write to it: they cannot be without it. */
  readersOf(id: string): CatalogObject[] {
    return this.list().filter(
      (object) => object.into === id || object.reads.some((read) => read === id || read.startsWith(`${id}$`)),
    );
  }

  async put(object: CatalogObject): Promise<void> {
    if (this.#objects.has(object.name)) {
      throw new StreamError('ALREADY_EXISTS', `"${object.name}" exists already`, {
        hint: 'drop it first, or take another name',
      });
    }
    this.#objects.set(object.name, object);
    try {
      await this.#save();
    } catch (thrown) {
      this.#objects.delete(object.name);
      throw thrown;
    }
    this.#changed();
  }

  async delete(name: string): Promise<void> {
    if (this.#objects.has(name)) await this.change((objects) => objects.filter((object) => object.name !== name));
  }

  /** Several changes in one step: all of them are kept or none. */
  async change(to: (objects: CatalogObject[]) => readonly CatalogObject[]): Promise<void> {
    const before = this.list();
    this.#set(inOrder(to(before)));
    try {
      await this.#save();
    } catch (thrown) {
      this.#set(before);
      throw thrown;
    }
    this.#changed();
  }

  #set(objects: readonly CatalogObject[]): void {
    this.#objects.clear();
    for (const object of objects) this.#objects.set(object.name, object);
  }

  /** Of an id or a dead-letter relation's, under the name that a query has for it. */
  relationById(id: string, name: string): Relation | undefined {
    const [owner, letters] = id.split('$');
    const object = this.byId(owner);
    if (object === undefined || object.kind === 'sink') return undefined;
    const relation = letters === undefined ? relationOf(object) : this.relation(`${object.name}$${letters}`);
    return relation && { ...relation, name };
  }

  relation(name: string): Relation | undefined {
    const object = this.#objects.get(name);
    if (object !== undefined) return object.kind === 'sink' ? undefined : relationOf(object);
    const table = name.endsWith(HISTORY) ? this.#objects.get(name.slice(0, -HISTORY.length)) : undefined;
    if (table !== undefined) return historyRelation(table);
    for (const suffix of ['$errors', '$late'] as const) {
      if (!name.endsWith(suffix)) continue;
      const owner = this.#objects.get(name.slice(0, -suffix.length));
      if (owner === undefined) continue;
      if (suffix === '$late' && owner.late !== 'dead_letter') continue;
      return deadLetterRelation(owner, suffix);
    }
    return undefined;
  }

  relationNames(): readonly string[] {
    return this.list().flatMap((object) => (object.kind === 'sink' ? [] : [object.name, `${object.name}$errors`]));
  }

  async #save(): Promise<void> {
    if (this.#disk === null) return;
    const content = JSON.stringify({ format: FORMAT, objects: this.list() }, null, 1);
    await this.#disk.replaceFile(FILE, Buffer.from(content));
  }

  #changed(): void {
    this.#version++;
    for (const listener of this.#listeners) listener();
  }
}

/** Everything after what it reads, else as it stands. */
function inOrder(objects: readonly CatalogObject[]): CatalogObject[] {
  const byId = new Map(objects.map((object) => [object.id, object]));
  const placed = new Set<CatalogObject>();
  const place = (object: CatalogObject): void => {
    if (placed.has(object)) return;
    for (const read of object.reads) {
      const needed = byId.get(read.split('$')[0]);
      if (needed !== undefined && needed !== object) place(needed);
    }
    placed.add(object);
  };
  objects.forEach(place);
  return [...placed];
}
