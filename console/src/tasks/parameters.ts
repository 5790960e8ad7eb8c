// What a task's parameters are, out of its document as the server understood it.

import type { Task } from "../api/types";

export interface Parameter {
  name: string;
  type: string;
  required: boolean;
  /** The value where none is given, as text. */
  fallback: string;
  description: string;
}

export function parameters(task: Task): Parameter[] {
  const declared = (task.parsed as { parameters?: unknown }).parameters;
  if (!Array.isArray(declared)) return [];
  return declared.map((one: Record<string, unknown>) => ({
    name: String(one["name"]),
    type: String(one["type"] ?? "string"),
    required: one["required"] === true,
    fallback: one["default"] === undefined ? "" : typeof one["default"] === "string" ? one["default"] : JSON.stringify(one["default"]),
    description: typeof one["description"] === "string" ? one["description"] : "",
  }));
}
