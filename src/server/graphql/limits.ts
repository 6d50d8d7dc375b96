import { Lexer, Source, TokenKind } from 'graphql';
import { StreamError } from '../../lib/errors.ts';

/** What graphql-js works through by recursion, and what one request may make it look at. */
const MAX_TOKENS = 10_000;
const MAX_DEPTH = 100;

/** SQL_LIMIT for a document of more tokens, or a document or variables nested deeper, than a bound allows. */
export function checkLimits(query: unknown, variables: unknown): void {
  if (typeof query === 'string') checkDocument(query);
  checkValue(variables);
}

function checkDocument(query: string): void {
  const lexer = new Lexer(new Source(query));
  let depth = 0;
  for (let tokens = 1; ; tokens++) {
    let kind: TokenKind;
    try {
      kind = lexer.advance().kind;
    } catch {
      return; // No token: the parser says what is wrong with it.
    }
    if (kind === TokenKind.EOF) return;
    if (kind === TokenKind.BRACE_L || kind === TokenKind.BRACKET_L || kind === TokenKind.PAREN_L) depth++;
    if (kind === TokenKind.BRACE_R || kind === TokenKind.BRACKET_R || kind === TokenKind.PAREN_R) depth--;
    if (tokens > MAX_TOKENS) throw tooMuch(`the document has more than ${MAX_TOKENS} tokens`);
    if (depth > MAX_DEPTH) throw tooMuch(`the document is nested deeper than ${MAX_DEPTH} brackets`);
  }
}

/** Level by level, since a walk down would itself need the stack. */
function checkValue(variables: unknown): void {
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw tooMuch(`the variables are nested deeper than ${MAX_DEPTH} levels`);
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}

const tooMuch = (detail: string): StreamError =>
  new StreamError('SQL_LIMIT', detail, { hint: 'ask in several requests' });
