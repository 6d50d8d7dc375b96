import { StreamError } from '../../../src/lib/errors.ts';
import { leb, ModuleReader, signedLeb } from './wasm-bytes.ts';

/** What a module may hold, in pages of 64 KiB: 32 MiB. */
export const MEMORY_PAGES = 512;
/** Functions that it may call by number; each costs memory outside of it. */
const MAX_TABLE = 10_000;
/** The name under which the counter of what may still be done is exported. */
export const FUEL = '$fuel';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const [TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];
/** The order sections stand in. */
const ORDER = [TYPE, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA];

/**
 * The module with a counter of instructions: every turn of a loop and every call of a function takes off as many as it has of its own (without the loops
 * within it, which take theirs), memory.copy, fill and init one for each byte, and below zero it traps. So code that loops for ever ends, after the same
 * work on every machine. Instructions that are not known are refused, and so are imports; memory gets a bound.
 *
 * What is added stands behind all that the module has (a global, a type, a function), so that nothing in it changes its number; the module itself was found
 * valid before, so that nothing in it can name what is added.
 */
export function withFuel(bytes: Uint8Array, fuel: number): Uint8Array<ArrayBuffer> {
  const sections = sectionsOf(new ModuleReader(bytes));
  if (sections.has(IMPORT) && (sections.get(IMPORT) as ModuleReader).u32() > 0) {
    throw new StreamError('SQL_UNSUPPORTED', 'the module imports something', {
      hint: 'build it so that it needs nothing from outside: there is no WASI and no host function',
    });
  }
  const count = (id: number): number => sections.get(id)?.u32() ?? 0;
  const types = count(TYPE);
  const functions = count(FUNCTION);
  const globals = count(GLOBAL);
  const exported = count(EXPORT);
  const pay = functions;
  const out: number[] = [...HEADER];
  const put = (id: number, content: readonly number[]): void => {
    out.push(id, ...leb(content.length));
    for (const byte of content) out.push(byte);
  };
  const longer = (id: number, length: number, more: readonly number[]): void =>
    put(id, [...leb(length + 1), ...(sections.get(id)?.rest() ?? []), ...more]);
  for (const id of ORDER) {
    const section = sections.get(id);
    if (id === TYPE) longer(id, types, [0x60, 1, 0x7f, 1, 0x7f]);
    else if (id === FUNCTION) longer(id, functions, leb(types));
    else if (id === GLOBAL) longer(id, globals, [0x7e, 1, 0x42, ...signedLeb(fuel), 0x0b]);
    else if (id === EXPORT) longer(id, exported, [...leb(FUEL.length), ...Buffer.from(FUEL), 3, ...leb(globals)]);
    else if (section === undefined) continue;
    else if (id === MEMORY) put(id, memoryOf(section));
    else if (id === CODE) put(id, codeOf(section, functions, globals, pay));
    else {
      if (id === TABLE) checkTables(section);
      put(id, [...section.rest()]);
    }
  }
  return Uint8Array.from(out);
}

/** What a well-formed module exports. */
export function exportNames(reader: ModuleReader): Set<string> {
  const section = sectionsOf(reader).get(EXPORT);
  const names = new Set<string>();
  for (let left = section?.u32() ?? 0; left > 0; left--) {
    names.add(Buffer.from(section!.take(section!.u32())).toString());
    section!.byte();
    section!.u32();
  }
  return names;
}

/** Custom sections are left out. */
function sectionsOf(reader: ModuleReader): Map<number, ModuleReader> {
  const head = reader.take(HEADER.length);
  if (HEADER.some((byte, i) => head[i] !== byte))
    throw new StreamError('SQL_BIND', 'the code is no WebAssembly module');
  const sections = new Map<number, ModuleReader>();
  while (!reader.done) {
    const id = reader.byte();
    const section = reader.part(reader.u32());
    if (id === 0) continue;
    if (id > DATA_COUNT) throw unsupported(`a section of kind ${id}`);
    sections.set(id, section);
  }
  return sections;
}

function memoryOf(section: ModuleReader): number[] {
  const count = section.u32();
  const flags = section.byte();
  if (count !== 1 || flags > 1) throw unsupported('a memory that is shared, of 64 bits or not the only one');
  const minimum = section.u32();
  const maximum = Math.min(flags === 1 ? section.u32() : MEMORY_PAGES, MEMORY_PAGES);
  if (minimum > maximum) throw new StreamError('SQL_LIMIT', `the module takes more than ${MEMORY_PAGES / 16} MiB`);
  return [1, 1, ...leb(minimum), ...leb(maximum)];
}

function checkTables(section: ModuleReader): void {
  const { at } = section;
  for (let left = section.u32(); left > 0; left--) {
    // Of functions, with limits of 32 bits; other tables hold what nothing here gives.
    if (section.byte() !== 0x70) throw unsupported('a table that is not of functions');
    const flags = section.byte();
    if (flags > 1) throw unsupported('a table that is shared or of 64 bits');
    if (section.u32() > MAX_TABLE) throw new StreamError('SQL_LIMIT', `a table has more than ${MAX_TABLE} entries`);
    if (flags === 1) section.u32();
  }
  section.at = at;
}

function codeOf(section: ModuleReader, functions: number, fuelGlobal: number, pay: number): number[] {
  const out: number[] = leb(functions + 1);
  section.u32();
  for (let left = functions; left > 0; left--) {
    const body = bodyOf(section.part(section.u32()), fuelGlobal, pay);
    out.push(...leb(body.length));
    for (const byte of body) out.push(byte);
  }
  // pay(n): takes n off, as an unsigned number, and gives it back.
  const less = [0x23, ...leb(fuelGlobal), 0x20, 0, 0xad, 0x7d, 0x24, ...leb(fuelGlobal), ...trapBelowZero(fuelGlobal)];
  const body = [0, ...less, 0x20, 0, 0x0b];
  return [...out, ...leb(body.length), ...body];
}

const trapBelowZero = (fuelGlobal: number): number[] => [
  ...[0x23, ...leb(fuelGlobal)],
  ...[0x42, 0, 0x53], // i64.const 0, i64.lt_s
  ...[0x04, 0x40, 0x00, 0x0b], // if, unreachable, end
];

const taking = (fuelGlobal: number, amount: number): number[] => [
  ...[0x23, ...leb(fuelGlobal), 0x42, ...signedLeb(amount), 0x7d, 0x24, ...leb(fuelGlobal)],
  ...trapBelowZero(fuelGlobal),
];

/** Where the counter is taken from, and by how much. */
interface Toll {
  readonly at: number;
  amount: number;
}

function bodyOf(body: ModuleReader, fuelGlobal: number, pay: number): number[] {
  const from = body.at;
  for (let groups = body.u32(); groups > 0; groups--) {
    body.u32();
    body.skipNumber();
  }
  const whole: Toll = { at: body.at, amount: 1 };
  const tolls: (Toll | 'bytes')[] = [whole];
  const places: number[] = [body.at];
  /** By block that is open, what its instructions count for. */
  const open: Toll[] = [whole];
  while (!body.done) {
    const start = body.at;
    const opcode = body.byte();
    open[open.length - 1].amount++;
    if (opcode === 0x03) {
      body.skipNumber();
      const toll = { at: body.at, amount: 1 };
      tolls.push(toll);
      places.push(body.at);
      open.push(toll);
    } else if (opcode === 0x02 || opcode === 0x04) {
      body.skipNumber();
      open.push(open[open.length - 1]);
    } else if (opcode === 0x0b) {
      open.pop();
      if (open.length === 0) break;
    } else if (skipOperands(body, opcode) === 'bytes') {
      tolls.push('bytes');
      places.push(start);
    }
  }
  body.at = from;
  const out: number[] = [];
  tolls.forEach((toll, i) => {
    for (const byte of body.take(places[i] - body.at)) out.push(byte);
    out.push(...(toll === 'bytes' ? [0x10, ...leb(pay)] : taking(fuelGlobal, toll.amount)));
  });
  for (const byte of body.rest()) out.push(byte);
  return out;
}

const between = (opcode: number, first: number, last: number): boolean => opcode >= first && opcode <= last;

/** Past what follows an opcode; `bytes` where the number of bytes it works on is on top of the stack. */
function skipOperands(body: ModuleReader, opcode: number): 'bytes' | undefined {
  if (between(opcode, 0x45, 0xc4) || [0x00, 0x01, 0x05, 0x0f, 0x1a, 0x1b].includes(opcode)) return;
  if (between(opcode, 0x28, 0x3e)) {
    // Beyond the alignment there may be the number of another memory.
    if (body.u32() >= 0x40) throw unsupported('more than one memory');
    body.skipNumber();
  } else if (between(opcode, 0x20, 0x24) || [0x0c, 0x0d, 0x10, 0x3f, 0x40, 0x41, 0x42].includes(opcode)) {
    body.skipNumber();
  } else if (opcode === 0x11) {
    body.skipNumber();
    body.skipNumber();
  } else if (opcode === 0x0e) {
    for (let left = body.u32(); left >= 0; left--) body.skipNumber();
  } else if (opcode === 0x1c) {
    for (let left = body.u32(); left > 0; left--) body.skipNumber();
  } else if (opcode === 0x43) body.take(4);
  else if (opcode === 0x44) body.take(8);
  else if (opcode === 0xfc) return skipMore(body);
  else throw unsupported(`the instruction 0x${opcode.toString(16)}`);
}

function skipMore(body: ModuleReader): 'bytes' | undefined {
  const opcode = body.u32();
  if (opcode <= 7) return;
  if (!between(opcode, 8, 11)) throw unsupported(`the instruction 0xfc ${opcode}`);
  body.skipNumber();
  if (opcode === 8 || opcode === 10) body.skipNumber();
  return opcode === 9 ? undefined : 'bytes';
}

const unsupported = (what: string): StreamError =>
  new StreamError('SQL_UNSUPPORTED', `the module uses ${what}, which is not supported`, {
    hint: 'build it for WebAssembly 2.0 without SIMD, threads, exceptions and references',
  });
