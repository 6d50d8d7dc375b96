/** Enough of an assembler for modules of a few instructions. */
export const leb = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...leb(Math.floor(value / 128))];

const vector = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, content: readonly number[]): number[] => [id, ...leb(content.length), ...content];
const text = (name: string): number[] => [...leb(name.length), ...Buffer.from(name)];

export const I32 = 0x7f;
export const I64 = 0x7e;

export interface Fn {
  readonly name: string;
  readonly params: readonly number[];
  readonly results?: readonly number[];
  /** How many locals of i32 beside the parameters. */
  readonly locals?: number;
  /** Without the last `end`. */
  readonly code: readonly number[];
}

export interface Module {
  readonly functions: readonly Fn[];
  readonly pages?: number;
  readonly imports?: readonly (readonly number[])[];
  readonly start?: number;
}

export const get = (local: number): number[] => [0x20, local];
export const set = (local: number): number[] => [0x21, local];
export const i32 = (value: number): number[] => [0x41, value];
export const load = (offset: number): number[] => [0x28, 2, offset];
export const ADD = 0x6a;
export const MUL = 0x6c;

/** Global 0 is where the next block begins. */
export const ALLOC: Fn = {
  name: 'alloc',
  params: [I32],
  code: [0x23, 0, 0x23, 0, ...get(0), ADD, 0x24, 0],
};

export function assemble({ functions, pages = 64, imports = [], start }: Module): Uint8Array {
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      vector(
        functions.map(({ params, results = [I32] }) => [
          0x60,
          ...vector(params.map((p) => [p])),
          ...vector(results.map((r) => [r])),
        ]),
      ),
    ),
    ...(imports.length === 0 ? [] : section(2, vector(imports))),
    ...section(3, vector(functions.map((_, i) => leb(i)))),
    ...section(5, [1, 0, ...leb(pages)]),
    ...section(6, vector([[I32, 1, 0x41, 0x80, 0x08, 0x0b]])),
    ...section(
      7,
      vector([[...text('memory'), 2, 0], ...functions.map(({ name }, i) => [...text(name), 0, ...leb(i)])]),
    ),
    ...(start === undefined ? [] : section(8, leb(start))),
    ...section(
      10,
      vector(
        functions.map(({ locals = 0, code }) => {
          const body = [...(locals === 0 ? [0] : [1, ...leb(locals), I32]), ...code, 0x0b];
          return [...leb(body.length), ...body];
        }),
      ),
    ),
  ];
  return Uint8Array.from(bytes);
}

/** A function of rows: `code` leaves nothing and sees the row's number in local 3, and in 4, 5 … the values of the arguments, then those of the result. */
export function perRow(name: string, args: number, code: readonly number[]): Fn {
  const pointers = Array.from({ length: args }, (_, i) => [...get(1), ...load(12 * i), ...set(4 + i)]).flat();
  return {
    name,
    params: [I32, I32, I32],
    locals: 2 + args,
    code: [
      ...pointers,
      ...[...get(2), ...load(0), ...set(4 + args)],
      ...[0x02, 0x40, 0x03, 0x40], // block, loop
      ...[...get(3), ...get(0), 0x4f, 0x0d, 1], // beyond the last row: br_if 1
      ...code,
      ...[...get(3), ...i32(1), ADD, ...set(3), 0x0c, 0, 0x0b, 0x0b],
      ...i32(0),
    ],
  };
}

/** Where the row's value is, `width` bytes each, by the local that points to the first. */
export const cell = (local: number, width: number): number[] => [...get(local), ...get(3), ...i32(width), MUL, ADD];

/** 2x + trunc(y), x BIGINT and y DOUBLE PRECISION: it traps where y is no number that fits. */
export const TWICE_PLUS = perRow('f', 2, [
  ...cell(6, 8),
  ...[...cell(4, 8), 0x29, 3, 0, 0x42, 2, 0x7e],
  ...[...cell(5, 8), 0x2b, 3, 0, 0xb0],
  ...[0x7c, 0x37, 3, 0],
]);

/** NULL where x is odd, otherwise x. */
export const EVEN = perRow('f', 1, [
  ...[...cell(5, 8), ...cell(4, 8), 0x29, 3, 0, 0x37, 3, 0],
  ...[...get(2), ...load(4), ...get(3), ADD, ...cell(4, 8), 0x29, 3, 0, 0xa7, ...i32(1), 0x71, 0x3a, 0, 0],
]);

/** The text it was given: its offsets copied, its bytes where they are. */
export const ECHO: Fn = {
  name: 'f',
  params: [I32, I32, I32],
  code: [
    ...[...get(2), ...load(0), ...get(1), ...load(0), ...get(0), ...i32(1), ADD, ...i32(4), MUL, 0xfc, 10, 0, 0],
    ...[...get(2), ...get(1), ...load(8), 0x36, 2, 8],
    ...i32(0),
  ],
};

/** The place of the row's state, in `accumulate` and `retract`. */
const STATE = [...get(2), ...get(3), ...i32(4), MUL, ADD, ...load(0)];
const constant = (name: string, value: number): Fn => ({ name, params: [], code: i32(value) });
/** finish: one group, the eight bytes of its state. */
const FINISH: Fn = {
  name: 'finish',
  params: [I32, I32, I32],
  code: [...get(2), ...load(0), ...get(1), ...load(0), 0x29, 3, 0, 0x37, 3, 0, ...i32(0)],
};
const step = (name: string, operation: number): Fn =>
  perRow(name, 1, [...STATE, ...STATE, 0x29, 3, 0, ...cell(4, 8), 0x29, 3, 0, operation, 0x37, 3, 0]);

/** Sum of BIGINTs, modulo 2^64; `retract` gives what takes back. */
export const sumModule = (retract: 'subtracts' | 'nothing' | 'absent'): Module => ({
  functions: [
    constant('state_bytes', 8),
    step('accumulate', 0x7c),
    ...(retract === 'absent' ? [] : [retract === 'subtracts' ? step('retract', 0x7d) : perRow('retract', 1, [])]),
    FINISH,
    ALLOC,
  ],
});

/** As `sumModule`, but traps for a row that is 13. */
export const UNLUCKY: Module = {
  functions: [
    constant('state_bytes', 8),
    perRow('accumulate', 1, [
      ...[...cell(4, 8), 0x29, 3, 0, 0x42, 13, 0x51, 0x04, 0x40, 0x00, 0x0b],
      ...[...STATE, ...STATE, 0x29, 3, 0, ...cell(4, 8), 0x29, 3, 0, 0x7c, 0x37, 3, 0],
    ]),
    step('retract', 0x7d),
    FINISH,
    ALLOC,
  ],
};

/** f(n INTEGER): the rows (0), (1), … (n − 1), at 4096; -1 of n means a column outside of memory. */
export const UP_TO: Module = {
  functions: [
    {
      name: 'f',
      params: [I32, I32],
      locals: 2,
      code: [
        ...[...get(0), ...load(0), ...load(0), ...set(2)],
        ...[0x02, 0x40, 0x03, 0x40, ...get(3), ...get(2), 0x4e, 0x0d, 1],
        ...[0x41, 0x80, 0x20, ...get(3), ...i32(4), MUL, ADD, ...get(3), 0x36, 2, 0],
        ...[...get(3), ...i32(1), ADD, ...set(3), 0x0c, 0, 0x0b, 0x0b],
        ...[...get(1), ...get(2), 0x36, 2, 0],
        ...[...get(1), 0x41, 0x80, 0x20, 0x36, 2, 4],
        ...i32(0),
      ],
    },
    ALLOC,
  ],
};
