import { type ErrorCode, StreamError } from '../../src/lib/errors.ts';
import type { Batch } from '../../src/values/batch.ts';
import { allocate, type Column, type ColumnValues, PlainColumn, TextColumn } from '../../src/values/column.ts';
import { isExact64, type SqlType } from '../../src/values/types.ts';
import { TextScratch } from '../functions/bytes/bytes-form.ts';
import type { Expr } from '../plan/plan.ts';
import { callBatch, hoisted } from './batch-calls.ts';
import { type ColumnForm, Generator, type Span } from './expr/generate.ts';
import { HELPERS } from './expr/helpers.ts';

/** A row that has no value: left out of the result. */
export interface RowError {
  /** In the input batch. */
  readonly row: number;
  readonly code: ErrorCode;
  readonly reason: string;
}

export type BatchFunction = (batch: Batch) => {
  readonly batch: Batch;
  /** Which rows of the input are in the result, `kept[0..length)`; null when all are. */
  readonly kept: Int32Array | null;
  readonly errors: readonly RowError[] | null;
};

/** What one compiled variant yields: the rows that were kept, and the computed columns of these rows. */
type Variant = (
  length: number,
  columns: readonly Column[],
  rows: Int32Array,
) => { count: number; columns: Column[]; errors: RowError[] | null };

/**
 * A filter and the projection after it. Calls of functions that take whole batches come between the two, where every row makes them; a batch in which one
 * of them gives no value for some row goes row by row, which tells for which.
 */
export function compileFilterProject(
  predicate: Expr | null,
  exprs: readonly Expr[],
  inputTypes: readonly SqlType[],
): BatchFunction {
  const rowByRow = compileRows(predicate, exprs, inputTypes);
  const { exprs: rest, calls } = hoisted(exprs, inputTypes.length);
  if (calls.length === 0) return rowByRow;
  const all = inputTypes.map((type, index): Expr => ({ op: 'column', index, type }));
  const filter = predicate === null ? null : compileRows(predicate, all, inputTypes);
  const args = calls.map((call) => compileFilterProject(null, call.args, inputTypes));
  const project = compileRows(null, rest, [...inputTypes, ...calls.map(({ type }) => type)]);
  return (batch) => {
    const first = filter === null ? { batch, kept: null, errors: null } : filter(batch);
    const columns = [...first.batch.columns];
    for (let n = 0; n < calls.length; n++) {
      const given = args[n](first.batch);
      const found = given.errors === null ? callBatch(calls[n], given.batch) : null;
      if (found === null) return rowByRow(batch);
      columns.push(found);
    }
    const last = project({ ...first.batch, columns });
    if (last.errors !== null) return rowByRow(batch);
    return { batch: last.batch, kept: first.kept, errors: first.errors };
  };
}

/**
 * A filter and the projection after it as one generated loop over a batch. Columns that are passed on as they are are not touched when
 * every row is kept, and only their kept rows are gathered otherwise. `predicate` null keeps all rows. One variant is
 * compiled for each combination of NULL-free and typed columns that occurs, so that the usual case has no checks in it.
 */
function compileRows(predicate: Expr | null, exprs: readonly Expr[], inputTypes: readonly SqlType[]): BatchFunction {
  const computed = exprs.filter((expr) => expr.op !== 'column');
  const evaluated = [...(predicate === null ? [] : [predicate]), ...computed];
  const used = columnsOf(evaluated);
  const readInBytes = columnsInBytes(predicate, computed, inputTypes);
  const variants = new Map<string, Variant>();
  return (batch) => {
    const { length, columns } = batch;
    if (predicate === null && computed.length === 0) {
      return {
        batch: { ...batch, columns: exprs.map((expr) => columns[(expr as { index: number }).index]) },
        kept: null,
        errors: null,
      };
    }
    let key = '';
    for (const index of used) {
      const column = columns[index];
      const bytes = readInBytes.has(index) && column instanceof TextColumn && !column.decoded;
      key += `${column.nulls === null ? 't' : 'n'}${bytes ? 'x' : Array.isArray(column.values) ? 'a' : 'b'}`;
    }
    let variant = variants.get(key);
    if (variant === undefined) {
      const forms = inputTypes.map((_, index): ColumnForm => {
        const at = used.indexOf(index);
        return { total: key[2 * at] === 't', typed: key[2 * at + 1] === 'b', bytes: key[2 * at + 1] === 'x' };
      });
      variant = compileVariant(predicate, computed, used, forms);
      variants.set(key, variant);
    }
    const rows = new Int32Array(length);
    const { count, columns: made, errors } = variant(length, columns, rows);
    let next = 0;
    const out = exprs.map((expr): Column => {
      if (expr.op === 'column') return count === length ? columns[expr.index] : columns[expr.index].gather(rows, count);
      return made[next++];
    });
    return {
      batch: { length: count, columns: out, weights: gatherWeights(batch.weights, rows, count) },
      kept: count === length ? null : rows,
      errors,
    };
  };
}

function gatherWeights(weights: Int32Array | null, rows: Int32Array, count: number): Int32Array | null {
  if (weights === null || count === weights.length) return weights;
  const out = new Int32Array(count);
  for (let i = 0; i < count; i++) out[i] = weights[rows[i]];
  return out;
}

/** Positions of the columns that expressions read, ascending. */
function columnsOf(exprs: readonly Expr[]): number[] {
  const found = new Set<number>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const one of node) visit(one);
    } else if (typeof node === 'object' && node !== null && !(node instanceof Uint8Array)) {
      if ((node as Expr).op === 'column') found.add((node as { index: number }).index);
      else for (const one of Object.values(node)) visit(one);
    }
  };
  visit(exprs);
  return [...found].sort((a, b) => a - b);
}

/** The text columns that expressions read in bytes where they come as bytes: what a trial run over such columns asks for. */
function columnsInBytes(
  predicate: Expr | null,
  computed: readonly Expr[],
  inputTypes: readonly SqlType[],
): ReadonlySet<number> {
  const forms = inputTypes.map(
    ({ kind }): ColumnForm => ({ total: true, typed: kind !== 'varchar', bytes: kind === 'varchar' }),
  );
  const generator = new Generator(forms, { spans: true });
  if (predicate !== null) generator.value(predicate);
  for (const expr of computed) if (generator.span(expr) === undefined) generator.value(expr);
  return generator.inBytes;
}

/** The first guess at the bytes of a computed text column. */
const FIRST_TEXT_BYTES = 4096;
/** What functions wrote for one row; more than that is not held on to. */
const MOST_SCRATCH_BYTES = 1 << 20;

function compileVariant(
  predicate: Expr | null,
  computed: readonly Expr[],
  used: readonly number[],
  forms: readonly ColumnForm[],
): Variant {
  const generator = new Generator(forms, { spans: true });
  const body: string[] = [];
  if (predicate !== null) {
    const keeps = generator.value(predicate);
    body.push(generator.takeLines(), `if (${keeps.text} !== true) continue;`);
  }
  const outputs = computed.map((expr, n) => {
    const span = generator.span(expr);
    const output = span === undefined ? plainOutput(n, expr.type, generator.value(expr)) : textOutput(n, span);
    body.push(generator.takeLines());
    return output;
  });
  const row = [...body, ...outputs.map(({ store }) => store), 'rows[o++] = i;'].join('\n');
  const text = `
    return (length, columns, rows) => {
      ${used.map((n) => columnHeader(n, forms[n])).join('\n')}
      ${outputs.map(({ begin }) => begin).join('\n')}
      let o = 0, errors = null;
      if (scratch.bytes.length > ${MOST_SCRATCH_BYTES}) scratch = new TextScratch();
      for (let i = 0; i < length; i++) {
        scratch.length = 0;
        ${generator.columnReads.join('\n')}
        ${generator.throws ? `try {\n${row}\n} catch (thrown) { errors = failed(errors, i, thrown); }` : row}
      }
      return { count: o, columns: [${outputs.map(({ finish }) => finish).join(', ')}], errors };
    };`;
  const scope: Record<string, unknown> = { ...HELPERS, allocate, failed, cut, PlainColumn, TextColumn, TextScratch };
  scope['scratch'] = new TextScratch();
  scope['pool'] = generator.pool;
  scope['sizes'] = new Float64Array(computed.length).fill(FIRST_TEXT_BYTES);
  computed.forEach((expr, n) => {
    scope[`y${n}`] = expr.type;
  });
  generator.constants.forEach((value, n) => {
    scope[`k${n}`] = value;
  });
  return new Function(...Object.keys(scope), text)(...Object.values(scope)) as Variant;
}

/** Source text for one computed column: before the loop, per row, and the column at the end. */
interface Output {
  readonly begin: string;
  readonly store: string;
  readonly finish: string;
}

/** Ranges of the bytes they lie in; what functions wrote is copied into bytes of the column's own. */
function textOutput(n: number, { home, start, end, nullable }: Span): Output {
  const own = home === 'scratch';
  const put = own
    ? `f${n}[o] = w${n}.copy(scratch.bytes, ${start}, ${end}); u${n}[o] = w${n}.end;`
    : `f${n}[o] = ${start}; u${n}[o] = ${end};`;
  const bytes = own ? `w${n}.bytes` : home;
  return {
    begin: `const f${n} = new Int32Array(length), u${n} = new Int32Array(length)${own ? `, w${n} = new TextScratch(sizes[${n}])` : ''};
      let n${n} = null;`,
    store: nullable ? `if (${start} < 0) { ${mark(n)} } else { ${put} }` : put,
    finish: `(${own ? `sizes[${n}] = w${n}.length, ` : ''}new TextColumn(y${n}, o, ${bytes}, f${n}.subarray(0, o), u${n}.subarray(0, o), ${marks(n)}))`,
  };
}

const mark = (n: number): string => `if (n${n} === null) n${n} = new Uint8Array(length); n${n}[o] = 1;`;
const marks = (n: number): string => `n${n} === null ? null : n${n}.subarray(0, o)`;

function columnHeader(n: number, { bytes }: ColumnForm): string {
  const nulls = `m${n} = columns[${n}].nulls`;
  if (!bytes) return `const c${n} = columns[${n}].values, ${nulls};`;
  return `const b${n} = columns[${n}].bytes, s${n} = columns[${n}].starts, e${n} = columns[${n}].ends, ${nulls};`;
}

/** Types whose columns are plain arrays from the start. */
const isPlain = (type: SqlType): boolean => Array.isArray(allocate(type, 0));

function plainOutput(n: number, type: SqlType, { text, nullable }: { text: string; nullable: boolean }): Output {
  const into = type.kind === 'boolean' ? `o${n}[o] = ${text} ? 1 : 0;` : `o${n}[o] = ${text};`;
  const checked = isExact64(type) ? `if (typeof ${text} === 'bigint') o${n} = widen(o${n}, o);\n${into}` : into;
  const isNull = `${mark(n)} ${isPlain(type) ? `o${n}[o] = null;` : ''}`;
  return {
    begin: `let o${n} = allocate(y${n}, length), n${n} = null;${isPlain(type) ? ` o${n}.length = length;` : ''}`,
    store: nullable ? `if (${text} === null) { ${isNull} } else { ${checked} }` : checked,
    finish: `new PlainColumn(y${n}, o, cut(o${n}, o), ${marks(n)})`,
  };
}

function cut(values: ColumnValues, count: number): ColumnValues {
  if (values.length === count) return values;
  return Array.isArray(values) ? values.slice(0, count) : (values as Float64Array).subarray(0, count);
}

/** Only values that do not exist are the row's fault; anything else stops the pipeline. */
function failed(errors: RowError[] | null, row: number, thrown: unknown): RowError[] {
  if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
  const error = { row, code: thrown.code, reason: thrown.message };
  if (errors === null) return [error];
  errors.push(error);
  return errors;
}
