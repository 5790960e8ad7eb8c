// Where the steps stand: from left to right, in the order in which rows pass them.

import { Graph, layout } from "@dagrejs/dagre";
import type { Step } from "../document/model";

export const NODE = { width: 204, height: 76 };

export interface Joint {
  id: string;
  from: string;
  to: string;
  kind: "rows" | "order";
}

/** Names a step in the picture: two of one name, or one without, have their places too. */
export function idOf(step: Step, steps: Step[]): string {
  const alone = step.name !== "" && steps.find((other) => other.name === step.name) === step;
  return alone ? step.name : `#${step.index}`;
}

export function joints(steps: Step[]): Joint[] {
  const known = new Map(steps.toReversed().map((step) => [step.name, idOf(step, steps)]));
  return steps.flatMap((step) => {
    const to = idOf(step, steps);
    const of = (kind: Joint["kind"], names: string[]) =>
      [...new Set(names)].flatMap((name) => {
        const from = known.get(name);
        return from === undefined ? [] : [{ id: `${kind} ${from} ${to}`, from, to, kind }];
      });
    return [...of("rows", step.input), ...of("order", step.after)];
  });
}

/** Steps that rows join stand in a row of their own, below what they come after. */
export function places(ids: string[], edges: Joint[]): Map<string, { x: number; y: number }> {
  const found = new Map<string, { x: number; y: number }>();
  let top = 0;
  for (const part of parts(ids, edges)) {
    const graph = new Graph({ multigraph: true });
    graph.setGraph({ rankdir: "LR", nodesep: 28, ranksep: 56 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const id of part) graph.setNode(id, { ...NODE });
    for (const { id, from, to, kind } of edges) if (kind === "rows" && part.includes(from) && part.includes(to)) graph.setEdge(from, to, {}, id);
    layout(graph);
    let bottom = top;
    for (const id of part) {
      const { x, y } = graph.node(id) as { x: number; y: number };
      found.set(id, { x: x - NODE.width / 2, y: top + y - NODE.height / 2 });
      bottom = Math.max(bottom, top + y + NODE.height / 2);
    }
    top = bottom + 48;
  }
  return found;
}

/** The steps that rows join, those that come after others below them. */
function parts(ids: string[], edges: Joint[]): string[][] {
  const group = new Map(ids.map((id) => [id, id]));
  const rows = edges.filter((edge) => edge.kind === "rows");
  // Each takes the name of its neighbour until nothing changes: a task has at most 200 steps.
  for (let again = true; again; ) {
    again = false;
    for (const { from, to } of rows) {
      const [a, b] = [group.get(from) ?? from, group.get(to) ?? to];
      if (a === b) continue;
      again = true;
      for (const [id, its] of group) if (its === b) group.set(id, a);
    }
  }
  const names = [...new Set(group.values())];
  const depth = new Map(names.map((name) => [name, 0]));
  // A circle, which cannot be saved, ends after as many rounds as there are groups.
  for (let round = 0; round < names.length; round += 1) {
    for (const { from, to, kind } of edges) {
      const [a, b] = [group.get(from) ?? from, group.get(to) ?? to];
      if (kind === "order" && a !== b) depth.set(b, Math.min(names.length, Math.max(depth.get(b) ?? 0, (depth.get(a) ?? 0) + 1)));
    }
  }
  return names.sort((a, b) => (depth.get(a) ?? 0) - (depth.get(b) ?? 0)).map((name) => ids.filter((id) => group.get(id) === name));
}
