import { datumToText } from '../../src/values/text.ts';
import type { Datum } from '../../src/values/types.ts';
import { VARCHAR } from '../../src/values/types.ts';
import { castDatum } from '../../streamql/functions/casts.ts';
import { isFirm, LAG_MICROS, schemaOf } from './relations.ts';

export interface Change {
  readonly relation: string;
  readonly row: readonly Datum[];
  /** 1: the row comes; −1: one that is there goes. */
  readonly weight: number;
}

/** A query and what its relations bring, epoch by epoch. */
export interface Case {
  readonly sql: string;
  readonly epochs: readonly (readonly Change[])[];
}

const START_MICROS = Date.UTC(2026, 0, 1) * 1000;
/** What the clock shows at the end of an epoch. */
export const nowAt = (epoch: number): number => START_MICROS + (epoch + 1) * 12_000_000;

export const idOf = (row: readonly Datum[]): string =>
  row.map((datum) => (datum === null ? '∅' : `${typeof datum}:${textOf(datum)}`)).join('|');

const textOf = (datum: Datum): string =>
  datum instanceof Uint8Array
    ? Buffer.from(datum).toString('hex')
    : typeof datum === 'object'
      ? JSON.stringify(datum, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner))
      : String(datum);

/** What the changes so far amount to. */
export class Content {
  readonly rows: Record<string, (readonly Datum[])[]> = {};
  readonly #latest = new Map<string, number>();

  /** False, and nothing changed, where a row goes that is not there or a key comes twice. */
  apply({ relation, row, weight }: Change): boolean {
    this.rows[relation] ??= [];
    const rows = this.rows[relation];
    if (weight > 0) {
      if (relation === 't' && rows.some(([key]) => key === row[0])) return false;
      rows.push(row);
      const time = isFirm(relation) ? row[schemaOf(relation).findIndex(({ name }) => name === 'ts')] : null;
      if (typeof time === 'number') this.#latest.set(relation, Math.max(time, this.#latest.get(relation) ?? time));
      return true;
    }
    const id = idOf(row);
    const at = rows.findIndex((one) => idOf(one) === id);
    if (at >= 0) rows.splice(at, 1);
    return at >= 0;
  }

  /** Of a stream without late rows. */
  watermark(relation: string): number | undefined {
    const latest = this.#latest.get(relation);
    return latest === undefined ? undefined : latest - LAG_MICROS;
  }
}

/** Without changes that are none, such as are left when others were taken out. */
export function repaired({ sql, epochs }: Case): Case {
  const content = new Content();
  return { sql, epochs: epochs.map((changes) => changes.filter((change) => content.apply(change))) };
}

/** As a file has it: by relation, each change as its weight and the texts of its values. */
export interface Kept {
  /** What was wrong. */
  readonly why: string;
  readonly sql: string;
  readonly epochs: readonly (readonly (readonly [relation: string, weight: number, ...texts: (string | null)[]])[])[];
}

export const toKept = (why: string, { sql, epochs }: Case): Kept => ({
  why,
  sql,
  epochs: epochs.map((changes) =>
    changes.map(({ relation, row, weight }) => [
      relation,
      weight,
      ...row.map((datum, i) => (datum === null ? null : datumToText(datum, schemaOf(relation)[i].type))),
    ]),
  ),
});

export const fromKept = ({ sql, epochs }: Kept): Case => ({
  sql,
  epochs: epochs.map((changes) =>
    changes.map(([relation, weight, ...texts]) => ({
      relation,
      weight,
      row: texts.map((text, i) => (text === null ? null : castDatum(text, VARCHAR, schemaOf(relation)[i].type))),
    })),
  ),
});
