import { readFileSync } from 'node:fs';
import { type Field, type Fields, type FieldType, inRange, versionRange } from '../../src/protocol/schema.ts';

/** One field as it travels in one version; what two sides must agree on. */
export interface WireField {
  readonly path: string;
  readonly type: string;
  readonly nullable: boolean;
  /** −1 when not tagged. */
  readonly tag: number;
  readonly default: unknown;
}

interface JsonField {
  readonly name: string;
  readonly type: string;
  readonly versions?: string;
  readonly nullableVersions?: string;
  readonly taggedVersions?: string;
  readonly tag?: number;
  readonly default?: unknown;
  readonly fields?: readonly JsonField[];
}

export interface Definition {
  readonly apiKey?: number;
  readonly name: string;
  readonly validVersions: string;
  readonly flexibleVersions: string;
  readonly fields: readonly JsonField[];
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly JsonField[] }[];
}

/** Reads a vendored definition; its format is JSON with `//` comments on lines of their own or after a value. */
export function loadDefinition(name: string): Definition {
  const text = readFileSync(new URL(`./messages/${name}.json`, import.meta.url), 'utf8');
  return JSON.parse(text.replace(/^((?:[^"\n]|"(?:[^"\\\n]|\\.)*")*?)\/\/.*$/gm, '$1'));
}

const lowerFirst = (name: string): string => name[0].toLowerCase() + name.slice(1);

export function wireFieldsOfDefinition(definition: Definition, version: number): WireField[] {
  const structs = new Map((definition.commonStructs ?? []).map((s) => [s.name, s.fields]));
  const out: WireField[] = [];
  const walk = (fields: readonly JsonField[], prefix: string): void => {
    for (const field of fields) {
      if (!inRange(versionRange(field.versions ?? field.taggedVersions ?? 'none'), version)) continue;
      const element = field.type.replace(/^\[\]/, '');
      const isStruct = /^[A-Z]/.test(element);
      const path = prefix + lowerFirst(field.name);
      out.push({
        path,
        type: (field.type.startsWith('[]') ? '[]' : '') + (isStruct ? 'struct' : element),
        nullable: inRange(versionRange(field.nullableVersions ?? 'none'), version),
        tag: inRange(versionRange(field.taggedVersions ?? 'none'), version) ? (field.tag ?? -1) : -1,
        default: defaultOf(field.type, field.default),
      });
      if (isStruct) walk(field.fields ?? structs.get(element)!, `${path}.`);
    }
  };
  walk(definition.fields, '');
  return out;
}

function defaultOf(type: string, text: unknown): unknown {
  if (text === null) return null;
  if (type.startsWith('[]') || /^[A-Z]/.test(type) || type === 'bytes' || type === 'records') {
    return text === 'null' ? null : undefined;
  }
  if (text === 'null') return null;
  if (type === 'string') return text ?? '';
  if (type === 'bool') return String(text ?? 'false') === 'true';
  if (type === 'uuid') return text ?? 'zero';
  // The tables hold Long.MAX_VALUE as the largest safe integer.
  return Math.min(Number(text ?? 0), Number.MAX_SAFE_INTEGER);
}

const IMPLICIT: Readonly<Record<string, unknown>> = { string: '', bool: false, uuid: 'zero' };

export function wireFieldsOfTable(fields: Fields, version: number): WireField[] {
  const out: WireField[] = [];
  const walk = (inner: Fields, prefix: string): void => {
    for (const [name, field] of Object.entries(inner)) {
      if (!inRange(field.versions, version)) continue;
      const element: FieldType = field.type.kind === 'array' ? field.type.element : field.type;
      out.push({
        path: prefix + name,
        type: (field.type.kind === 'array' ? '[]' : '') + element.kind,
        nullable: inRange(field.nullable, version),
        tag: inRange(field.tagged, version) ? field.tag : -1,
        default: tableDefault(field),
      });
      if (element.kind === 'struct') walk(element.fields, `${prefix}${name}.`);
    }
  };
  walk(fields, '');
  return out;
}

function tableDefault(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  if (['array', 'struct', 'bytes', 'records'].includes(field.type.kind)) return undefined;
  return field.type.kind in IMPLICIT ? IMPLICIT[field.type.kind] : 0;
}
