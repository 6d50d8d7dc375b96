import type { Column } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { VARCHAR } from '../../../src/values/types.ts';
import type { MatchExpr, MatchRead } from '../../plan/plan.ts';
import { grown } from '../state/arrays.ts';
import { compileScalar, type ScalarFunction } from './compile-scalar.ts';
import { type AggregateRead, type PrefixAggregate, prefixAggregate } from './prefix-aggregate.ts';

/** Rows of a partition in order; `slots[position]` is a row's place in the columns. */
export interface MatchRows {
  readonly columns: readonly (Column & { get(slot: number): Datum })[];
  readonly slots: readonly number[];
}

/** Which rows of the match some variables took: the first and the last one up to each depth. */
interface Track {
  readonly members: Uint8Array;
  /** By depth + 1; −1: none. */
  first: Int32Array;
  last: Int32Array;
}

interface PreparedExpr {
  readonly reads: readonly PreparedRead[];
  readonly values: Datum[];
  readonly run: ScalarFunction;
}

type PreparedRead =
  | (Extract<MatchRead, { kind: 'row' }> & { readonly track: Track | null })
  | { readonly kind: 'aggregate'; readonly aggregate: PrefixAggregate; readonly final: boolean }
  | { readonly kind: 'number' };

interface Aggregated {
  readonly read: AggregateRead;
  readonly members: Uint8Array | null;
  readonly args: Datum[];
  readonly aggregate: PrefixAggregate;
}

/**
 * The match so far: which variable took which row, and what conditions and measures read of it. All that is kept is by depth (the
 * number of the row in the match), so that going back costs nothing.
 */
export class MatchPath {
  rows: MatchRows = { columns: [], slots: [] };
  /** Position of the match's first row. */
  start = 0;
  /** What MATCH_NUMBER() is. */
  number = 0;
  /** One more than the highest position that was looked at, there or not. */
  reach = 0;
  #variables = new Int32Array(64);
  readonly #names: readonly string[];
  readonly #types: readonly SqlType[];
  readonly #tracks = new Map<string, Track>();
  readonly #aggregates = new Map<string, Aggregated>();
  /** Those that have to be kept current with every row. */
  #trackList: Track[] = [];
  #aggregateList: Aggregated[] = [];

  constructor(names: readonly string[], types: readonly SqlType[]) {
    this.#names = names;
    this.#types = types;
  }

  prepare({ expr, reads }: MatchExpr): PreparedExpr {
    return {
      reads: reads.map((read) => this.#prepareRead(read)),
      values: new Array<Datum>(reads.length).fill(null),
      run: compileScalar(expr, reads.length),
    };
  }

  #prepareRead(read: MatchRead): PreparedRead {
    if (read.kind === 'number') return read;
    if (read.kind === 'row') return { ...read, track: read.from === 'present' ? null : this.#track(read.variables) };
    const key = JSON.stringify([read.fn, read.variables, read.args, read.params.map(String)]);
    let known = this.#aggregates.get(key);
    if (known === undefined) {
      const types = read.args.map((arg) => (arg === null ? VARCHAR : this.#types[arg]));
      known = {
        read,
        members: read.variables === null ? null : this.#members(read.variables),
        args: read.args.map(() => null),
        aggregate: prefixAggregate(read, types),
      };
      this.#aggregates.set(key, known);
      this.#aggregateList.push(known);
    }
    return { kind: 'aggregate', aggregate: known.aggregate, final: read.final };
  }

  #track(variables: readonly number[] | null): Track {
    const key = variables === null ? '*' : variables.join();
    let track = this.#tracks.get(key);
    if (track === undefined) {
      const members = this.#members(variables ?? this.#names.map((_, i) => i));
      track = { members, first: new Int32Array(64).fill(-1), last: new Int32Array(64).fill(-1) };
      this.#tracks.set(key, track);
      this.#trackList.push(track);
    }
    return track;
  }

  #members(variables: readonly number[]): Uint8Array {
    const members = new Uint8Array(this.#names.length);
    for (const variable of variables) members[variable] = 1;
    return members;
  }

  variableAt(depth: number): number {
    return this.#variables[depth];
  }

  /** The row at `depth` is (maybe) `variable`'s. */
  take(depth: number, variable: number): void {
    if (depth + 1 >= this.#variables.length) this.#grow(depth * 2 + 2);
    this.#variables[depth] = variable;
    for (const track of this.#trackList) {
      const isMember = track.members[variable] === 1;
      const first = track.first[depth];
      track.first[depth + 1] = first < 0 && isMember ? depth : first;
      track.last[depth + 1] = isMember ? depth : track.last[depth];
    }
    for (const { read, members, args, aggregate } of this.#aggregateList) {
      if (members !== null && members[variable] === 0) {
        aggregate.set(depth, null);
        continue;
      }
      for (let i = 0; i < args.length; i++) {
        const column = read.args[i];
        args[i] = column === null ? this.#names[variable] : this.#datum(this.start + depth, column);
      }
      aggregate.set(depth, args);
    }
  }

  #grow(capacity: number): void {
    this.#variables = grown(this.#variables, capacity);
    for (const track of this.#trackList) {
      track.first = grown(track.first, capacity);
      track.last = grown(track.last, capacity);
    }
  }

  /** With the row at `depth` the present one, and `last` the last one of the whole match; −1: an empty match. */
  evaluate({ reads, values, run }: PreparedExpr, depth: number, last: number): Datum {
    for (let i = 0; i < reads.length; i++) {
      const read = reads[i];
      if (read.kind === 'row') values[i] = this.#read(read, read.final ? last : depth);
      else if (read.kind === 'number') values[i] = this.number;
      else values[i] = read.aggregate.value(read.final ? last : depth);
    }
    return run(values);
  }

  #read(read: Extract<PreparedRead, { kind: 'row' }>, depth: number): Datum {
    let at = depth;
    if (read.track !== null) at = this.#find(read.track, read.from === 'first', read.offset, depth);
    if (at < 0) return null;
    const position = this.start + at + read.shift;
    if (position >= this.reach) this.reach = position + 1;
    if (read.column !== null) {
      return position < 0 || position >= this.rows.slots.length ? null : this.#datum(position, read.column);
    }
    const other = at + read.shift;
    return other < 0 || other > depth ? null : this.#names[this.#variables[other]];
  }

  #find(track: Track, fromFirst: boolean, offset: number, depth: number): number {
    if (!fromFirst) {
      let at = track.last[depth + 1];
      for (let skip = offset; skip > 0 && at >= 0; skip--) at = track.last[at];
      return at;
    }
    let at = track.first[depth + 1];
    if (at < 0) return -1;
    for (let skip = offset; skip > 0; skip--) {
      do at++;
      while (at <= depth && track.members[this.#variables[at]] === 0);
      if (at > depth) return -1;
    }
    return at;
  }

  #datum(position: number, column: number): Datum {
    return this.rows.columns[column].get(this.rows.slots[position]);
  }
}

export type { PreparedExpr };
