/** The text in double quotes at `at` of a pattern of Postgres, in which a backslash keeps the next character, and the place behind; without a closing quote it goes to the end. */
export function quotedAt(pattern: string, at: number): { readonly text: string; readonly end: number } {
  const quoted = /"((?:[^"\\]|\\.?)*)"?/sy;
  quoted.lastIndex = at;
  const [all, inside] = quoted.exec(pattern) as RegExpExecArray;
  return { text: inside.replace(/\\(.?)/gs, '$1'), end: at + all.length };
}
