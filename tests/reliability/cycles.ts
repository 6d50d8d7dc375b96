/** Strongly connected components with more than one node (Tarjan's algorithm, without recursion). `edges[a]` are the nodes that follow a. */
export function cycles(edges: readonly (readonly number[])[]): number[][] {
  const found: number[][] = [];
  const index = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  const onStack = new Uint8Array(edges.length);
  const next = new Int32Array(edges.length);
  const stack: number[] = [];
  let count = 0;
  for (let root = 0; root < edges.length; root++) {
    if (index[root] !== -1) continue;
    const path = [root];
    while (path.length > 0) {
      const node = path[path.length - 1]!;
      if (index[node] === -1) {
        index[node] = low[node] = count++;
        stack.push(node);
        onStack[node] = 1;
      }
      let descended = false;
      while (next[node]! < edges[node]!.length) {
        const to = edges[node]![next[node]!++]!;
        if (index[to] === -1) {
          path.push(to);
          descended = true;
          break;
        }
        if (onStack[to]) low[node] = Math.min(low[node]!, index[to]!);
      }
      if (descended) continue;
      path.pop();
      const parent = path[path.length - 1];
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== index[node]) continue;
      const component: number[] = [];
      let popped: number;
      do {
        popped = stack.pop()!;
        onStack[popped] = 0;
        component.push(popped);
      } while (popped !== node);
      if (component.length > 1) found.push(component.reverse());
    }
  }
  return found;
}
