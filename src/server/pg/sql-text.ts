/** What is not SQL's own text: strings, quoted names, dollar quotes and comments, in which nothing is meant. */
const OPAQUE = String.raw`[eE]'(?:\\[\s\S]|''|[^'\\])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/`;

/** A statement of a text, from that index on, without its semicolon. */
export interface StatementText {
  readonly text: string;
  readonly from: number;
}

/** The statements of a text that say something. */
export function splitStatements(sql: string): StatementText[] {
  const pieces: StatementText[] = [];
  let from = 0;
  for (const { 0: token, index } of sql.matchAll(new RegExp(`${OPAQUE}|;`, 'g'))) {
    if (token !== ';') continue;
    pieces.push({ text: sql.slice(from, index), from });
    from = index + 1;
  }
  pieces.push({ text: sql.slice(from), from });
  return pieces.filter((piece) => bareText(piece.text) !== '');
}

/** A statement without the comments before it and the semicolons behind it; empty when nothing else is there. */
export const bareText = (sql: string): string =>
  sql.replace(/^(?:[\s;]+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, '').replace(/[\s;]+$/, '');

/** The highest n of $n. */
export function highestParameter(sql: string): number {
  let highest = 0;
  for (const match of sql.matchAll(new RegExp(`${OPAQUE}|\\$(\\d+)`, 'g'))) {
    if (match[2] !== undefined) highest = Math.max(highest, Number(match[2]));
  }
  return highest;
}
