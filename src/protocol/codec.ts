import {
  type Field,
  type Fields,
  type FieldType,
  type Input,
  inRange,
  type MessageSchema,
  type Value,
  ZERO_UUID,
} from './schema.ts';
import type { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/**
 * Turns a message table into a reader and a writer per version, once each, as generated straight-line code. The code is
 * made from our own tables only; nothing that comes over the wire reaches it.
 */
export interface MessageCodec<F extends Fields> {
  read(reader: WireReader): Value<F>;
  /** What is undefined takes its default; fields that the version does not have are left out. */
  write(writer: WireWriter, value: Input<F>): void;
}

const codecs = new WeakMap<MessageSchema<any>, (MessageCodec<any> | undefined)[]>();

/** The version must be one of the message's. */
export function codecOf<F extends Fields>(schema: MessageSchema<F>, version: number): MessageCodec<F> {
  let versions = codecs.get(schema);
  if (versions === undefined) {
    versions = [];
    codecs.set(schema, versions);
  }
  let codec = versions[version];
  if (codec === undefined) {
    if (!inRange(schema.versions, version)) throw new RangeError(`${schema.name} has no version ${version}`);
    codec = new Compiler(version, inRange(schema.flexible, version)).compile(schema);
    versions[version] = codec;
  }
  return codec;
}

const FIXED_SIZES: Readonly<Record<string, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
};

const isTagged = (field: Field, version: number): boolean => inRange(field.tagged, version);

class Compiler {
  readonly #version: number;
  readonly #flexible: boolean;
  readonly #functions: string[] = [];
  #names = 0;

  constructor(version: number, flexible: boolean) {
    this.#version = version;
    this.#flexible = flexible;
  }

  compile(schema: MessageSchema): MessageCodec<Fields> {
    const read = this.#structReader(schema.fields);
    const write = this.#structWriter(schema.fields);
    const source = `'use strict';\n${this.#functions.join('\n')}\nreturn { read: ${read}, write: ${write} };`;
    return new Function('WireWriter', 'EMPTY', source)(WireWriter, Buffer.alloc(0));
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  #present(fields: Fields): [string, Field][] {
    return Object.entries(fields).filter(([, field]) => inRange(field.versions, this.#version));
  }

  #tagged(fields: Fields): [string, Field][] {
    return this.#present(fields)
      .filter(([, field]) => isTagged(field, this.#version))
      .sort(([, a], [, b]) => a.tag - b.tag);
  }

  // ---- reading

  #structReader(fields: Fields): string {
    const lines: string[] = [];
    const names = Object.keys(fields);
    const slots = new Map(names.map((name, i) => [name, `f${i}`]));
    const inline = new Set(
      this.#present(fields)
        .filter(([, field]) => !isTagged(field, this.#version))
        .map(([name]) => name),
    );
    for (const name of names) {
      const field = fields[name];
      lines.push(`let ${slots.get(name)} = ${inline.has(name) ? this.#readField(name, field) : this.#default(field)};`);
    }
    if (this.#flexible) {
      const tagged = this.#tagged(fields);
      if (tagged.length === 0) lines.push('r.skipTags();');
      else {
        lines.push('for (let left = r.uvarint(); left > 0; left--) {');
        lines.push('const tag = r.uvarint(), size = r.uvarint(), end = r.position + size;');
        lines.push('switch (tag) {');
        for (const [name, field] of tagged) {
          lines.push(`case ${field.tag}: ${slots.get(name)} = ${this.#readField(name, field)};`);
          lines.push(`r.endTag(end, ${JSON.stringify(name)}); break;`);
        }
        lines.push('default: r.skip(size);');
        lines.push('}}');
      }
    }
    lines.push(`return { ${names.map((name) => `${name}: ${slots.get(name)}`).join(', ')} };`);
    const fn = this.#name('read');
    this.#functions.push(`function ${fn}(r) {\n${lines.join('\n')}\n}`);
    return fn;
  }

  /** An expression that reads the field. */
  #readField(name: string, field: Field): string {
    const nullable = inRange(field.nullable, this.#version);
    return this.#readType(name, field.type, nullable);
  }

  #readType(name: string, type: FieldType, nullable: boolean): string {
    const atNull = nullable ? 'null' : `r.nullNotAllowed(${JSON.stringify(name)})`;
    switch (type.kind) {
      case 'string':
      case 'bytes':
      case 'records': {
        const take = type.kind === 'string' ? 'text' : 'slice';
        const length = this.#flexible ? 'compactLength' : type.kind === 'string' ? 'stringLength' : 'bytesLength';
        const fn = this.#name('take');
        this.#functions.push(`function ${fn}(r) { const n = r.${length}(); return n < 0 ? ${atNull} : r.${take}(n); }`);
        return `${fn}(r)`;
      }
      case 'array': {
        const element = this.#readType(name, type.element, false);
        const fn = this.#name('array');
        this.#functions.push(`function ${fn}(r) {
const n = r.count(${this.#flexible}, ${this.#leastBytes(type.element)});
if (n < 0) return ${atNull};
const out = new Array(n);
for (let i = 0; i < n; i++) out[i] = ${element};
return out;
}`);
        return `${fn}(r)`;
      }
      case 'struct': {
        const read = this.#structReader(type.fields);
        // KIP-893: a nullable struct that is not an array's element begins with −1 (null) or 1.
        if (!nullable) return `${read}(r)`;
        const fn = this.#name('maybe');
        this.#functions.push(
          `function ${fn}(r) { const m = r.int8(); return m === -1 ? null : m === 1 ? ${read}(r) : r.badStructMarker(m); }`,
        );
        return `${fn}(r)`;
      }
      default:
        return `r.${type.kind}()`;
    }
  }

  #leastBytes(type: FieldType): number {
    if (type.kind === 'struct') {
      let sum = this.#flexible ? 1 : 0;
      for (const [, field] of this.#present(type.fields)) {
        if (isTagged(field, this.#version)) continue;
        const nullableStruct = field.type.kind === 'struct' && inRange(field.nullable, this.#version);
        sum += nullableStruct ? 1 : this.#leastBytes(field.type);
      }
      return Math.max(1, sum);
    }
    if (this.#flexible) return FIXED_SIZES[type.kind] ?? 1;
    return FIXED_SIZES[type.kind] ?? (type.kind === 'string' ? 2 : 4);
  }

  // ---- defaults

  /** Source text of a field's default value. */
  #default(field: Field): string {
    if (field.default !== undefined) return JSON.stringify(field.default);
    switch (field.type.kind) {
      case 'bool':
        return 'false';
      case 'string':
        return "''";
      case 'uuid':
        return `'${ZERO_UUID}'`;
      case 'bytes':
        return 'EMPTY';
      case 'records':
        return 'null';
      case 'array':
        return '[]';
      case 'struct': {
        const fields = Object.entries(field.type.fields).map(([name, inner]) => `${name}: ${this.#default(inner)}`);
        return `{ ${fields.join(', ')} }`;
      }
      default:
        return '0';
    }
  }

  /** Source text of a condition that is true unless the value (never undefined) is the field's default. */
  #differs(field: Field, value: string): string {
    if (field.default !== undefined) return `${value} !== ${JSON.stringify(field.default)}`;
    switch (field.type.kind) {
      case 'array':
      case 'bytes':
        return `(${value} === null || ${value}.length !== 0)`;
      case 'struct': {
        const inner = this.#present(field.type.fields).map(([name, f]) => {
          const member = `${value}.${name}`;
          return `(${member} !== undefined && ${this.#differs(f, member)})`;
        });
        return `(${value} === null || ${inner.join(' || ') || 'false'})`;
      }
      default:
        return `${value} !== ${this.#default(field)}`;
    }
  }

  // ---- writing

  #structWriter(fields: Fields): string {
    const lines: string[] = [];
    for (const [name, field] of this.#present(fields)) {
      if (isTagged(field, this.#version)) continue;
      lines.push(`{ let v = s.${name}; if (v === undefined) v = ${this.#default(field)};`);
      lines.push(`${this.#writeField('w', field, 'v')} }`);
    }
    if (this.#flexible) {
      const tagged = this.#tagged(fields);
      if (tagged.length === 0) lines.push('w.uvarint(0);');
      else {
        lines.push('let tags = 0;');
        tagged.forEach(([name, field], i) => {
          lines.push(`const t${i} = s.${name};`);
          lines.push(`const has${i} = t${i} !== undefined && ${this.#differs(field, `t${i}`)}; if (has${i}) tags++;`);
        });
        lines.push('w.uvarint(tags);');
        tagged.forEach(([, field], i) => {
          lines.push(`if (has${i}) { const b = new WireWriter(64); let v = t${i};`);
          lines.push(`${this.#writeField('b', field, 'v')}`);
          lines.push(`w.tag(${field.tag}, b); }`);
        });
      }
    }
    const fn = this.#name('write');
    this.#functions.push(`function ${fn}(w, s) {\n${lines.join('\n')}\n}`);
    return fn;
  }

  /** A statement that writes `value` (an identifier). */
  #writeField(writer: string, field: Field, value: string): string {
    const nullable = inRange(field.nullable, this.#version);
    // A null where the version has no null is the empty value: an older version cannot say it.
    const guard =
      nullable || field.type.kind === 'struct' ? '' : `if (${value} === null) ${value} = ${this.#empty(field.type)};`;
    return guard + this.#writeType(writer, field.type, value, nullable);
  }

  #empty(type: FieldType): string {
    if (type.kind === 'array') return '[]';
    if (type.kind === 'bytes' || type.kind === 'records') return 'EMPTY';
    if (type.kind === 'string') return "''";
    if (type.kind === 'uuid') return `'${ZERO_UUID}'`;
    return type.kind === 'bool' ? 'false' : '0';
  }

  #writeType(writer: string, type: FieldType, value: string, nullable: boolean): string {
    switch (type.kind) {
      case 'string':
        return `${writer}.${this.#flexible ? 'compactString' : 'string'}(${value});`;
      case 'bytes':
      case 'records':
        return `${writer}.${this.#flexible ? 'compactBytes' : 'bytes'}(${value});`;
      case 'array': {
        const item = this.#name('item');
        const body = this.#writeType(writer, type.element, item, false);
        const some = `{ ${writer}.${this.#flexible ? `uvarint(${value}.length + 1)` : `int32(${value}.length)`};
for (const ${item} of ${value}) ${body} }`;
        if (!nullable) return some;
        return `if (${value} === null) ${writer}.${this.#flexible ? 'uvarint(0)' : 'int32(-1)'}; else ${some}`;
      }
      case 'struct': {
        const write = this.#structWriter(type.fields);
        if (!nullable) return `${write}(${writer}, ${value});`;
        return `if (${value} === null) ${writer}.int8(-1); else { ${writer}.int8(1); ${write}(${writer}, ${value}); }`;
      }
      default:
        return `${writer}.${type.kind}(${value});`;
    }
  }
}
