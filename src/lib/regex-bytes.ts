import { findBytes } from './bytes.ts';
import type { PlainNode, PlainPattern, Ranges } from './regex-plain.ts';

/**
 * The first match of a plain pattern in UTF-8 bytes, found without making a string of them. As regex-plain.ts says of such patterns, a
 * repetition never has to give back, so each step either goes on from one place or fails.
 */
export interface ByteSearch {
  /** Where groups lie after a match, group 0 being all of it; −1 for one that took no part. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Whether there is a match in `b[start..end)`. Its time grows with the square of the length, which the caller bounds. */
  find(b: Uint8Array, start: number, end: number): boolean;
}

/** From place `p` to where the match ends; −1 when there is none. */
type Step = (b: Uint8Array, p: number, end: number) => number;

/** Undefined when a class holds some characters beyond ASCII and not all of them. */
export function byteSearch({ tree, first, needle }: PlainPattern): ByteSearch | undefined {
  const compiler = new Compiler();
  const root = compiler.compile(tree, (_b, p) => p);
  const begins = tableOf(first) ?? new Uint8Array(256).fill(1);
  // No match begins within a character.
  for (let byte = 0x80; byte < 0xc0; byte++) begins[byte] = 0;
  if (root === undefined) return undefined;
  const { places } = compiler;
  const needed = Buffer.from(needle);
  const reach = needle === '' ? Number.POSITIVE_INFINITY : reachBefore(tree, needle);
  const starts = new Int32Array(compiler.groups + 1);
  const ends = new Int32Array(compiler.groups + 1);
  places.starts = starts;
  places.ends = ends;
  return {
    starts,
    ends,
    find(b, start, end) {
      places.begin = start;
      starts.fill(-1);
      ends.fill(-1);
      let p = start;
      if (needed.length > 0) {
        const at = findBytes(b, start, end, needed, 0, needed.length);
        if (at < 0) return false;
        if (at - reach > p) p = at - reach;
      }
      for (; p < end; p++) {
        if (begins[b[p]] === 0) continue;
        const to = root(b, p, end);
        if (to < 0) continue;
        starts[0] = p;
        ends[0] = to;
        return true;
      }
      return false;
    },
  };
}

/** 1 for the bytes that characters of the set begin with; undefined when it is not all or none of those beyond ASCII. */
function tableOf(set: Ranges): Uint8Array | undefined {
  const table = new Uint8Array(256);
  let beyond = 0;
  for (const [from, to] of set) {
    for (let code = from; code <= to && code < 128; code++) table[code] = 1;
    beyond += Math.max(0, to - Math.max(from, 128) + 1);
  }
  if (beyond === 0) return table;
  if (beyond !== 0x110000 - 128) return undefined;
  return table.fill(1, 128);
}

/** How many bytes of a match can come before the text that it must hold; Infinity when that is not known. */
function reachBefore(tree: PlainNode, needle: string): number {
  if (tree.kind !== 'sequence') return Number.POSITIVE_INFINITY;
  const isRun = (from: number): boolean => {
    let run = '';
    for (let i = from; i < tree.items.length && run.length < needle.length; i++) {
      const item = tree.items[i];
      if (item.kind !== 'set' || item.literal === null) break;
      run += item.literal;
    }
    return run === needle;
  };
  const at = tree.items.findIndex((_, i) => isRun(i));
  return at < 0 ? Number.POSITIVE_INFINITY : tree.items.slice(0, at).reduce((sum, item) => sum + mostBytes(item), 0);
}

const MOST_CHARACTER_BYTES = 4;

function mostBytes(node: PlainNode): number {
  switch (node.kind) {
    case 'set':
      return MOST_CHARACTER_BYTES;
    case 'repeat':
      return node.max * MOST_CHARACTER_BYTES;
    case 'begin':
    case 'end':
      return 0;
    case 'group':
      return mostBytes(node.of);
    case 'choice':
      return Math.max(...node.options.map(mostBytes));
    case 'sequence':
      return node.items.reduce((sum, item) => sum + mostBytes(item), 0);
  }
}

class Compiler {
  groups = 0;
  /** Of the search that is under way. */
  readonly places = { begin: 0, starts: new Int32Array(0), ends: new Int32Array(0) };

  compile(node: PlainNode, next: Step): Step | undefined {
    switch (node.kind) {
      case 'set':
        return node.literal === null ? one(node.set, next) : text(Buffer.from(node.literal), next);
      case 'repeat':
        return repeat(node.of, node.min, node.max, next);
      case 'begin':
        return (b, p, end) => (p === this.places.begin ? next(b, p, end) : -1);
      case 'end':
        return (b, p, end) => (p === end ? next(b, p, end) : -1);
      case 'group':
        return node.captures ? this.#group(node.of, next) : this.compile(node.of, next);
      case 'choice':
        return this.#choice(node.options, next);
      case 'sequence':
        return this.#sequence(node.items, next);
    }
  }

  /** Groups are numbered by where they open, so those on the left come first. */
  #sequence(items: readonly PlainNode[], next: Step): Step | undefined {
    const numbers = new Map<PlainNode, number>();
    for (const item of items) {
      numbers.set(item, this.groups);
      this.groups += groupsIn(item);
    }
    const after = this.groups;
    let step: Step | undefined = next;
    for (let i = items.length - 1; i >= 0 && step !== undefined; i--) {
      let first = i;
      while (first >= 0 && isLiteral(items[first])) first--;
      if (i - first > 1) {
        const run = items.slice(first + 1, i + 1).map((item) => (item as { literal: string }).literal);
        step = text(Buffer.from(run.join('')), step);
        i = first + 1;
        continue;
      }
      this.groups = numbers.get(items[i]) as number;
      step = this.compile(items[i], step);
    }
    this.groups = after;
    return step;
  }

  #choice(options: readonly PlainNode[], next: Step): Step | undefined {
    const steps: Step[] = [];
    for (const option of options) {
      const step = this.compile(option, next);
      if (step === undefined) return undefined;
      steps.push(step);
    }
    return (b, p, end) => {
      for (let i = 0; i < steps.length; i++) {
        const to = steps[i](b, p, end);
        if (to >= 0) return to;
      }
      return -1;
    };
  }

  #group(of: PlainNode, next: Step): Step | undefined {
    const { places } = this;
    const group = ++this.groups;
    let openAt = -1;
    const inner = this.compile(of, (b, p, end) => {
      const { starts, ends } = places;
      const [start, stop] = [starts[group], ends[group]];
      starts[group] = openAt;
      ends[group] = p;
      const to = next(b, p, end);
      if (to < 0) {
        starts[group] = start;
        ends[group] = stop;
      }
      return to;
    });
    if (inner === undefined) return undefined;
    return (b, p, end) => {
      openAt = p;
      return inner(b, p, end);
    };
  }
}

const isLiteral = (node: PlainNode): boolean => node.kind === 'set' && node.literal !== null;

function groupsIn(node: PlainNode): number {
  if (node.kind === 'group') return (node.captures ? 1 : 0) + groupsIn(node.of);
  if (node.kind !== 'choice' && node.kind !== 'sequence') return 0;
  const parts = node.kind === 'choice' ? node.options : node.items;
  return parts.reduce((sum, part) => sum + groupsIn(part), 0);
}

function text(bytes: Uint8Array, next: Step): Step {
  const { length } = bytes;
  return (b, p, end) => {
    if (end - p < length) return -1;
    for (let i = 0; i < length; i++) if (b[p + i] !== bytes[i]) return -1;
    return next(b, p + length, end);
  };
}

/** Past the character at `p`. */
function past(b: Uint8Array, p: number, end: number): number {
  let q = p + 1;
  if (b[p] >= 0xc0) while (q < end && (b[q] & 0xc0) === 0x80) q++;
  return q;
}

function one(set: Ranges, next: Step): Step | undefined {
  const table = tableOf(set);
  return table && ((b, p, end) => (p < end && table[b[p]] === 1 ? next(b, past(b, p, end), end) : -1));
}

function repeat(set: Ranges, min: number, max: number, next: Step): Step | undefined {
  const table = tableOf(set);
  if (table === undefined) return undefined;
  return (b, p, end) => {
    let q = p;
    let count = 0;
    for (; count < max && q < end && table[b[q]] === 1; count++) q = past(b, q, end);
    return count < min ? -1 : next(b, q, end);
  };
}
