// What the server said is wrong, by field.

import type { FieldProblem } from "../../api/types";

/** A JSON pointer, such as `/steps/0/with`. */
export function pointer(path: (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Where a problem belongs: a field that is missing has it, not what it is missing from. */
export function place(problem: FieldProblem): string {
  const missing = problem.code === "missing_field" ? /`([^`]+)`/.exec(problem.message)?.[1] : undefined;
  return missing === undefined ? problem.path : problem.path + pointer([missing]);
}

/** What is wrong with exactly this field. */
export function wrongAt(problems: FieldProblem[], at: string): string | undefined {
  return problems.find((problem) => place(problem) === at)?.message;
}

/** What is wrong with this field or within it. */
export function wrongWithin(problems: FieldProblem[], at: string): string | undefined {
  return problems.find((problem) => `${place(problem)}/`.startsWith(`${at}/`))?.message;
}
