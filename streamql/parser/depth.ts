import { StreamError } from '../../src/lib/errors.ts';
import type { Statement } from './ast.ts';

/** How deep a syntax tree may be, whatever makes it deep; chains of AND and of OR count once. Bounds recursion in all that follows. */
const MAX_TREE_DEPTH = 600;

/** SQL_LIMIT for a tree that would overflow the stack of what walks it. Walks without recursion itself. */
export function checkDepth(statement: Statement): void {
  const stack: { node: any; depth: number }[] = [{ node: statement, depth: 0 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, depth } = top;
    if (depth > MAX_TREE_DEPTH) {
      throw new StreamError('SQL_LIMIT', `an expression or query nests more than ${MAX_TREE_DEPTH} levels`, {
        at: statement.at,
        hint: 'split it with WITH',
      });
    }
    const isChain = node.kind === 'binary' && (node.op === 'and' || node.op === 'or');
    for (const child of Object.values<any>(node)) {
      if (child === null || typeof child !== 'object') continue;
      const same = isChain && child.kind === 'binary' && child.op === node.op;
      stack.push({ node: child, depth: depth + (child.kind === undefined || same ? 0 : 1) });
    }
  }
}
