import type { AstExpr, Statement } from './ast.ts';
import { Cursor } from './cursor.ts';
import { checkDepth } from './depth.ts';
import { parseExpr } from './expressions.ts';
import { withForm } from './forms.ts';
import { parseQuery as parseQueryAt } from './queries.ts';
import { expectEnd, parseStatement } from './statements.ts';

/**
 * StreamQL text to syntax trees (DESIGN D6): `lexer.ts` makes tokens that know their place, `statements.ts`, `create.ts` and
 * `queries.ts` descend, `expressions.ts` climbs Postgres's operator levels. Grammar that Postgres or Flink has and this release
 * has not is named and refused (SQL_UNSUPPORTED); all else that does not fit is SQL_SYNTAX; too long or deep is SQL_LIMIT.
 */
export function parseStatements(text: string): Statement[] {
  return parseScript(text).map(({ statement }) => statement);
}

/** Each statement with its own text, without the semicolon and comments around it. */
export function parseScript(text: string): { readonly statement: Statement; readonly text: string }[] {
  const cursor = withForm(null, () => new Cursor(text, parseQueryAt));
  const found: { statement: Statement; text: string }[] = [];
  for (;;) {
    while (cursor.takeSign(';'));
    if (cursor.token.kind === 'end') return found;
    found.push(
      withForm(cursor, () => {
        const first = cursor.pos;
        const statement = parseStatement(cursor);
        const own = cursor.textSince(first);
        expectEnd(cursor);
        checkDepth(statement);
        return { statement, text: own };
      }),
    );
  }
}

export function parseExpression(text: string): AstExpr {
  const cursor = new Cursor(text, parseQueryAt);
  const expr = parseExpr(cursor);
  if (cursor.token.kind !== 'end') throw cursor.expected('the end of the expression');
  return expr;
}
