import { checkDate, checkTimestamp } from '../../values/datetime.ts';
import type { Exact } from '../../values/decimal.ts';
import { canonicalJsonText } from '../../values/json-text.ts';
import { type Entry, packMap, packRow } from '../../values/nested.ts';
import { datumFromText } from '../../values/text.ts';
import { canonicalInteger, type Datum, type MapType, type RowType } from '../../values/types.ts';
import type { BinaryInput } from '../binary-input.ts';
import { orUndefined } from '../convert.ts';
import { jsonOfDatum } from '../json/json-encoder.ts';
import type { AvroNode, Logical } from './avro-schema.ts';
import { avroType, nullableBranch } from './avro-types.ts';

/** Reads a value as a datum of `avroType(node)`; what cannot be one is a problem of the input. */
export type ReadAvro = (input: BinaryInput) => Datum;
export type SkipAvro = (input: BinaryInput) => void;

const MICROS_PER_DAY = 86_400_000_000;

export function avroReader(node: AvroNode, inside: readonly AvroNode[] = []): ReadAvro {
  switch (node.kind) {
    case 'null':
      return () => null;
    case 'boolean':
      return (input) => {
        const byte = input.buffer[input.at++];
        if (byte > 1) input.fail(`a boolean is ${byte}`);
        return byte === 1;
      };
    case 'int':
    case 'long':
      return node.logical === null ? integerReader(node.kind) : timeReader(node.logical);
    case 'float':
      return (input) => input.float();
    case 'double':
      return (input) => input.double();
    case 'string':
      if (node.logical === null) return (input) => input.text(input.zigzagCount());
      return (input) => {
        const text = input.text(input.zigzagCount());
        return checked(
          input,
          text,
          orUndefined(() => datumFromText(text, { kind: 'uuid' })),
        );
      };
    case 'bytes':
      return bytesReader((input) => input.bytes(input.zigzagCount()), node);
    case 'fixed':
      return bytesReader((input) => input.bytes(node.size), node);
    case 'enum':
      return (input) => {
        const index = input.zigzagCount();
        const symbol = node.symbols[index];
        if (symbol === undefined) input.fail(`there is no symbol ${index} in ${node.name}`);
        return symbol ?? null;
      };
    case 'array': {
      const read = avroReader(node.items, inside);
      return (input) => {
        const out: Datum[] = [];
        eachElement(input, () => out.push(read(input)));
        return out;
      };
    }
    case 'map': {
      const read = avroReader(node.values, inside);
      const type = avroType(node, inside) as MapType;
      return (input) => {
        const entries: Entry[] = [];
        eachElement(input, () => entries.push([input.text(input.zigzagCount()), read(input)]));
        return packMap(entries, type);
      };
    }
    case 'record': {
      const type = avroType(node, inside);
      if (type.kind === 'jsonb') return jsonReader(node);
      const within = [...inside, node];
      const readers = node.fields.map((field) => avroReader(field.node, within));
      return (input) => {
        const values: Datum[] = [];
        for (const read of readers) values.push(read(input));
        return packRow(values, type as RowType);
      };
    }
    case 'union': {
      const asJson = nullableBranch(node.branches) === null;
      const readers = node.branches.map((branch) =>
        asJson && branch.kind !== 'null' ? jsonReader(branch) : avroReader(branch, inside),
      );
      return (input) => branchOf(input, readers)?.(input) ?? null;
    }
  }
}

export function branchOf<T>(input: BinaryInput, branches: readonly T[]): T | undefined {
  const index = input.zigzagCount();
  const branch = branches[index];
  if (branch === undefined) input.fail(`there is no branch ${index} in a union of ${branches.length}`);
  return branch;
}

/** Blocks of a count and that many elements; a negative count has the block's size in bytes after it. */
function eachElement(input: BinaryInput, read: () => void): void {
  for (;;) {
    let count = input.zigzagCount();
    if (count === 0 || input.problem !== null) return;
    if (count < 0) {
      count = -count;
      input.zigzagCount();
    }
    for (let i = 0; i < count; i++) {
      if (!input.element()) return;
      read();
    }
  }
}

function checked(input: BinaryInput, value: unknown, datum: Datum | undefined): Datum {
  if (datum !== undefined) return datum;
  input.fail(`a value is out of range: ${String(value).slice(0, 60)}`);
  return null;
}

function integerReader(kind: 'int' | 'long'): ReadAvro {
  if (kind === 'long') return (input) => input.zigzag();
  return (input) => {
    const value = input.zigzag();
    return checked(input, value, value >= -2147483648 && value <= 2147483647 ? value : undefined);
  };
}

function timeReader(logical: Logical): ReadAvro {
  const scale = logical.name.endsWith('millis') ? 1000 : 1;
  switch (logical.name) {
    case 'date':
      return (input) => {
        const days = input.zigzag();
        return checked(
          input,
          days,
          orUndefined(() => checkDate(Number(days))),
        );
      };
    case 'time-millis':
    case 'time-micros':
      return (input) => {
        const micros = Number(input.zigzag()) * scale;
        return checked(input, micros, micros >= 0 && micros <= MICROS_PER_DAY ? micros : undefined);
      };
    default:
      return (input) => {
        const value = input.zigzag();
        const micros = logical.name.endsWith('nanos') ? fromNanos(value) : scaled(value, scale);
        return checked(
          input,
          value,
          orUndefined(() => checkTimestamp(micros)),
        );
      };
  }
}

function scaled(value: number | bigint, scale: number): Exact {
  const product = Number(value) * scale;
  return Number.isSafeInteger(product) ? product : canonicalInteger(BigInt(value) * BigInt(scale));
}

/** Rounded down. */
function fromNanos(value: number | bigint): Exact {
  if (typeof value === 'number') return Math.floor(value / 1000);
  const micros = value / 1000n;
  return canonicalInteger(value < 0n && micros * 1000n !== value ? micros - 1n : micros);
}

function bytesReader(read: (input: BinaryInput) => Uint8Array, node: AvroNode & { logical: Logical | null }): ReadAvro {
  const { logical } = node;
  const type = avroType(node);
  if (logical === null || type.kind === 'bytea') return read;
  if (logical.name === 'duration') {
    return (input) => {
      const bytes = Buffer.from(read(input));
      if (bytes.length < 12) return null;
      return { months: bytes.readUInt32LE(0), days: bytes.readUInt32LE(4), micros: bytes.readUInt32LE(8) * 1000 };
    };
  }
  if (logical.name === 'uuid') {
    return (input) => {
      const hex = Buffer.from(read(input)).toString('hex');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    };
  }
  const limit = 10n ** BigInt(logical.name === 'decimal' ? logical.precision : 0);
  return (input) => {
    const value = bigEndian(read(input));
    return checked(input, value, value < limit && value > -limit ? canonicalInteger(value) : undefined);
  };
}

/** Two's complement, as Java's BigInteger writes it. */
export function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

/** The canonical JSON text of any value: of a union the value without its branch's name. */
function jsonReader(node: AvroNode): ReadAvro {
  const read = new JsonTexts().reader(node);
  return (input) => {
    const text = read(input);
    return input.problem === null ? (canonicalJsonText(text) ?? null) : null;
  };
}

class JsonTexts {
  readonly #made = new Map<AvroNode, { read: (input: BinaryInput) => string }>();

  reader(node: AvroNode): (input: BinaryInput) => string {
    const known = this.#made.get(node);
    // Made before what it holds, which may be itself.
    if (known !== undefined) return (input) => known.read(input);
    const made = { read: (_: BinaryInput): string => 'null' };
    this.#made.set(node, made);
    made.read = this.#make(node);
    return made.read;
  }

  #make(node: AvroNode): (input: BinaryInput) => string {
    switch (node.kind) {
      case 'array': {
        const read = this.reader(node.items);
        return (input) => {
          const parts: string[] = [];
          eachElement(input, () => parts.push(read(input)));
          return `[${parts.join(',')}]`;
        };
      }
      case 'map': {
        const read = this.reader(node.values);
        return (input) => {
          const parts: string[] = [];
          eachElement(input, () => parts.push(`${JSON.stringify(input.text(input.zigzagCount()))}:${read(input)}`));
          return `{${parts.join(',')}}`;
        };
      }
      case 'record': {
        const fields = node.fields.map((field) => ({
          name: JSON.stringify(field.name),
          read: this.reader(field.node),
        }));
        return (input) => {
          if (!input.enter()) return 'null';
          const text = `{${fields.map(({ name, read }) => `${name}:${read(input)}`).join(',')}}`;
          input.leave();
          return text;
        };
      }
      case 'union': {
        const readers = node.branches.map((branch) => this.reader(branch));
        return (input) => branchOf(input, readers)?.(input) ?? 'null';
      }
      default: {
        const type = avroType(node);
        const read = avroReader(node);
        return (input) => jsonOfDatum(type, read(input));
      }
    }
  }
}

/** Moves over a value without making anything of it. */
export function avroSkipper(node: AvroNode, made = new Map<AvroNode, { skip: SkipAvro }>()): SkipAvro {
  const known = made.get(node);
  if (known !== undefined) return (input) => known.skip(input);
  const own = { skip: (_: BinaryInput): void => undefined };
  made.set(node, own);
  own.skip = makeSkipper(node, made);
  return own.skip;
}

function makeSkipper(node: AvroNode, made: Map<AvroNode, { skip: SkipAvro }>): SkipAvro {
  switch (node.kind) {
    case 'null':
      return () => undefined;
    case 'boolean':
      return (input) => {
        input.at++;
      };
    case 'int':
    case 'long':
    case 'enum':
      return (input) => {
        input.varint();
      };
    case 'float':
      return (input) => {
        input.take(4);
      };
    case 'double':
      return (input) => {
        input.take(8);
      };
    case 'string':
    case 'bytes':
      return (input) => {
        input.take(input.zigzagCount());
      };
    case 'fixed':
      return (input) => {
        input.take(node.size);
      };
    case 'array':
    case 'map': {
      const skip = avroSkipper(node.kind === 'array' ? node.items : node.values, made);
      return (input) =>
        eachElement(input, () => {
          if (node.kind === 'map') input.take(input.zigzagCount());
          skip(input);
        });
    }
    case 'record': {
      const skips = node.fields.map((field) => avroSkipper(field.node, made));
      return (input) => {
        if (!input.enter()) return;
        for (const skip of skips) skip(input);
        input.leave();
      };
    }
    case 'union': {
      const skips = node.branches.map((branch) => avroSkipper(branch, made));
      return (input) => branchOf(input, skips)?.(input);
    }
  }
}
