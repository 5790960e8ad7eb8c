// The runs of an environment.

import { Anchor, Button, Group, Select, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { taskQuery, useList } from "../api/queries";
import type { Run } from "../api/types";
import { duration, words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { StateBadge } from "../parts/StateBadge";
import { Time } from "../parts/Time";

const route = getRouteApi("/shell/runs");

const STATES = [
  "scheduled",
  "waiting_for_agent",
  "running",
  "succeeded",
  "no_data",
  "finished_with_errors",
  "failed",
  "timed_out",
  "cancelled",
];

const COLUMNS: Column<Run>[] = [
  {
    title: "Task",
    sort: "task",
    cell: (run) => (
      <Anchor component={Link} to={`/runs/${run.id}`} fw={500} size="sm" className="name">
        {run.task}
      </Anchor>
    ),
  },
  { title: "State", sort: "state", cell: (run) => <StateBadge state={run.state} /> },
  {
    title: "Reason",
    cell: (run) => (
      <Text size="sm" lineClamp={2} maw={360} title={run.reason ?? undefined}>
        {run.reason ?? "-"}
      </Text>
    ),
  },
  { title: "Asked for", sort: "queued_at", cell: (run) => <Time at={run.queued_at} /> },
  { title: "Took", right: true, cell: (run) => (run.duration_ms == null ? "-" : duration(run.duration_ms)) },
  { title: "Started by", cell: (run) => (run.trigger === "person" ? run.who : words(run.trigger_name ?? run.trigger)) },
];

export function RunsPage() {
  const { task, state, sort = "-queued_at" } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useList<Run>("runs", { task, state, sort }, 2000);
  const named = useQuery({ ...taskQuery(task ?? ""), enabled: task !== undefined }).data?.summary.name;
  const change = (next: { task?: string | undefined; state?: string | undefined; sort?: string }) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title={named ? `Runs of ${named}` : "Runs"} />
      <Group mb="sm" gap="sm">
        <Select
          w={200}
          aria-label="State"
          placeholder="Every state"
          clearable
          data={STATES.map((value) => ({ value, label: words(value) }))}
          value={state ?? null}
          onChange={(next) => change({ state: next ?? undefined })}
        />
        {task && (
          <Button variant="subtle" onClick={() => change({ task: undefined })}>
            Show all tasks
          </Button>
        )}
      </Group>
      <List
        label="Runs"
        columns={COLUMNS}
        id={(run) => run.id}
        list={list}
        sort={sort}
        onSort={(next) => change({ sort: next })}
        empty={
          state || task ? (
            <Text c="dimmed">No run fits the filters.</Text>
          ) : (
            <>
              <Text c="dimmed">Start a task, and its run appears here.</Text>
              <Button variant="light" component={Link} to="/tasks">
                Go to the tasks
              </Button>
            </>
          )
        }
      />
    </>
  );
}
