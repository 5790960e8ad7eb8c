// One run: its steps with every attempt, its figures, its log.

import { Alert, Anchor, Button, Code, Group, Modal, Paper, Select, Skeleton, Stack, Table, Text } from "@mantine/core";
import { IconPlayerStop, IconRefresh } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { get, path, send } from "../api/client";
import { runQuery } from "../api/queries";
import type { Run, RunLine, StepRun } from "../api/types";
import { Facts } from "../parts/Facts";
import { bytes, count, duration, words } from "../parts/format";
import { LevelFilter } from "../parts/LevelFilter";
import { LogView } from "../parts/LogView";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { StateBadge } from "../parts/StateBadge";
import { Time } from "../parts/Time";
import { useTail } from "../parts/tail";
import { failed, told } from "../parts/toast";

const route = getRouteApi("/shell/runs/$id");

/** States whose runs have something to repeat from. */
const FAILED = ["failed", "timed_out", "finished_with_errors", "cancelled"];

export function RunPage() {
  const { id } = route.useParams();
  const { data: run, error } = useQuery(runQuery(id));
  if (!run) return error ? <Refused error={error} title="The run cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  return (
    <>
      <PageHead title={run.task} badge={<StateBadge state={run.state} />}>
        <Controls run={run} />
      </PageHead>
      <Stack>
        {run.reason && (
          <Alert color={run.ended ? (run.failure ? "red" : "gray") : "yellow"} title={run.failure ? `${words(run.failure)} fault` : undefined}>
            {run.reason}
          </Alert>
        )}
        <Facts title="Run" wide facts={facts(run)} />
        <Steps steps={run.steps ?? []} />
        <Log key={run.id} run={run} />
      </Stack>
    </>
  );
}

function facts(run: Run): [string, React.ReactNode][] {
  const parameters = Object.entries(run.parameters ?? {});
  const all: [string, React.ReactNode][] = [
    ["Task", <TaskLink run={run} />],
    ["Started by", `${run.who} (${words(run.trigger_name ?? run.trigger).toLowerCase()})`],
    ["Asked for", <Time at={run.queued_at} />],
    ["Began", <Time at={run.started_at} />],
    ["Ended", <Time at={run.finished_at} />],
    ["Took", run.duration_ms == null ? "-" : duration(run.duration_ms)],
  ];
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

function Controls({ run }: { run: Run }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const cancel = useMutation({
    mutationFn: () => send(path`/runs/${run.id}/cancel`, { method: "POST", json: {} }),
    onSuccess: () => told("The run is being cancelled"),
    onError: (error) => failed("Not cancelled", error),
    onSettled: () => {
      setAsking(false);
      return cache.invalidateQueries({ queryKey: ["runs"] });
    },
  });
  const rerun = useMutation({
    mutationFn: (from_failed: boolean) => get<Run>(path`/runs/${run.id}/rerun`, { method: "POST", json: { from_failed } }),
    onSuccess: (next) => {
      told("Started again");
      void navigate({ to: `/runs/${next.id}` });
    },
    onError: (error) => failed("Not started again", error),
  });
  if (!run.ended) {
    const open = (run.steps ?? []).filter((step) => !step.finished_at).map((step) => step.step);
    return (
      <>
        <Button color="red" variant="light" leftSection={<IconPlayerStop size={16} />} onClick={() => setAsking(true)}>
          Cancel
        </Button>
        <Modal opened={asking} onClose={() => setAsking(false)} title={`Cancel this run of ${run.task}?`}>
          <Stack>
            <Text>Every step stops on its agent and removes what it has half written{open.length > 0 ? `: ${[...new Set(open)].join(", ")}` : ""}.</Text>
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setAsking(false)} data-autofocus>
                Let it go on
              </Button>
              <Button color="red" loading={cancel.isPending} onClick={() => cancel.mutate()}>
                Cancel the run
              </Button>
            </Group>
          </Stack>
        </Modal>
      </>
    );
  }
  return (
    <Group gap="xs">
      {FAILED.includes(run.state) && (
        <Button variant="default" loading={rerun.isPending} onClick={() => rerun.mutate(true)}>
          Repeat from what failed
        </Button>
      )}
      <Button leftSection={<IconRefresh size={16} />} loading={rerun.isPending} onClick={() => rerun.mutate(false)}>
        Run again
      </Button>
    </Group>
  );
}

function Steps({ steps }: { steps: StepRun[] }) {
  return (
    <Paper withBorder>
      <Table.ScrollContainer minWidth={860}>
        <Table verticalSpacing="xs" aria-label="Steps">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Step</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th ta="right">Attempt</Table.Th>
              <Table.Th>Agent</Table.Th>
              <Table.Th ta="right">Rows in</Table.Th>
              <Table.Th ta="right">Rows out</Table.Th>
              <Table.Th ta="right">Rejected</Table.Th>
              <Table.Th ta="right">Bytes</Table.Th>
              <Table.Th ta="right">Rows/s</Table.Th>
              <Table.Th ta="right">Took</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {steps.map((step) => (
              <Step key={`${step.step} ${step.attempt}`} step={step} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function took(step: StepRun): string {
  if (!step.started_at) return "-";
  const until = step.finished_at ? Date.parse(step.finished_at) : Date.now();
  return duration(Math.max(0, until - Date.parse(step.started_at)));
}

function Step({ step }: { step: StepRun }) {
  const { failure } = step;
  return (
    <>
      <Table.Tr>
        <Table.Td fw={500}>{step.step}</Table.Td>
        <Table.Td>
          <StateBadge state={step.state} />
        </Table.Td>
        <Table.Td ta="right">{step.attempt}</Table.Td>
        <Table.Td>
          {step.agent ? (
            <Anchor size="sm" renderRoot={(props) => <Link to="/agents/$id" params={{ id: step.agent ?? "" }} {...props} />}>
              {step.agent}
            </Anchor>
          ) : (
            "-"
          )}
        </Table.Td>
        <Table.Td ta="right">{count(step.rows_in)}</Table.Td>
        <Table.Td ta="right">{count(step.rows_out)}</Table.Td>
        <Table.Td ta="right">{count(step.rows_rejected)}</Table.Td>
        <Table.Td ta="right">{bytes(step.bytes)}</Table.Td>
        <Table.Td ta="right">{step.rows_per_second == null ? "-" : count(step.rows_per_second)}</Table.Td>
        <Table.Td ta="right">{took(step)}</Table.Td>
      </Table.Tr>
      {(failure ?? step.reason) && (
        <Table.Tr>
          <Table.Td colSpan={10} pt={0}>
            <Text size="sm" c={failure ? "red" : "dimmed"}>
              {failure ? failure.message : step.reason}
            </Text>
            {failure?.advice && <Text size="sm">{failure.advice}</Text>}
          </Table.Td>
        </Table.Tr>
      )}
    </>
  );
}

function Log({ run }: { run: Run }) {
  const { level, step } = route.useSearch();
  const navigate = route.useNavigate();
  const filters = { level, step };
  const tail = useTail<RunLine>(JSON.stringify([run.id, filters]), { stream: path`/runs/${run.id}/log/stream`, query: filters });
  const change = (next: Partial<typeof filters>) => void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  const steps = [...new Set((run.steps ?? []).map((one) => one.step))];
  return (
    <LogView
      label="Run log"
      tail={tail}
      source={(line) => line.step ?? "run"}
      file={`${run.id}.log`}
      height="24rem"
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
