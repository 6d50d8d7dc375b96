import { assert } from '../../../src/lib/assert.ts';
import { loadInterpreter, Sandbox } from './sandbox.ts';
import type { UserFunction } from './user-function.ts';

/** By definition: one interpreter for a function in each thread. */
const sandboxes = new Map<string, Sandbox>();

/** The name under which a bare body is called. */
const BODY = '$call';

/** A program that exports functions (`export function f(x) { … }`), or the body of one. */
function programOf(fn: UserFunction): { key: string; program: string; main: string } {
  const isProgram = /\bexport\s+function\b/.test(fn.source);
  const main = isProgram || fn.kind === 'aggregate' ? fn.name : BODY;
  const program =
    main === BODY
      ? `function ${BODY}(${fn.params.map(({ name }, i) => (name === '' ? `$${i + 1}` : name)).join(', ')}) {\n${fn.source}\n}`
      : fn.source.replace(/\bexport\s+(?=function\b)/g, '');
  const more = exportsFunction(fn, 'retract') ? STEPS + stepCalls(fn) : quickCall(fn, main);
  return { key: JSON.stringify([fn.name, program, more]), program: `${program}\n${more}`, main };
}

/**
 * Beside an aggregate with `retract`: the state goes in and out as JSON, in which a bigint is `{"$bigint": "1"}`. What would come back as something else is
 * refused.
 */
const STEPS = `
let $state;
function $freeze(key, v) {
  const held = this[key];
  if (typeof held === 'bigint') return { $bigint: String(held) };
  if (held === null || typeof held === 'string' || typeof held === 'boolean') return held;
  if (typeof held === 'number' && Number.isFinite(held)) return held;
  if (Array.isArray(held)) return held;
  const plain = typeof held === 'object' && Object.getPrototypeOf(held) === Object.prototype;
  if (plain && !('$bigint' in held)) return held;
  throw new TypeError('a state is made of null, booleans, finite numbers, bigints, texts, arrays and plain objects');
}
function $thaw(key, v) { return typeof v === 'object' && v !== null && typeof v.$bigint === 'string' ? BigInt(v.$bigint) : v }
function $load(text) { $state = text === null ? create_state() : text.includes('$bigint') ? JSON.parse(text, $thaw) : JSON.parse(text) }
function $save() { return JSON.stringify($state, $freeze) }
function $finish() { return typeof finish === 'function' ? finish($state) : $state }
`;

/** `$accumulate` and `$retract` step the state; BIGINTs come as numbers where these hold them, see `quickCall`. */
function stepCalls(fn: UserFunction): string {
  const { names, args } = quickArguments(fn);
  const call = (name: string): string =>
    `function $${name}(${names.join(', ')}) { const next = ${name}($state, ${args.join(', ')}); if (next !== undefined) $state = next }\n`;
  return call('accumulate') + call('retract');
}

/** Told from the text, so that plans know it where no code runs. */
export const exportsFunction = (fn: UserFunction, name: string): boolean =>
  new RegExp(`\\bexport\\s+function\\s+${name}\\b`).test(fn.source);

/** The name of a function beside the user's own that spares crossings of the border; see `quickCall`. */
export const QUICK = '$quick';

/** How a result that is a number without more ado is told, by kind of the declared type. */
export const NUMBERS: Readonly<Record<string, string>> = {
  smallint: "typeof r === 'number' && r === r ? r",
  integer: "typeof r === 'number' && r === r ? r",
  double: "typeof r === 'number' && r === r ? r",
  bigint: "typeof r === 'bigint' && r >= -9007199254740991n && r <= 9007199254740991n ? Number(r)",
};

function quickArguments(fn: UserFunction): { names: string[]; args: string[] } {
  const names = fn.params.map((_, i) => `a${i}`);
  const args = names.map((name, i) =>
    fn.params[i].type.kind === 'bigint' ? `typeof ${name} === 'number' ? BigInt(${name}) : ${name}` : name,
  );
  return { names, args };
}

/**
 * For scalar functions that give numbers: takes a BIGINT as a number where one holds it and gives it so, and puts all else in a box `{ v }`, which is not a
 * number. Asking what type a value has, and making bigints, each takes as long as a call.
 */
function quickCall(fn: UserFunction, main: string): string {
  const number = fn.kind === 'scalar' && fn.returns !== null ? NUMBERS[fn.returns.kind] : undefined;
  if (number === undefined) return '';
  const { names, args } = quickArguments(fn);
  return `function ${QUICK}(${names.join(', ')}) { const r = ${main}(${args.join(', ')}); return ${number} : { v: r } }`;
}

export async function prepareJs(fn: UserFunction): Promise<void> {
  const { key, program } = programOf(fn);
  if (!sandboxes.has(key)) sandboxes.set(key, new Sandbox(await loadInterpreter(), fn.name, program));
}

export function releaseJs(fn: UserFunction): void {
  sandboxes.delete(programOf(fn).key);
}

export function sandboxOf(fn: UserFunction): { sandbox: Sandbox; main: string } {
  const { key, main } = programOf(fn);
  const sandbox = sandboxes.get(key);
  assert(sandbox !== undefined, `the code of ${fn.name} was not prepared in this thread`);
  return { sandbox, main };
}
