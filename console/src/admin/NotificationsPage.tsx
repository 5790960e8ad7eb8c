// Who is told about failures, recoveries and late runs, and what was told.

import { ActionIcon, Anchor, Badge, Code, SegmentedControl, Text, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconClock, IconSend, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { path, send } from "../api/client";
import { useList } from "../api/queries";
import type { Channel, Delivery } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Time } from "../parts/Time";
import { failed, told } from "../parts/toast";

const route = getRouteApi("/shell/notifications");

const CHANNELS: Column<Channel>[] = [
  { title: "Channel", sort: "name", cell: (channel) => <span className="name">{channel.name}</span> },
  { title: "Kind", cell: (channel) => (channel.kind === "smtp" ? "Mail" : words(channel.kind)) },
  { title: "Tells", cell: (channel) => tells(channel) },
  { title: "State", cell: (channel) => <State channel={channel} /> },
  { title: "Last sent", cell: (channel) => <Time at={channel.last_sent_at} none="Never" /> },
];

const DELIVERIES: Column<Delivery>[] = [
  { title: "Told", cell: (delivery) => <Time at={delivery.created_at} /> },
  { title: "Channel", cell: (delivery) => <span className="name">{delivery.channel}</span> },
  { title: "Event", cell: (delivery) => words(delivery.event) },
  {
    title: "Task",
    cell: ({ run_id: run, task }) =>
      run ? (
        <Anchor component={Link} to={`/runs/${run}`} size="sm" className="name">
          {task ?? run}
        </Anchor>
      ) : (
        (task ?? "-")
      ),
  },
  { title: "State", cell: (delivery) => <DeliveryState delivery={delivery} /> },
];

/** In a few words, which events of which tasks. */
function tells(channel: Channel): string {
  if (channel.rules.length === 0) return "Every event of every task";
  return channel.rules.map((rule) => `${rule.events.length > 0 ? rule.events.join(", ") : "every event"} of ${rule.tasks.length > 0 ? rule.tasks.join(", ") : "every task"}`).join("; ");
}

function State({ channel }: { channel: Channel }) {
  if (!channel.active) {
    return (
      <Badge variant="light" tt="none" color="gray">
        Inactive
      </Badge>
    );
  }
  const Icon = channel.problem ? IconAlertTriangle : IconCheck;
  return (
    <>
      <Badge variant="light" tt="none" color={channel.problem ? "red" : "green"} leftSection={<Icon size={12} aria-hidden />}>
        {channel.problem ? "Does not work" : "Active"}
      </Badge>
      {channel.problem && (
        <Text size="xs" className="wraps" maw={280}>
          {channel.problem}
        </Text>
      )}
    </>
  );
}

const LOOKS: Record<string, [string, typeof IconCheck]> = { sent: ["green", IconCheck], failed: ["red", IconAlertTriangle] };

function DeliveryState({ delivery }: { delivery: Delivery }) {
  const [color, Icon] = LOOKS[delivery.state] ?? ["gray", IconClock];
  return (
    <>
      <Badge variant="light" tt="none" color={color} leftSection={<Icon size={12} aria-hidden />}>
        {words(delivery.state)}
      </Badge>
      {delivery.problem && (
        <Text size="xs" className="wraps" maw={320}>
          {delivery.problem}
        </Text>
      )}
    </>
  );
}

export function NotificationsPage() {
  const { view = "channels" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageHead title="Notifications" />
      <SegmentedControl
        mb="sm"
        aria-label="Show"
        data={[
          { value: "channels", label: "Channels" },
          { value: "deliveries", label: "What was told" },
        ]}
        value={view}
        onChange={(next) => void navigate({ search: { view: next === "channels" ? undefined : next }, replace: true })}
      />
      {view === "deliveries" ? <Deliveries /> : <Channels />}
    </>
  );
}

function Channels() {
  const [sort, setSort] = useState("name");
  const list = useList<Channel>("notifications/channels", { sort });
  const [removing, setRemoving] = useState<Channel | null>(null);
  const cache = useQueryClient();
  const refresh = () => cache.invalidateQueries({ queryKey: ["notifications/channels"] });
  const test = useMutation({
    mutationFn: (channel: Channel) => send(path`/notifications/channels/${channel.id}/test`, { method: "POST" }),
    onSuccess: (_, channel) => told(`Channel ${channel.name} has taken a test notice`),
    onError: (error, channel) => failed(`Channel ${channel.name} does not work`, error),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: (channel: Channel) => send(path`/notifications/channels/${channel.id}`, { method: "DELETE" }),
    onSuccess: (_, channel) => {
      told(`Channel ${channel.name} is removed`);
      setRemoving(null);
    },
    onSettled: refresh,
  });
  return (
    <>
      <List
        label="Channels"
        columns={CHANNELS}
        id={(channel) => channel.id}
        list={list}
        sort={sort}
        onSort={setSort}
        empty={
          <>
            <Text c="dimmed" ta="center">
              A channel tells people by mail, or a program by webhook, when a task fails, works again, or is late. It is made from a document on the
              command line:
            </Text>
            <Code>sallyport notifications apply -f ops.yaml</Code>
          </>
        }
        controls={(channel) => (
          <>
            <Tooltip label="Send a test notice">
              <ActionIcon variant="subtle" color="gray" aria-label={`Test ${channel.name}`} loading={test.isPending && test.variables.id === channel.id} onClick={() => test.mutate(channel)}>
                <IconSend size={18} />
              </ActionIcon>
            </Tooltip>
            <Tooltip label="Remove">
              <ActionIcon variant="subtle" color="red" aria-label={`Remove ${channel.name}`} onClick={() => setRemoving(channel)}>
                <IconTrash size={18} />
              </ActionIcon>
            </Tooltip>
          </>
        )}
      />
      {removing && (
        <ConfirmDialog
          title={`Remove channel ${removing.name}?`}
          means="Nobody is told through it any more, and what waits for it is not sent."
          verb="Remove"
          action={remove}
          on={removing}
          onClose={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function Deliveries() {
  const list = useList<Delivery>("notifications/deliveries", {});
  return (
    <List
      label="Deliveries"
      columns={DELIVERIES}
      id={(delivery) => delivery.id}
      list={list}
      sort=""
      onSort={() => {}}
      empty={<Text c="dimmed">Nothing was told yet.</Text>}
    />
  );
}
