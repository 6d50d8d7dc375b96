import { StreamError } from '../../lib/errors.ts';

/** An Avro schema (specification 1.12) as a tree in which names are resolved; a record that contains itself makes it a graph. */
export type AvroNode =
  | {
      readonly kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';
      readonly logical: Logical | null;
    }
  | { readonly kind: 'fixed'; readonly name: string; readonly size: number; readonly logical: Logical | null }
  | { readonly kind: 'enum'; readonly name: string; readonly symbols: readonly string[] }
  | { readonly kind: 'array'; readonly items: AvroNode }
  | { readonly kind: 'map'; readonly values: AvroNode }
  | { readonly kind: 'record'; readonly name: string; readonly fields: readonly AvroField[] }
  | { readonly kind: 'union'; readonly branches: readonly AvroNode[] };

export interface AvroField {
  readonly name: string;
  readonly node: AvroNode;
}

export type Logical =
  | { readonly name: 'decimal'; readonly precision: number; readonly scale: number }
  | {
      readonly name:
        | 'date'
        | 'time-millis'
        | 'time-micros'
        | 'timestamp-millis'
        | 'timestamp-micros'
        | 'timestamp-nanos'
        | 'local-timestamp-millis'
        | 'local-timestamp-micros'
        | 'local-timestamp-nanos'
        | 'uuid'
        | 'duration';
    };

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/** The types that each logical type annotates; on another type it means nothing, as the specification says. */
const LOGICAL_ON: Readonly<Record<string, readonly string[]>> = {
  decimal: ['bytes', 'fixed'],
  date: ['int'],
  'time-millis': ['int'],
  'time-micros': ['long'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  'timestamp-nanos': ['long'],
  'local-timestamp-millis': ['long'],
  'local-timestamp-micros': ['long'],
  'local-timestamp-nanos': ['long'],
  uuid: ['string', 'fixed'],
  duration: ['fixed'],
};

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const FULL_NAME = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
const MOST_DEPTH = 64;

/** OPTION_INVALID names what is wrong with the schema and where. */
export function parseAvroSchema(text: string): AvroNode {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The name of a primitive type may stand alone, without the quotes of JSON.
    json = PRIMITIVES.has(text.trim()) ? text.trim() : undefined;
  }
  if (json === undefined) throw invalid('it is not JSON');
  return new Parser().node(json, '', 'schema', 0);
}

const invalid = (why: string): StreamError =>
  new StreamError('OPTION_INVALID', `the Avro schema cannot be used: ${why}`, {
    hint: 'write schema = \'{"type":"record","name":"r","fields":[…]}\', the schema that records are written with',
  });

type Json = Readonly<Record<string, unknown>>;

class Parser {
  readonly #named = new Map<string, AvroNode>();

  /** `path` is for messages. */
  node(json: unknown, namespace: string, path: string, depth: number): AvroNode {
    if (depth > MOST_DEPTH) throw invalid(`${path} is nested too deep`);
    if (typeof json === 'string') return this.#reference(json, namespace, path);
    if (Array.isArray(json)) return this.#union(json, namespace, path, depth);
    if (typeof json !== 'object' || json === null) throw invalid(`${path} is no type`);
    const schema = json as Json;
    const { type } = schema;
    if (typeof type === 'object' && type !== null) return this.node(type, namespace, path, depth + 1);
    switch (type) {
      case 'array':
        return { kind: 'array', items: this.node(schema['items'], namespace, `${path}.items`, depth + 1) };
      case 'map':
        return { kind: 'map', values: this.node(schema['values'], namespace, `${path}.values`, depth + 1) };
      case 'record':
      case 'error':
        return this.#record(schema, namespace, path, depth);
      case 'enum': {
        const { symbols } = schema;
        if (!Array.isArray(symbols) || symbols.some((symbol) => typeof symbol !== 'string'))
          throw invalid(`${path} has no symbols`);
        const { full } = this.#nameOf(schema, namespace, path);
        return this.#define(full, { kind: 'enum', name: full, symbols: symbols as string[] }, path);
      }
      case 'fixed': {
        const { size } = schema;
        if (!Number.isSafeInteger(size) || (size as number) < 0) throw invalid(`${path} has no size`);
        const { full } = this.#nameOf(schema, namespace, path);
        const logical = logicalOf(schema, 'fixed', size as number);
        return this.#define(full, { kind: 'fixed', name: full, size: size as number, logical }, path);
      }
      default: {
        if (typeof type !== 'string') throw invalid(`${path} has no type`);
        if (!PRIMITIVES.has(type)) return this.#reference(type, namespace, path);
        return { kind: type as 'int', logical: logicalOf(schema, type, 0) };
      }
    }
  }

  #reference(name: string, namespace: string, path: string): AvroNode {
    if (PRIMITIVES.has(name)) return { kind: name as 'int', logical: null };
    const full = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
    const found = this.#named.get(full) ?? this.#named.get(name);
    if (found === undefined) throw invalid(`${path} names the type "${name}", which is not defined before it`);
    return found;
  }

  #union(branches: readonly unknown[], namespace: string, path: string, depth: number): AvroNode {
    if (branches.length === 0) throw invalid(`${path} is a union of nothing`);
    const nodes = branches.map((branch, i) => {
      const node = this.node(branch, namespace, `${path}[${i}]`, depth + 1);
      if (node.kind === 'union') throw invalid(`${path} is a union in a union`);
      return node;
    });
    const kinds = nodes.map((node) => ('name' in node ? node.name : node.kind));
    if (new Set(kinds).size < kinds.length) throw invalid(`${path} is a union with the same type twice`);
    return { kind: 'union', branches: nodes };
  }

  #record(schema: Json, namespace: string, path: string, depth: number): AvroNode {
    const { full, space } = this.#nameOf(schema, namespace, path);
    const fields: AvroField[] = [];
    // Known before its fields, which may name it.
    const record = this.#define(full, { kind: 'record', name: full, fields }, path);
    if (!Array.isArray(schema['fields'])) throw invalid(`${path} has no fields`);
    for (const field of schema['fields'] as readonly (Json | null)[]) {
      const name = field?.['name'];
      if (typeof name !== 'string' || !NAME.test(name)) throw invalid(`${path} has a field without a proper name`);
      if (fields.some((one) => one.name === name)) throw invalid(`${path} has two fields "${name}"`);
      fields.push({ name, node: this.node(field?.['type'], space, `${path}.${name}`, depth + 1) });
    }
    return record;
  }

  #define<N extends AvroNode>(full: string, node: N, path: string): N {
    if (this.#named.has(full)) throw invalid(`${path} defines "${full}" again`);
    this.#named.set(full, node);
    return node;
  }

  #nameOf(schema: Json, namespace: string, path: string): { full: string; space: string } {
    const { name } = schema;
    if (typeof name !== 'string' || !FULL_NAME.test(name)) throw invalid(`${path} has no proper name`);
    const own = typeof schema['namespace'] === 'string' ? schema['namespace'] : namespace;
    const full = name.includes('.') || own === '' ? name : `${own}.${name}`;
    return { full, space: full.slice(0, Math.max(0, full.lastIndexOf('.'))) };
  }
}

function logicalOf(schema: Json, type: string, size: number): Logical | null {
  const name = schema['logicalType'];
  if (typeof name !== 'string' || !LOGICAL_ON[name]?.includes(type)) return null;
  if (name === 'duration') return size === 12 ? { name } : null;
  if (name === 'uuid') return type === 'string' || size === 16 ? { name } : null;
  if (name !== 'decimal') return { name: name as 'date' };
  const precision = schema['precision'];
  const scale = schema['scale'] ?? 0;
  const sound =
    Number.isSafeInteger(precision) &&
    Number.isSafeInteger(scale) &&
    (scale as number) >= 0 &&
    (precision as number) > 0;
  if (!sound || (precision as number) < (scale as number)) return null;
  return { name, precision: precision as number, scale: scale as number };
}
