import { createRequire } from 'node:module';
import type protobuf from 'protobufjs';
import { StreamError } from '../../lib/errors.ts';

/** Messages with their names resolved; one that contains itself makes it a graph. */
export interface ProtoMessage {
  /** Full, without a leading dot. */
  readonly name: string;
  readonly fields: readonly ProtoField[];
}

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: ProtoType;
  readonly repeated: boolean;
  /** For a map: the type of its keys; `type` is that of its values. */
  readonly mapKey: ProtoScalar | null;
  /** Whether "not there" differs from the default: optional, in a oneof, of proto2, or a message. */
  readonly presence: boolean;
  readonly required: boolean;
}

export type ProtoScalar =
  | 'int32'
  | 'sint32'
  | 'sfixed32'
  | 'uint32'
  | 'fixed32'
  | 'int64'
  | 'sint64'
  | 'sfixed64'
  | 'uint64'
  | 'fixed64'
  | 'float'
  | 'double'
  | 'bool'
  | 'string'
  | 'bytes';

export type ProtoType =
  | { readonly kind: 'scalar'; readonly scalar: ProtoScalar }
  | { readonly kind: 'enum'; readonly symbols: ReadonlyMap<number, string> }
  | { readonly kind: 'message'; readonly message: ProtoMessage };

export interface ProtoSchema {
  readonly message: ProtoMessage;
  /** Where the message stands in its file, as Confluent's header counts; null when the schema has several files. */
  readonly indexes: readonly number[] | null;
}

type Library = typeof protobuf & { descriptor?: unknown };
let library: Library | null = null;

/** protobufjs, loaded by the first schema. */
function load(): Library {
  if (library === null) {
    const require = createRequire(import.meta.url);
    library = require('protobufjs') as Library;
    require('protobufjs/ext/descriptor');
  }
  return library;
}

const invalid = (why: string, hint?: string): StreamError =>
  new StreamError('OPTION_INVALID', `the Protobuf schema cannot be used: ${why}`, {
    hint: hint ?? 'write schema = \'syntax = "proto3"; message M { … }\' or a FileDescriptorSet in base64',
  });

/** `schema`: the text of a .proto file, or a FileDescriptorSet in base64. OPTION_INVALID. */
export function parseProtoSchema(schema: string, message: string | undefined): ProtoSchema {
  const { Type } = load();
  const isText = /[;{]/.test(schema);
  const { root, packages, oneFile } = isText ? fromText(schema) : fromDescriptors(schema);
  const own = packages.flatMap((space) => typesOf(space));
  let type: protobuf.Type;
  if (message === undefined) {
    if (own.length !== 1) {
      throw new StreamError('OPTION_INVALID', `option message is missing: the schema has ${own.length} messages`, {
        hint: own.length === 0 ? undefined : `say which: ${own.map(fullName).join(', ')}`,
      });
    }
    type = own[0];
  } else {
    const found = root.lookup(message, [Type]);
    if (found === null || !(found instanceof Type))
      throw invalid(`there is no message ${message}`, `it has: ${own.map(fullName).join(', ')}`);
    type = found;
  }
  return { message: new Messages().of(type), indexes: oneFile ? indexesOf(type) : null };
}

const fullName = (type: { fullName: string }): string => type.fullName.replace(/^\./, '');

function typesOf(space: protobuf.NamespaceBase): protobuf.Type[] {
  const { Type } = load();
  return space.nestedArray.filter((one): one is protobuf.Type => one instanceof Type);
}

interface Parsed {
  readonly root: protobuf.Root;
  /** What the messages of the schema itself stand in, one per file. */
  readonly packages: readonly protobuf.NamespaceBase[];
  /** Of several files it cannot be told which message came from which. */
  readonly oneFile: boolean;
}

function fromText(text: string): Parsed {
  const { parse, common, Root } = load();
  const root = new Root();
  let parsed: protobuf.IParserResult;
  try {
    parsed = parse(text, root, { keepCase: true });
    for (const file of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) {
      const known = common.get(file);
      if (known === null || known === undefined) {
        throw invalid(
          `it imports ${file}`,
          'write the imported messages into it, or give a FileDescriptorSet in base64',
        );
      }
      if (known.nested !== undefined) root.addJSON(known.nested);
    }
    root.resolveAll();
  } catch (thrown) {
    throw thrown instanceof StreamError ? thrown : invalid((thrown as Error).message);
  }
  const name = parsed.package;
  return { root, packages: [name === undefined ? root : (root.lookup(name) as protobuf.NamespaceBase)], oneFile: true };
}

function fromDescriptors(text: string): Parsed {
  if (!/^[A-Za-z0-9+/\s]+=*\s*$/.test(text)) throw invalid('it is neither the text of a .proto file nor base64');
  const { Root } = load();
  try {
    const bytes = Buffer.from(text, 'base64');
    const { FileDescriptorSet } = createRequire(import.meta.url)('protobufjs/ext/descriptor') as {
      FileDescriptorSet: { decode(bytes: Buffer): { file: { package?: string; name?: string }[] } };
    };
    const set = FileDescriptorSet.decode(bytes);
    const root = (Root as unknown as { fromDescriptor(set: unknown): protobuf.Root }).fromDescriptor(set);
    root.resolveAll();
    const own = set.file.filter((file) => !file.name?.startsWith('google/protobuf/'));
    const packages = new Set(own.map((file) => file.package ?? ''));
    const spaces = [...packages].map((name) => (name === '' ? root : (root.lookup(name) as protobuf.NamespaceBase)));
    return { root, packages: spaces, oneFile: own.length === 1 };
  } catch (thrown) {
    throw thrown instanceof StreamError ? thrown : invalid((thrown as Error).message);
  }
}

function indexesOf(type: protobuf.Type): number[] {
  const { Type } = load();
  const parent = type.parent as protobuf.NamespaceBase;
  const own = typesOf(parent).indexOf(type);
  return parent instanceof Type ? [...indexesOf(parent), own] : [own];
}

class Messages {
  readonly #made = new Map<protobuf.Type, ProtoMessage>();

  of(type: protobuf.Type): ProtoMessage {
    const known = this.#made.get(type);
    if (known !== undefined) return known;
    const fields: ProtoField[] = [];
    const message: ProtoMessage = { name: fullName(type), fields };
    this.#made.set(type, message);
    for (const field of type.fieldsArray) fields.push(this.#field(field.resolve()));
    return message;
  }

  #field(field: protobuf.FieldBase): ProtoField {
    const { Enum, Type, MapField } = load();
    const resolved = field.resolvedType;
    if (
      (field as { delimited?: boolean }).delimited === true ||
      (resolved as { group?: boolean } | null)?.group === true
    )
      throw invalid(`${fullName(field)} is a group`, 'use a message in its place');
    let type: ProtoType;
    if (resolved instanceof Enum) {
      const symbols = new Map<number, string>();
      for (const [name, number] of Object.entries(resolved.values)) if (!symbols.has(number)) symbols.set(number, name);
      type = { kind: 'enum', symbols };
    } else if (resolved instanceof Type) type = { kind: 'message', message: this.of(resolved) };
    else type = { kind: 'scalar', scalar: field.type as ProtoScalar };
    const isMap = field instanceof MapField;
    const single = !field.repeated && !isMap;
    return {
      name: (field as { protoName?: string }).protoName ?? field.name,
      number: field.id,
      type,
      repeated: field.repeated,
      mapKey: isMap ? (field.keyType as ProtoScalar) : null,
      presence: single && (type.kind === 'message' || Boolean((field as { hasPresence?: unknown }).hasPresence)),
      required: (field as { required?: boolean }).required === true,
    };
  }
}
