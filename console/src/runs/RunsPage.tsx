// The runs of an environment.

import { Anchor, Button, Group, Select, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { agentQuery, taskQuery, useList } from "../api/queries";
import type { Run } from "../api/types";
import { duration, words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Said } from "../parts/Said";
import { SavedViews } from "../parts/SavedViews";
import { SearchField } from "../parts/SearchField";
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

const TRIGGERS = ["person", "api", "schedule", "webhook", "task"];

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
        {run.reason ? <Said text={run.reason} /> : "-"}
      </Text>
    ),
  },
  { title: "Asked for", sort: "queued_at", cell: (run) => <Time at={run.queued_at} /> },
  { title: "Took", right: true, cell: (run) => (run.duration_ms == null ? "-" : duration(run.duration_ms)) },
  { title: "Started by", cell: (run) => (run.trigger === "person" ? run.who : words(run.trigger_name ?? run.trigger)) },
];

export function RunsPage() {
  const { task, state, trigger, agent, search, sort = "-queued_at" } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useList<Run>("runs", { task, state: state === "open" ? undefined : state, open: state === "open" ? true : undefined, trigger, agent, search, sort }, 2000);
  const named = useQuery({ ...taskQuery(task ?? ""), enabled: task !== undefined }).data?.summary.name;
  const on = useQuery({ ...agentQuery(agent ?? ""), enabled: agent !== undefined }).data?.name;
  const change = (next: Partial<Record<"task" | "state" | "trigger" | "agent" | "search" | "sort", string | undefined>>) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title={["Runs", named && `of ${named}`, on && `on ${on}`].filter(Boolean).join(" ")}>
        <SavedViews list="runs" />
      </PageHead>
      <Group mb="sm" gap="sm">
        <SearchField label="Search by task" value={search} onChange={(next) => change({ search: next })} />
        <Select
          w={{ base: "calc(50% - 6px)", xs: 200 }}
          aria-label="State"
          placeholder="Every state"
          clearable
          data={[{ value: "open", label: "Not ended" }, ...STATES.map((value) => ({ value, label: words(value) }))]}
          value={state ?? null}
          onChange={(next) => change({ state: next ?? undefined })}
        />
        <Select
          w={{ base: "calc(50% - 6px)", xs: 170 }}
          aria-label="Started by"
          placeholder="Every start"
          clearable
          data={TRIGGERS.map((value) => ({ value, label: value === "task" ? "Another task" : value === "api" ? "API" : words(value) }))}
          value={trigger ?? null}
          onChange={(next) => change({ trigger: next ?? undefined })}
        />
        {task && (
          <Button variant="subtle" onClick={() => change({ task: undefined })}>
            Show all tasks
          </Button>
        )}
        {agent && (
          <Button variant="subtle" onClick={() => change({ agent: undefined })}>
            Show all agents
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
          state || task || trigger || agent || search ? (
            <>
              <Text c="dimmed">No run fits the search and the filters.</Text>
              <Button variant="light" onClick={() => void navigate({ search: {}, replace: true })}>
                Show all
              </Button>
            </>
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
