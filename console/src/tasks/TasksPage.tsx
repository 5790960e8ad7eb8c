// The tasks of an environment.

import { ActionIcon, Anchor, Badge, Button, Group, Text, Tooltip } from "@mantine/core";
import { IconHistory, IconPlayerPlay, IconPlus } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useList } from "../api/queries";
import type { TaskSummary } from "../api/types";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { SearchField } from "../parts/SearchField";
import { Time } from "../parts/Time";
import { StartDialog } from "./StartDialog";

const route = getRouteApi("/shell/tasks");

const COLUMNS: Column<TaskSummary>[] = [
  {
    title: "Name",
    sort: "name",
    cell: (task) => (
      <>
        <Anchor component={Link} to={`/tasks/${task.id}`} fw={500} size="sm" className="name">
          {task.name}
        </Anchor>
        {!task.active && (
          <Badge ml="xs" color="gray" variant="light" tt="none">
            Inactive
          </Badge>
        )}
        {task.description && (
          <Text size="xs" c="dimmed" lineClamp={1}>
            {task.description}
          </Text>
        )}
      </>
    ),
  },
  { title: "Steps", right: true, cell: (task) => task.steps },
  { title: "Version", right: true, cell: (task) => task.version },
  { title: "Changed", sort: "updated_at", cell: (task) => <Time at={task.updated_at} /> },
  { title: "By", cell: (task) => task.author },
];

export function TasksPage() {
  const { inactive, search, sort = "name" } = route.useSearch();
  const navigate = route.useNavigate();
  const [starting, setStarting] = useState<string | null>(null);
  const list = useList<TaskSummary>("tasks", { active: !inactive, search, sort }, 10_000);
  const change = (next: { inactive?: true | undefined; search?: string | undefined; sort?: string }) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title={inactive ? "Inactive tasks" : "Tasks"}>
        <Button component={Link} to="/new-task" leftSection={<IconPlus size={16} />}>
          Add
        </Button>
      </PageHead>
      <Group mb="sm" gap="sm">
        <SearchField label="Search by name" value={search} onChange={(next) => change({ search: next })} />
        <Button variant="subtle" onClick={() => change({ inactive: inactive ? undefined : true })}>
          {inactive ? "Show active" : "Show inactive"}
        </Button>
      </Group>
      <List
        label="Tasks"
        columns={COLUMNS}
        id={(task) => task.id}
        list={list}
        sort={sort}
        onSort={(next) => change({ sort: next })}
        controls={(task) => (
          <>
            <Tooltip label="Start">
              <ActionIcon variant="subtle" color="gray" disabled={!task.active} aria-label={`Start ${task.name}`} onClick={() => setStarting(task.id)}>
                <IconPlayerPlay size={18} />
              </ActionIcon>
            </Tooltip>
            <Tooltip label="Runs">
              <ActionIcon variant="subtle" color="gray" renderRoot={(props) => <Link to="/runs" search={{ task: task.id }} {...props} />} aria-label={`Runs of ${task.name}`}>
                <IconHistory size={18} />
              </ActionIcon>
            </Tooltip>
          </>
        )}
        empty={
          search || inactive ? (
            <Text c="dimmed">{inactive ? "No task is inactive." : "No task fits the search."}</Text>
          ) : (
            <>
              <Text c="dimmed">A task says which data goes where. Write the first one.</Text>
              <Button variant="light" component={Link} to="/new-task" leftSection={<IconPlus size={16} />}>
                Add a task
              </Button>
            </>
          )
        }
      />
      {starting && <StartDialog id={starting} onClose={() => setStarting(null)} />}
    </>
  );
}
