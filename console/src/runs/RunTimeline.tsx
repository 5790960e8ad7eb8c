// A run over time: one row for each step, one bar for each attempt.

import { Text, Tooltip } from "@mantine/core";
import type { Run, StepRun } from "../api/types";
import { absolute, duration, words } from "../parts/format";
import { useNow } from "../parts/Time";
import { useZone } from "../shell/settings";

/** A bar that is thinner cannot be seen or touched, in percent. */
const BAR_MIN = 0.6;

const TICKS = 4;

export function RunTimeline({ run }: { run: Run }) {
  const now = useNow(!run.ended);
  const steps = run.steps ?? [];
  const begin = Date.parse(run.queued_at);
  const end = Math.max(run.finished_at ? Date.parse(run.finished_at) : now, begin + 1);
  const place = (at: number) => (100 * (at - begin)) / (end - begin);
  const names = [...new Set(steps.map((step) => step.step))];
  return (
    <div className="timeline" role="list" aria-label="Timeline of the run">
      {names.map((name) => {
        const attempts = steps.filter((step) => step.step === name);
        return (
          <div className="timeline-row" role="listitem" key={name}>
            <Text size="sm" truncate title={name}>
              {name}
            </Text>
            <div className="timeline-track">
              {attempts.map((step) => (
                <Bar key={step.attempt} step={step} end={end} place={place} />
              ))}
              {attempts.every((step) => !step.started_at) && (
                <Text size="xs" c="dimmed" className="timeline-none">
                  {words(attempts.at(-1)?.state ?? "")}
                </Text>
              )}
            </div>
          </div>
        );
      })}
      <div className="timeline-row" aria-hidden>
        <span />
        <div className="timeline-axis">
          {Array.from({ length: TICKS + 1 }, (_, tick) => (
            <span key={tick}>{tick === 0 ? "0" : duration(Math.round(((end - begin) * tick) / TICKS))}</span>
          ))}
        </div>
      </div>
    </div>
  );
}

function Bar({ step, end, place }: { step: StepRun; end: number; place: (at: number) => number }) {
  const [zone] = useZone();
  if (!step.started_at) return null;
  const from = Date.parse(step.started_at);
  const to = step.finished_at ? Date.parse(step.finished_at) : end;
  const start = Math.min(Math.max(place(from), 0), 100 - BAR_MIN);
  const width = Math.max(BAR_MIN, Math.min(place(to), 100) - start);
  const said = `Attempt ${step.attempt}: ${words(step.state)}, ${duration(Math.max(0, to - from))}, from ${absolute(new Date(from), zone)}`;
  return (
    <Tooltip label={said}>
      <div className="timeline-bar" data-state={step.state} tabIndex={0} role="img" aria-label={said} style={{ left: `${start}%`, width: `${width}%` }}>
        {step.attempt > 1 ? step.attempt : ""}
      </div>
    </Tooltip>
  );
}
