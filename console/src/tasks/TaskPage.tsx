// One task: its document, checked while it is written, saved as a new version.

import { Alert, Anchor, Badge, Button, Group, List, Paper, Skeleton, Stack, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconCheck, IconDeviceFloppy, IconHistory, IconPlayerPlay } from "@tabler/icons-react";
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { ApiError, get, path } from "../api/client";
import { taskQuery } from "../api/queries";
import type { Task, Validation } from "../api/types";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";
import { StartDialog } from "./StartDialog";
import { TEMPLATE } from "./template";
import { YamlEditor } from "./YamlEditor";

const route = getRouteApi("/shell/tasks/$id");

export function TaskPage() {
  const { id } = route.useParams();
  const { data: task, error } = useQuery(taskQuery(id));
  const [starting, setStarting] = useState(false);
  if (!task) return error ? <Refused error={error} title="The task cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  const { summary } = task;
  return (
    <>
      <PageHead title={summary.name} badge={!summary.active && <Badge color="gray" variant="light" tt="none">Inactive</Badge>}>
        <Button variant="default" renderRoot={(props) => <Link to="/runs" search={{ task: summary.id }} {...props} />} leftSection={<IconHistory size={16} />}>
          Runs
        </Button>
        <Button leftSection={<IconPlayerPlay size={16} />} disabled={!summary.active} onClick={() => setStarting(true)}>
          Start
        </Button>
      </PageHead>
      <Text size="sm" c="dimmed" mb="sm">
        Version {summary.version}, saved <Time at={summary.updated_at} /> by {summary.author}
      </Text>
      <Editor key={summary.id} task={task} />
      {starting && <StartDialog id={summary.id} onClose={() => setStarting(false)} />}
    </>
  );
}

export function NewTaskPage() {
  return (
    <>
      <PageHead title="New task" />
      <Editor />
    </>
  );
}

/** How long typing pauses before the server is asked. */
const PAUSE_MS = 400;

function Editor({ task }: { task?: Task }) {
  // The version that is edited; a newer one of somebody else must not be overwritten unseen.
  const [base, setBase] = useState({ document: task?.document ?? TEMPLATE, version: task?.summary.version });
  const [text, setText] = useState(base.document);
  const [checked] = useDebouncedValue(text, PAUSE_MS);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const changed = task === undefined || text !== base.document;
  const saved = useRef(false);
  const check = useQuery({
    queryKey: ["validate", task?.summary.id, checked],
    queryFn: ({ signal }) => get<Validation>("/tasks/validate", { method: "POST", text: checked, signal }),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
  const save = useMutation({
    mutationFn: () => {
      if (!task || base.version === undefined) return get<Task>("/tasks", { method: "POST", text });
      return get<Task>(path`/tasks/${task.summary.id}`, { method: "PUT", text, version: base.version });
    },
    onSuccess: (next) => {
      told(task ? `Saved as version ${next.summary.version}` : `Task ${next.summary.name} is added`);
      cache.setQueryData(taskQuery(next.summary.id).queryKey, next);
      void cache.invalidateQueries({ queryKey: ["tasks", "list"] });
      saved.current = true;
      if (!task) void navigate({ to: `/tasks/${next.summary.id}`, replace: true });
      else setBase((now) => ({ ...now, version: next.summary.version }));
      setBaseText(next);
    },
  });
  const setBaseText = (next: Task) => {
    setText(next.document);
    setBase({ document: next.document, version: next.summary.version });
  };
  const unsaved = text !== base.document;
  useBlocker({
    shouldBlockFn: () => unsaved && !saved.current && !window.confirm("Leave without saving what you have written?"),
    enableBeforeUnload: unsaved,
  });
  const take = async () => {
    if (!task) return;
    const newest = await cache.fetchQuery(taskQuery(task.summary.id));
    save.reset();
    setBaseText(newest);
  };
  const overtaken = save.error instanceof ApiError && save.error.code === "changed_meanwhile";
  return (
    <Stack>
      <Paper withBorder style={{ overflow: "hidden" }}>
        <YamlEditor
          key={`${base.version ?? "new"}`}
          label="Task document"
          initial={base.document}
          onChange={(next) => {
            saved.current = false;
            setText(next);
          }}
          onSave={() => changed && save.mutate()}
        />
      </Paper>
      <Findings check={check.data} error={check.error} />
      {overtaken ? (
        <Alert color="orange" title="Somebody else has saved this task meanwhile">
          <Group justify="space-between">
            <Text size="sm">Copy what you want to keep, then load the newest version.</Text>
            <Button size="xs" variant="default" onClick={() => void take()}>
              Load the newest version
            </Button>
          </Group>
        </Alert>
      ) : (
        <Refused error={save.error} title="Not saved" />
      )}
      <Group>
        <Button leftSection={<IconDeviceFloppy size={16} />} loading={save.isPending} disabled={!changed} onClick={() => save.mutate()}>
          {task ? "Save as a new version" : "Add the task"}
        </Button>
        <Anchor href="/api/v1/task-schema" target="_blank" rel="noreferrer" size="sm">
          What a task may say (JSON Schema)
        </Anchor>
      </Group>
    </Stack>
  );
}

function Findings({ check, error }: { check: Validation | undefined; error: unknown }) {
  if (error) return <Refused error={error} title="The document could not be checked" />;
  if (!check) return <Skeleton h={40} />;
  if (check.valid) {
    return (
      <Group gap={6} role="status">
        <IconCheck size={18} aria-hidden color="var(--mantine-color-green-text)" />
        <Text size="sm">The document is right.</Text>
      </Group>
    );
  }
  return (
    <Alert color="yellow" role="status" title={check.problems.length === 1 ? "One thing is not right" : `${check.problems.length} things are not right`}>
      <List size="sm">
        {check.problems.map((problem) => (
          <List.Item key={problem.path + problem.code + problem.message}>
            {problem.step ? <b>{problem.step}: </b> : null}
            {problem.message} <Text span size="xs" c="dimmed" ff="monospace">{problem.path}</Text>
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}
