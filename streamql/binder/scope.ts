import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Name } from '../parser/ast.ts';
import { closest } from '../parser/suggest.ts';

/** A column that an expression may name, and where it stands in the plan's output. */
export interface ScopeColumn {
  /** The alias of its table; null when it has none (a subquery without alias). */
  readonly table: string | null;
  readonly name: string;
  readonly index: number;
  readonly hidden: boolean;
  /** The other side's column of JOIN … USING: there when qualified, absent from `*` and from bare names. */
  readonly merged: boolean;
}

export class Scope {
  readonly columns: readonly ScopeColumn[];
  readonly #byName = new Map<string, ScopeColumn[]>();

  constructor(columns: readonly ScopeColumn[]) {
    this.columns = columns;
    for (const column of columns) {
      const same = this.#byName.get(column.name);
      if (same === undefined) this.#byName.set(column.name, [column]);
      else same.push(column);
    }
  }

  static of(table: string | null, schema: readonly ColumnSchema[], names?: readonly Name[]): Scope {
    return new Scope(
      schema.map((column, index) => ({
        table,
        name: names?.[index]?.text ?? column.name,
        index,
        hidden: column.hidden === true,
        merged: false,
      })),
    );
  }

  /** Left columns, then right columns `shift` positions on. SQL_BIND when both sides use one alias. */
  static join(left: Scope, right: Scope, shift: number, at: Position): Scope {
    const tables = new Set(left.columns.map((column) => column.table));
    for (const { table } of right.columns) {
      if (table !== null && tables.has(table)) {
        throw new StreamError('SQL_BIND', `the name "${table}" is used twice in FROM`, {
          at,
          hint: 'give one of them an alias',
        });
      }
    }
    return new Scope([...left.columns, ...right.columns.map((column) => ({ ...column, index: column.index + shift }))]);
  }

  hasTable(name: string): boolean {
    return this.columns.some((column) => column.table === name);
  }

  /** `c` or `t.c`; undefined when there is none, SQL_BIND when there are several. */
  find(path: readonly Name[]): ScopeColumn | undefined {
    if (path.length > 2) {
      throw new StreamError(
        'SQL_UNSUPPORTED',
        `the name ${path.map((part) => part.text).join('.')} has too many parts`,
        {
          at: path[0].at,
          hint: 'write column or table.column; use -> for fields of JSONB',
        },
      );
    }
    const column = path[path.length - 1];
    const table = path.length === 2 ? path[0].text : null;
    const found = (this.#byName.get(column.text) ?? []).filter((c) => (table === null ? !c.merged : c.table === table));
    if (found.length < 2) return found[0];
    // A declared column is meant before a hidden one of the same name.
    const visible = found.filter((c) => !c.hidden);
    if (visible.length === 1) return visible[0];
    const tables = [...new Set(found.map((c) => c.table).filter((t) => t !== null))];
    throw new StreamError('SQL_BIND', `the column "${column.text}" is ambiguous`, {
      at: path[0].at,
      sqlState: '42702',
      hint:
        tables.length > 1
          ? `write ${tables.map((t) => `${t}.${column.text}`).join(' or ')}`
          : 'give the columns different names with AS',
    });
  }

  resolve(path: readonly Name[]): ScopeColumn {
    const found = this.find(path);
    if (found !== undefined) return found;
    const written = path.map((part) => part.text).join('.');
    const [first] = path;
    if (path.length === 2 && !this.hasTable(first.text)) {
      const tables = new Set(this.columns.map((c) => c.table).filter((t) => t !== null));
      throw new StreamError('SQL_BIND', `there is no table "${first.text}" in FROM`, {
        at: first.at,
        sqlState: '42P01',
        hint: suggestion(first.text, tables) ?? `FROM has: ${[...tables].join(', ') || 'nothing'}`,
      });
    }
    const last = path[path.length - 1];
    const candidates = this.columns.filter((c) => path.length === 1 || c.table === first.text).map((c) => c.name);
    const visible = this.columns.filter((c) => (path.length === 1 || c.table === first.text) && !c.hidden);
    const listed = visible
      .slice(0, 12)
      .map((c) => c.name)
      .join(', ');
    throw new StreamError('SQL_BIND', `there is no column "${written}"`, {
      at: last.at,
      hint:
        suggestion(last.text, candidates) ??
        (last.quoted && path.length === 1 ? `a text is written in single quotes: '${last.text}'` : undefined) ??
        (listed === '' ? 'there is no FROM' : `the columns are: ${listed}${visible.length > 12 ? ' …' : ''}`),
    });
  }

  /** What `*` and `t.*` stand for. */
  star(table: Name | null, at: Position): readonly ScopeColumn[] {
    if (table !== null && !this.hasTable(table.text)) this.resolve([table, { text: '*', quoted: true, at }]);
    const found = this.columns.filter((c) => !c.hidden && (table === null ? !c.merged : c.table === table.text));
    if (found.length === 0)
      throw new StreamError('SQL_BIND', '* stands for no columns here', { at, hint: 'there is no FROM' });
    return found;
  }
}

export function suggestion(word: string, candidates: Iterable<string>): string | undefined {
  const near = closest(word, candidates);
  return near === undefined ? undefined : `did you mean "${near}"?`;
}
