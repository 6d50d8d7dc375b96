import type { Random } from '../random.ts';
import { type Kind, RELATIONS } from '../relations.ts';
import { CALLS, LITERALS, TESTS } from './calls.ts';

/** What an expression may name. */
export interface Column {
  readonly sql: string;
  /** `approx`: a double whose last digits depend on the order of computation, good for nothing but to be shown. */
  readonly kind: Kind | 'approx';
}

export const columnsOf = (relation: string, alias?: string): Column[] =>
  RELATIONS[relation].map(([name, kind]) => ({ sql: alias === undefined ? name : `${alias}.${name}`, kind }));

export const COMMON: readonly Kind[] = ['int', 'int', 'int', 'dec', 'text', 'text', 'bool', 'ts', 'dbl'];
const SCALAR: readonly Kind[] = ['i4', 'i2', 'real', 'date', 'time', 'tz', 'iv', 'uuid', 'bytes'];
const NESTED: readonly Kind[] = ['json', 'ints', 'texts', 'row', 'map'];
const UNORDERED: ReadonlySet<Kind> = new Set(['json', 'row', 'map', 'ints', 'texts']);

/** Kinds that the columns have, and now and then another. */
export function anyKind(random: Random, columns: readonly Column[]): Kind {
  const chance = random.next();
  const { kind } = columns.length === 0 || chance > 0.35 ? { kind: 'approx' as const } : random.pick(columns);
  if (kind !== 'approx') return kind;
  return chance < 0.9 ? random.pick(COMMON) : chance < 0.96 ? random.pick(SCALAR) : random.pick(NESTED);
}

/** `{}` for the arguments, from left to right. */
export const filled = (text: string, args: readonly string[]): string => {
  let next = 0;
  return text.replace(/\{\}/g, () => args[next++]);
};

export function value(random: Random, columns: readonly Column[], kind: Kind, depth: number): string {
  const fitting = columns.filter((column) => column.kind === kind);
  if (depth === 0 || random.chance(0.5)) {
    return fitting.length > 0 && random.chance(0.9) ? random.pick(fitting).sql : random.pick(LITERALS[kind]);
  }
  const inner = (of: Kind = kind): string => value(random, columns, of, depth - 1);
  const common = random.next();
  if (common < 0.1) return `CASE WHEN ${predicate(random, columns, 0)} THEN ${inner()} ELSE ${inner()} END`;
  if (common < 0.14) return `CASE ${inner('int')} WHEN 1 THEN ${inner()} WHEN 2 THEN ${inner()} END`;
  if (common < 0.2) return `COALESCE(${inner()}, ${inner()})`;
  if (common < 0.23) return `NULLIF(${inner()}, ${inner()})`;
  if (kind === 'bool') return `(${predicate(random, columns, depth - 1)})`;
  const [text, ...args] = random.pick(CALLS[kind]);
  return filled(
    text,
    args.map((of) => inner(of)),
  );
}

export function predicate(random: Random, columns: readonly Column[], depth: number): string {
  const choice = random.next();
  if (depth > 0 && choice < 0.28) {
    return `(${predicate(random, columns, depth - 1)} ${random.pick(['AND', 'OR'])} ${predicate(random, columns, depth - 1)})`;
  }
  if (depth > 0 && choice < 0.34) return `NOT (${predicate(random, columns, depth - 1)})`;
  const kind = anyKind(random, columns);
  if (choice < 0.5) {
    const tests = TESTS[kind];
    if (tests !== undefined) {
      const [text, ...args] = random.pick(tests);
      return filled(
        text,
        args.map((of) => value(random, columns, of, depth)),
      );
    }
  }
  const left = value(random, columns, kind, depth);
  const right = value(random, columns, kind, 0);
  if (choice < 0.58) return `${left} IS ${random.pick(['', 'NOT '])}NULL`;
  if (choice < 0.64) return `${left} IS ${random.pick(['', 'NOT '])}DISTINCT FROM ${right}`;
  if (choice < 0.68) return `${left} ${random.pick(['', 'NOT '])}IN (${random.pick(LITERALS[kind])}, ${right})`;
  if (kind === 'bool') return `${left} IS ${random.pick(['', 'NOT '])}${random.pick(['TRUE', 'FALSE', 'UNKNOWN'])}`;
  if (UNORDERED.has(kind)) return `${left} ${random.pick(['=', '<>'])} ${right}`;
  if (choice < 0.74)
    return `${left} ${random.pick(['', 'NOT '])}BETWEEN ${right} AND ${value(random, columns, kind, 0)}`;
  return `${left} ${random.pick(['=', '<>', '<', '<=', '>', '>='])} ${right}`;
}
