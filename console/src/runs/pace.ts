// How fast rows pass now: from one answer of the server to the next.

import { useEffect, useRef, useState } from "react";
import type { Run } from "../api/types";

interface Sample {
  run: string;
  at: number;
  rows: Map<string, number>;
}

/** Rows a second of each step of a run that goes on; empty until two answers have come. */
export function usePace(run: Run): ReadonlyMap<string, number> {
  const last = useRef<Sample | null>(null);
  const [pace, setPace] = useState<ReadonlyMap<string, number>>(new Map());
  useEffect(() => {
    const sample = sampleOf(run, Date.now());
    const before = last.current;
    last.current = sample;
    setPace(before?.run === run.id && !run.ended ? between(before, sample) : new Map());
  }, [run]);
  return pace;
}

function sampleOf(run: Run, at: number): Sample {
  const rows = new Map((run.steps ?? []).map((step) => [step.step, Math.max(step.rows_out, step.rows_in)] as const));
  return { run: run.id, at, rows };
}

export function between(before: Sample, now: Sample): ReadonlyMap<string, number> {
  const seconds = (now.at - before.at) / 1000;
  const pace = new Map<string, number>();
  if (seconds <= 0) return pace;
  for (const [step, rows] of now.rows) {
    // A new attempt begins at zero.
    pace.set(step, Math.max(0, Math.round((rows - (before.rows.get(step) ?? 0)) / seconds)));
  }
  return pace;
}
