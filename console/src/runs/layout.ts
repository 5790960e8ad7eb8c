// Where the steps of a run stand in its picture: each to the right of all that it waits for.

import type { StepRun } from "../api/types";

export interface Spot {
  step: StepRun;
  column: number;
  row: number;
}

/** The newest attempt of each step, in the task's order. */
export function newest(steps: StepRun[]): StepRun[] {
  const found = new Map<string, StepRun>();
  for (const step of steps) {
    const known = found.get(step.step);
    if (!known || step.attempt >= known.attempt) found.set(step.step, step);
  }
  return [...found.values()];
}

export function layout(steps: StepRun[]): Spot[] {
  const byName = new Map(steps.map((step) => [step.step, step]));
  const columns = new Map<string, number>();
  const columnOf = (step: StepRun, path: string[]): number => {
    const known = columns.get(step.step);
    if (known !== undefined) return known;
    const before = [...step.inputs, ...step.after].filter((name) => !path.includes(name)).flatMap((name) => byName.get(name) ?? []);
    const column = before.length === 0 ? 0 : Math.max(...before.map((one) => columnOf(one, [...path, step.step]))) + 1;
    columns.set(step.step, column);
    return column;
  };
  const rows = new Map<number, number>();
  return steps.map((step) => {
    const column = columnOf(step, []);
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    return { step, column, row };
  });
}
