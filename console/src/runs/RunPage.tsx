// One run: what it waits for or why it failed, its steps as a table and in pictures, its log.

import { Alert, Anchor, Code, Paper, SegmentedControl, Select, Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { path } from "../api/client";
import { runQuery } from "../api/queries";
import type { Run, RunLine } from "../api/types";
import { Facts, type Fact } from "../parts/Facts";
import { bytes, count, duration, words } from "../parts/format";
import { LevelFilter } from "../parts/LevelFilter";
import { LogView } from "../parts/LogView";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Said } from "../parts/Said";
import { StateBadge } from "../parts/StateBadge";
import { Time, useNow } from "../parts/Time";
import { useTail } from "../parts/tail";
import { newest } from "./layout";
import { usePace } from "./pace";
import { RunControls } from "./RunControls";
import { RunGraph } from "./RunGraph";
import { RunTimeline } from "./RunTimeline";
import { Steps } from "./Steps";
import { Waits, waitsOf } from "./Waits";

const route = getRouteApi("/shell/runs/$id");

export function RunPage() {
  const { id } = route.useParams();
  const { data: run, error } = useQuery(runQuery(id));
  if (!run) return error ? <Refused error={error} title="The run cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  return <Shown key={run.id} run={run} />;
}

function Shown({ run }: { run: Run }) {
  const pace = usePace(run);
  const now = useNow(!run.ended);
  const waits = waitsOf(run);
  return (
    <>
      <PageHead title={run.task} badge={<StateBadge state={run.state} />}>
        <RunControls run={run} />
      </PageHead>
      <Stack>
        {run.reason && waits.length === 0 && (
          <Alert color={run.ended ? (run.failure ? "red" : "gray") : "yellow"} title={run.failure ? `${words(run.failure)} fault` : undefined}>
            <Said text={run.reason} />
          </Alert>
        )}
        <Waits waits={waits} />
        <Facts title="Run" wide facts={facts(run, now)} />
        <Picture run={run} pace={pace} />
        <Steps steps={run.steps ?? []} pace={pace} />
        <Log run={run} />
      </Stack>
    </>
  );
}

function facts(run: Run, now: number): Fact[] {
  const parameters = Object.entries(run.parameters ?? {});
  const steps = newest(run.steps ?? []);
  // What the last steps gave on or wrote: those that no other reads.
  const last = steps.filter((step) => !steps.some((other) => other.inputs.includes(step.step)));
  const took = run.duration_ms == null ? null : run.ended || !run.started_at ? run.duration_ms : Math.max(run.duration_ms, now - Date.parse(run.started_at));
  const all: Fact[] = [
    ["Task", <TaskLink run={run} />],
    ["Started by", `${run.who} (${words(run.trigger_name ?? run.trigger).toLowerCase()})`],
    ["Asked for", <Time at={run.queued_at} />],
    ["Began", <Time at={run.started_at} />],
    ["Ended", <Time at={run.finished_at} />],
    ["Took", took === null ? "-" : duration(took)],
    ["Rows", count(last.reduce((sum, step) => sum + step.rows_out, 0))],
    ["Bytes", bytes(last.reduce((sum, step) => sum + step.bytes, 0))],
  ];
  if (run.due_at) all.push(["Was due", <Time at={run.due_at} />]);
  if (run.priority !== 0) all.push(["Priority", run.priority]);
  if (run.rerun_of) {
    all.push(["Repeats", <Anchor component={Link} to={`/runs/${run.rerun_of}`} size="sm">{run.rerun_of}</Anchor>]);
  }
  if (parameters.length > 0) {
    all.push(["Parameters", <Code block>{parameters.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join("\n")}</Code>]);
  }
  return all;
}

function TaskLink({ run }: { run: Run }) {
  return (
    <Anchor component={Link} to={`/tasks/${run.task_id}`} size="sm">
      {run.task}
    </Anchor>
  );
}

function Picture({ run, pace }: { run: Run; pace: ReadonlyMap<string, number> }) {
  const { view = "timeline" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Paper withBorder p="md" component="section" aria-label="Picture of the run">
      <SegmentedControl
        size="xs"
        mb="sm"
        aria-label="Picture"
        data={[
          { value: "timeline", label: "Timeline" },
          { value: "graph", label: "Graph" },
        ]}
        value={view}
        onChange={(next) => void navigate({ search: (now) => ({ ...now, view: next === "graph" ? "graph" : undefined }), replace: true })}
      />
      {view === "graph" ? <RunGraph run={run} pace={pace} /> : <RunTimeline run={run} />}
    </Paper>
  );
}

function Log({ run }: { run: Run }) {
  const { level, step } = route.useSearch();
  const navigate = route.useNavigate();
  const filters = { level, step };
  const key = JSON.stringify([run.id, filters]);
  const tail = useTail<RunLine>(key, { stream: path`/runs/${run.id}/log/stream`, query: filters });
  const change = (next: Partial<typeof filters>) => void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  const steps = [...new Set((run.steps ?? []).map((one) => one.step))];
  return (
    <LogView
      label="Run log"
      tail={tail}
      source={(line) => line.step ?? "run"}
      file={`${run.id}.log`}
      height="24rem"
      of={key}
      filters={
        <>
          <LevelFilter value={level} onChange={(next) => change({ level: next })} />
          <Select
            w={170}
            aria-label="Step"
            placeholder="Every step"
            clearable
            data={steps}
            value={step ?? null}
            onChange={(next) => change({ step: next ?? undefined })}
          />
        </>
      }
    />
  );
}
