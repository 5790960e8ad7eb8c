// What starts tasks by itself, and when next.

import { ActionIcon, Anchor, Badge, Text, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconBolt, IconLink, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { path, send } from "../api/client";
import { useList } from "../api/queries";
import type { Trigger } from "../api/types";
import { absolute, words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Said } from "../parts/Said";
import { Time } from "../parts/Time";
import { failed, told } from "../parts/toast";
import { useZone } from "../shell/settings";
import { WebhookDialog } from "./WebhookDialog";

const route = getRouteApi("/shell/triggers");

const COLUMNS: Column<Trigger>[] = [
  {
    title: "Task",
    sort: "task",
    cell: (trigger) => (
      <Anchor component={Link} to={`/tasks/${trigger.task_id}`} size="sm" fw={500} className="name">
        {trigger.task}
      </Anchor>
    ),
  },
  { title: "Trigger", sort: "name", cell: (trigger) => <span className="name">{trigger.name}</span> },
  { title: "Starts it", cell: (trigger) => <span className="wraps">{starts(trigger)}</span> },
  { title: "State", cell: (trigger) => <State trigger={trigger} /> },
  { title: "Next", sort: "due_at", cell: (trigger) => <Next trigger={trigger} /> },
  {
    title: "Last",
    cell: (trigger) =>
      trigger.last_run_id ? (
        <Anchor component={Link} to={`/runs/${trigger.last_run_id}`} size="sm">
          <Time at={trigger.last_fired_at} none="run" />
        </Anchor>
      ) : (
        <Time at={trigger.last_fired_at} none="Never" />
      ),
  },
];

/** What it waits for, in a few words. */
function starts({ kind, definition }: Trigger): string {
  const said = definition as Record<string, unknown>;
  switch (kind) {
    case "cron":
      return `${String(said["cron"])}, ${String(said["zone"] ?? "UTC")}`;
    case "every":
      return `Every ${String(said["every"])}`;
    case "at":
      return "Once";
    case "after":
      return `After ${String(said["after"])}${said["when"] && said["when"] !== "success" ? `, on ${String(said["when"])}` : ""}`;
    default:
      return words(kind);
  }
}

function State({ trigger }: { trigger: Trigger }) {
  if (trigger.problem) {
    return (
      <>
        <Badge variant="light" tt="none" color="red" leftSection={<IconAlertTriangle size={12} aria-hidden />}>
          Cannot start
        </Badge>
        <Text size="xs" className="wraps" maw={260}>
          <Said text={trigger.problem} />
        </Text>
      </>
    );
  }
  if (!trigger.active) return <Plain color="gray">Inactive</Plain>;
  if (trigger.kind === "webhook" && !trigger.has_token) return <Plain color="yellow">No address yet</Plain>;
  if (!trigger.paused) return <Plain color="green">Active</Plain>;
  return (
    <>
      <Plain color="yellow">Paused</Plain>
      <Text size="xs" c="dimmed">
        {trigger.paused_until ? <>until <Time at={trigger.paused_until} /></> : "until it is resumed"}
      </Text>
    </>
  );
}

function Plain({ color, children }: { color: string; children: string }) {
  const Icon = children === "Active" ? IconPlayerPlay : IconPlayerPause;
  return (
    <Badge variant="light" tt="none" color={color} leftSection={<Icon size={12} aria-hidden />}>
      {children}
    </Badge>
  );
}

/** The next time, with the four after it on hover. */
function Next({ trigger }: { trigger: Trigger }) {
  const [zone] = useZone();
  const [first] = trigger.next;
  if (!first) return <>-</>;
  return (
    <Tooltip multiline label={trigger.next.map((at) => <div key={at}>{absolute(new Date(at), zone)}</div>)}>
      <Text size="sm" component="time" dateTime={first} tabIndex={0}>
        {absolute(new Date(first), zone).replace(` ${zone}`, "")}
      </Text>
    </Tooltip>
  );
}

export function TriggersPage() {
  const { sort = "task" } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useList<Trigger>("triggers", { sort });
  return (
    <>
      <PageHead title="Triggers" />
      <List
        label="Triggers"
        columns={COLUMNS}
        id={(trigger) => `${trigger.task_id} ${trigger.name}`}
        list={list}
        sort={sort}
        onSort={(next) => void navigate({ search: { sort: next }, replace: true })}
        empty={
          <Text c="dimmed" ta="center">
            A task starts by itself when its document has triggers: a schedule, a webhook, or the end of another task.
          </Text>
        }
        controls={(trigger) => <Controls trigger={trigger} />}
      />
    </>
  );
}

function Controls({ trigger }: { trigger: Trigger }) {
  const [addressing, setAddressing] = useState(false);
  const cache = useQueryClient();
  const act = (verb: string, done: string) => ({
    mutationFn: () => send(path`/tasks/${trigger.task_id}/triggers/${trigger.name}/${verb}`, { method: "POST", json: {} }),
    onSuccess: () => told(done),
    onError: (error: Error) => failed(`Trigger ${trigger.name}: refused`, error),
    onSettled: () => cache.invalidateQueries({ queryKey: ["triggers"] }),
  });
  const pause = useMutation(act("pause", `Trigger ${trigger.name} is paused until it is resumed`));
  const resume = useMutation(act("resume", `Trigger ${trigger.name} goes on`));
  const fire = useMutation(act("fire", `${trigger.task} is started`));
  return (
    <>
      {trigger.kind === "webhook" && (
        <Tooltip label="Address">
          <ActionIcon variant="subtle" color="gray" aria-label={`Address of ${trigger.name}`} onClick={() => setAddressing(true)}>
            <IconLink size={18} />
          </ActionIcon>
        </Tooltip>
      )}
      <Tooltip label="Start now">
        <ActionIcon variant="subtle" color="gray" aria-label={`Start ${trigger.task} by ${trigger.name} now`} disabled={!trigger.active} loading={fire.isPending} onClick={() => fire.mutate()}>
          <IconBolt size={18} />
        </ActionIcon>
      </Tooltip>
      {trigger.paused ? (
        <Tooltip label="Resume">
          <ActionIcon variant="subtle" color="gray" aria-label={`Resume ${trigger.name}`} loading={resume.isPending} onClick={() => resume.mutate()}>
            <IconPlayerPlay size={18} />
          </ActionIcon>
        </Tooltip>
      ) : (
        <Tooltip label="Pause">
          <ActionIcon variant="subtle" color="gray" aria-label={`Pause ${trigger.name}`} loading={pause.isPending} onClick={() => pause.mutate()}>
            <IconPlayerPause size={18} />
          </ActionIcon>
        </Tooltip>
      )}
      {addressing && <WebhookDialog trigger={trigger} onClose={() => setAddressing(false)} />}
    </>
  );
}
