import type { Match, MatchRead, MatchSkip, RowPattern } from './plan.ts';

/** The pattern as one writes it. */
export function patternText(pattern: RowPattern, variables: readonly string[]): string {
  const text = (part: RowPattern): string => patternText(part, variables);
  switch (pattern.op) {
    case 'row':
      return variables[pattern.variable];
    case 'empty':
      return '()';
    case 'start':
      return '^';
    case 'end':
      return '$';
    case 'sequence':
      return pattern.items.map((item) => (item.op === 'choice' ? `(${text(item)})` : text(item))).join(' ');
    case 'choice':
      return pattern.items.map(text).join(' | ');
    case 'exclude':
      return `{- ${text(pattern.item)} -}`;
    case 'repeat': {
      const isOne = pattern.item.op === 'row' || pattern.item.op === 'empty';
      const item = isOne ? text(pattern.item) : `(${text(pattern.item)})`;
      return `${item}${quantifier(pattern.min, pattern.max)}${pattern.reluctant ? '?' : ''}`;
    }
  }
}

function quantifier(min: number, max: number | null): string {
  if (max === null) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  if (min === 0 && max === 1) return '?';
  return min === max ? `{${min}}` : `{${min},${max}}`;
}

export function skipText(skip: MatchSkip, variables: readonly string[]): string {
  switch (skip.to) {
    case 'pastLast':
      return 'past last row';
    case 'nextRow':
      return 'to next row';
    default:
      return `to ${skip.to} ${setText(skip.variables, variables)}`;
  }
}

const setText = (set: readonly number[], variables: readonly string[]): string =>
  set.map((variable) => variables[variable]).join('|');

/** What a condition or measure reads, in the words of SQL. */
export function readText(read: MatchRead, { input, variables }: Match): string {
  if (read.kind === 'number') return 'MATCH_NUMBER()';
  const set = read.variables === null ? '' : setText(read.variables, variables);
  const column = (at: number | null): string => {
    if (at === null) return `CLASSIFIER(${set})`;
    return set === '' ? input.schema[at].name : `${set}.${input.schema[at].name}`;
  };
  if (read.kind === 'aggregate') {
    const args = read.args.length === 0 ? `${set === '' ? '' : `${set}.`}*` : read.args.map(column).join(', ');
    return `${read.fn}(${args})`;
  }
  const offset = read.offset === 0 ? '' : `, ${read.offset}`;
  const value = column(read.column);
  const row =
    read.from === 'present' || (read.from === 'last' && offset === '')
      ? value
      : `${read.from.toUpperCase()}(${value}${offset})`;
  if (read.shift === 0) return row;
  const by = Math.abs(read.shift);
  return `${read.shift < 0 ? 'PREV' : 'NEXT'}(${row}${by === 1 ? '' : `, ${by}`})`;
}
