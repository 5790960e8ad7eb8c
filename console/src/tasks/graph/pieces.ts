// What can be put into a task.

import type { Model, Step } from "../document/model";
import { freeName, gives, type World } from "./world";

export interface Piece {
  id: string;
  /** A connector's kind, `transform` or `task`. */
  kind: string;
  group: "Read" | "Change" | "Write";
  title: string;
}

export function pieces({ connectors }: World): Piece[] {
  const of = (group: "Read" | "Write", schema: "read_schema" | "write_schema"): Piece[] =>
    connectors.filter((one) => one[schema]).map((one) => ({ id: `${group.toLowerCase()}-${one.kind}`, kind: one.kind, group, title: one.title }));
  return [
    ...of("Read", "read_schema"),
    { id: "transform", kind: "transform", group: "Change", title: "SQL transform" },
    { id: "task", kind: "task", group: "Change", title: "Start a task" },
    ...of("Write", "write_schema"),
  ];
}

/** A new step. What takes rows takes those of the chosen step, or of the last one whose rows nobody takes. */
export function stepOf(piece: Piece, model: Model, world: World, chosen: Step | undefined): Record<string, unknown> {
  const name = (wanted: string) => freeName(wanted, model.steps);
  const open = model.steps.filter((step) => gives(step) && !model.steps.some((other) => other.input.includes(step.name)));
  const from = chosen && gives(chosen) ? chosen : open.at(-1);
  const input = from ? from.name : [];
  if (piece.kind === "transform") return { name: name("transform"), input, transform: from ? `select * from ${quoted(from.name)}` : "" };
  if (piece.kind === "task") return { name: name("start"), task: "" };
  const connector = world.connectors.find((one) => one.kind === piece.kind);
  const connections = world.connections.filter((one) => one.kind === piece.kind);
  const only = connections.length === 1 && connector?.needs_connection ? connections[0] : undefined;
  const target = only ? { connection: only.name } : { connector: piece.kind };
  return piece.group === "Read" ? { name: name("read"), ...target } : { name: name("write"), ...target, input };
}

/** As SQL wants a table's name. */
const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`);
