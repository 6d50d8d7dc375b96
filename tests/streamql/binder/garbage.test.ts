import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { tokenize } from '../../../streamql/parser/lexer.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { explainPlan } from '../../../streamql/plan/explain.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalogOf, NEXMARK_DDL, nexmarkFile } from '../catalog.ts';

/** Whatever comes in: a plan, or a StreamError of the user's that says where. */

const catalog = catalogOf(NEXMARK_DDL);
const queries = ['q1', 'q3', 'q4', 'q5', 'q7', 'q8', 'q9'].map((query) => {
  const text = nexmarkFile(`queries/${query}.sql`);
  return tokenize(text)
    .slice(0, -1)
    .map(({ start, end }) => text.slice(start, end));
});
const words = [
  ...new Set(queries.flat()),
  ..."NULL 1 2.5 'x' $1 || :: BIGINT DISTINCT UNION ALL CASE WHEN THEN END LEFT USING LIMIT HAVING IS NOT * . ;".split(
    ' ',
  ),
];

function check(text: string): void {
  try {
    for (const statement of parseStatements(text)) {
      if (statement.kind !== 'query') continue;
      for (const mode of ['view', 'pull'] as const) {
        explainPlan(optimize(bindQuery(statement.query, catalog, { mode, params: ['7'] }).plan));
      }
    }
  } catch (thrown) {
    const error = asStreamError(thrown);
    expect(thrown, `${text}\n${(thrown as Error).stack}`).toBeInstanceOf(StreamError);
    expect(error.code, `${text}\n${error.stack}`).not.toBe('INVARIANT');
    expect(error.at, `${text}\n${error.message}`).toBeDefined();
  }
}

test('queries with tokens lost, doubled and swapped', () => {
  const edit = fc.record({
    at: fc.nat(200),
    kind: fc.constantFrom('drop', 'double', 'replace', 'swap'),
    word: fc.constantFrom(...words),
  });
  const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 400) };
  fc.assert(
    fc.property(fc.constantFrom(...queries), fc.array(edit, { minLength: 1, maxLength: 4 }), (query, edits) => {
      const tokens = [...query];
      for (const { at, kind, word } of edits) {
        const i = at % tokens.length;
        if (kind === 'drop') tokens.splice(i, 1);
        else if (kind === 'double') tokens.splice(i, 0, tokens[i]);
        else if (kind === 'replace') tokens[i] = word;
        else [tokens[i], tokens[(i + 1) % tokens.length]] = [tokens[(i + 1) % tokens.length], tokens[i]];
      }
      check(tokens.join(' '));
    }),
    runs,
  );
});

test('words in any order, and any text', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 25 }), (list) => check(`SELECT ${list.join(' ')}`)),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 40 }), check));
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'$\'"eE\\ /*-.1x_;(\n'), maxLength: 30 }), check));
});
