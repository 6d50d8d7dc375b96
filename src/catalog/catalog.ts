import { prepareUserCode } from '../../streamql/functions/user/user-code.ts';
import type { UserFunction } from '../../streamql/functions/user/user-function.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import type { Disk } from '../ports/disk.ts';
import type { Relation, RelationCatalog } from '../ports/relations.ts';
import { SOURCE_HIDDEN_COLUMNS } from '../values/hidden-columns.ts';
import { type CatalogObject, deadLetterRelation, historyRelation, relationOf } from './objects.ts';

const FILE = 'catalog.json';
const FORMAT = 1;
const HISTORY = '$history';

export const PUBLIC_SCHEMA = 'public';

interface State {
  readonly disk: Disk | null;
  readonly objects: Map<string, CatalogObject>;
  /** Beside `public`, which is always there. */
  readonly schemas: Set<string>;
  functions: readonly UserFunction[];
  version: number;
  readonly listeners: Set<() => void>;
}

/** A source of a release that had fewer hidden columns; new ones stand at the end. */
function withHiddenColumns(object: CatalogObject): CatalogObject {
  if (object.kind !== 'source') return object;
  const missing = SOURCE_HIDDEN_COLUMNS.filter(({ name }) => !object.columns.some((column) => column.name === name));
  return missing.length === 0 ? object : { ...object, columns: [...object.columns, ...missing] };
}

/**
 * What exists: sources, tables, views and sinks by name, in the order of their creation, so that everything comes after
 * what it reads. Objects of schema `public` are named as such, those of another `schema.name`; a plain name means the first object of that name along
 * the search path. Durable: `put` and `delete` return after the catalogue file was replaced atomically.
 */
export class Catalog implements RelationCatalog {
  readonly #state: State;
  readonly #path: readonly string[];

  private constructor(state: State, path: readonly string[]) {
    this.#state = state;
    this.#path = path;
  }

  /** `disk` null: nothing is kept. Throws STORAGE_FAILED when the file is damaged or of a newer format. */
  static async open(disk: Disk | null): Promise<Catalog> {
    const state: State = {
      disk,
      objects: new Map(),
      schemas: new Set(),
      functions: [],
      version: 0,
      listeners: new Set(),
    };
    const catalog = new Catalog(state, [PUBLIC_SCHEMA]);
    if (disk !== null && (await disk.exists(FILE))) {
      let parsed: { format: number; objects: CatalogObject[]; schemas?: string[]; functions?: UserFunction[] };
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
      for (const object of parsed.objects) state.objects.set(object.name, withHiddenColumns(object));
      for (const schema of parsed.schemas ?? []) state.schemas.add(schema);
      state.functions = parsed.functions ?? [];
      await prepareUserCode(state.functions);
    }
    return catalog;
  }

  /** Grows with every change; lets caches (the GraphQL schema) know that they are old. */
  get version(): number {
    return this.#state.version;
  }

  onChange(listener: () => void): () => void {
    this.#state.listeners.add(listener);
    return () => this.#state.listeners.delete(listener);
  }

  /** The same catalogue, seen along another search path. */
  under(path: readonly string[]): Catalog {
    return new Catalog(this.#state, path);
  }

  get schemas(): readonly string[] {
    return [PUBLIC_SCHEMA, ...this.#state.schemas];
  }

  /** In the first schema of the search path that exists; NOT_FOUND when the name says a schema that does not. */
  nameOfNew({ text, schema, at }: { text: string; schema?: string; at: Position }): string {
    const wanted = schema ?? this.#path.find((one) => this.schemas.includes(one)) ?? PUBLIC_SCHEMA;
    if (!this.schemas.includes(wanted)) {
      throw new StreamError('NOT_FOUND', `there is no schema "${wanted}"`, {
        at,
        sqlState: '3F000',
        hint: `CREATE SCHEMA ${wanted}; there are: ${this.schemas.join(', ')}`,
      });
    }
    const local = schema === undefined ? text : text.slice(schema.length + 1);
    if (schema === undefined && this.schemaOf(text) !== PUBLIC_SCHEMA) {
      throw new StreamError('SQL_BIND', `"${text}" would be taken for a name in schema "${this.schemaOf(text)}"`, {
        at,
      });
    }
    return wanted === PUBLIC_SCHEMA ? local : `${wanted}.${local}`;
  }

  /** Of an object's full name. */
  schemaOf(name: string): string {
    const dot = name.indexOf('.');
    const first = dot < 0 ? '' : name.slice(0, dot);
    return this.#state.schemas.has(first) ? first : PUBLIC_SCHEMA;
  }

  async createSchema(name: string): Promise<void> {
    this.#state.schemas.add(name);
    await this.#saved(() => this.#state.schemas.delete(name));
  }

  /** It has no objects. */
  async deleteSchema(name: string): Promise<void> {
    this.#state.schemas.delete(name);
    await this.#saved(() => this.#state.schemas.add(name));
  }

  async #saved(undo: () => void): Promise<void> {
    try {
      await this.#save();
    } catch (thrown) {
      undo();
      throw thrown;
    }
    this.#changed();
  }

  /** By its full name, wherever the search path leads. */
  has(fullName: string): boolean {
    return this.#state.objects.has(fullName);
  }

  get(name: string): CatalogObject | undefined {
    const { objects } = this.#state;
    if (name.startsWith(`${PUBLIC_SCHEMA}.`)) return objects.get(name) ?? objects.get(name.slice(7));
    if (this.schemaOf(name) !== PUBLIC_SCHEMA) return objects.get(name);
    for (const schema of this.#path) {
      const found = objects.get(schema === PUBLIC_SCHEMA ? name : `${schema}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  byId(id: string): CatalogObject | undefined {
    return this.list().find((object) => object.id === id);
  }

  /** In order of creation. */
  list(): CatalogObject[] {
    return [...this.#state.objects.values()];
  }

  /** Objects that read the given one, and sinks that write to it: they cannot be without it. */
  readersOf(id: string): CatalogObject[] {
    return this.list().filter(
      (object) => object.into === id || object.reads.some((read) => read === id || read.startsWith(`${id}$`)),
    );
  }

  async put(object: CatalogObject): Promise<void> {
    if (this.#state.objects.has(object.name)) {
      throw new StreamError('ALREADY_EXISTS', `"${object.name}" exists already`, {
        hint: 'drop it first, or take another name',
      });
    }
    this.#state.objects.set(object.name, object);
    try {
      await this.#save();
    } catch (thrown) {
      this.#state.objects.delete(object.name);
      throw thrown;
    }
    this.#changed();
  }

  async delete(name: string): Promise<void> {
    if (this.#state.objects.has(name)) await this.change((objects) => objects.filter((object) => object.name !== name));
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
    this.#state.objects.clear();
    for (const object of objects) this.#state.objects.set(object.name, object);
  }

  /** Of an id or a dead-letter relation's, under the name that a query has for it. */
  relationById(id: string, name: string): Relation | undefined {
    const [owner, letters] = id.split('$');
    const object = this.byId(owner);
    if (object === undefined || object.kind === 'sink') return undefined;
    const relation =
      letters === undefined ? relationOf(object) : this.under([PUBLIC_SCHEMA]).relation(`${object.name}$${letters}`);
    return relation && { ...relation, name };
  }

  relation(name: string): Relation | undefined {
    const object = this.get(name);
    if (object !== undefined) return object.kind === 'sink' ? undefined : relationOf(object);
    const table = name.endsWith(HISTORY) ? this.get(name.slice(0, -HISTORY.length)) : undefined;
    if (table !== undefined) return historyRelation(table);
    for (const suffix of ['$errors', '$late'] as const) {
      if (!name.endsWith(suffix)) continue;
      const owner = this.get(name.slice(0, -suffix.length));
      if (owner === undefined) continue;
      if (suffix === '$late' && owner.late !== 'dead_letter') continue;
      return deadLetterRelation(owner, suffix);
    }
    return undefined;
  }

  get functions(): readonly UserFunction[] {
    return this.#state.functions;
  }

  userFunction(name: string): UserFunction | undefined {
    return this.#state.functions.find((fn) => fn.name === name);
  }

  async setFunctions(functions: readonly UserFunction[]): Promise<void> {
    const before = this.#state.functions;
    this.#state.functions = functions;
    try {
      await this.#save();
    } catch (thrown) {
      this.#state.functions = before;
      throw thrown;
    }
    this.#changed();
  }

  relationNames(): readonly string[] {
    return this.list().flatMap((object) => (object.kind === 'sink' ? [] : [object.name, `${object.name}$errors`]));
  }

  async #save(): Promise<void> {
    if (this.#state.disk === null) return;
    const schemas = this.#state.schemas.size === 0 ? {} : { schemas: [...this.#state.schemas] };
    const functions = this.#state.functions.length === 0 ? {} : { functions: this.#state.functions };
    const content = JSON.stringify({ format: FORMAT, ...schemas, ...functions, objects: this.list() }, null, 1);
    await this.#state.disk.replaceFile(FILE, Buffer.from(content));
  }

  #changed(): void {
    this.#state.version++;
    for (const listener of this.#state.listeners) listener();
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
