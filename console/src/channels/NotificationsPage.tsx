// Who is told about failures, recoveries and late runs, and what was told.

import { Anchor, Badge, Button, SegmentedControl, Text } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconClock, IconPlus, IconSend } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useList } from "../api/queries";
import type { Channel, Delivery } from "../api/types";
import { words } from "../parts/format";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Said } from "../parts/Said";
import { Time } from "../parts/Time";
import { TestDialog } from "../parts/Trial";
import { tells } from "./draft";
import { kindWord } from "./kinds";
import { tried } from "./tried";

const route = getRouteApi("/shell/notifications");

const CHANNELS: Column<Channel>[] = [
  { title: "Channel", sort: "name", cell: (channel) => <ChannelLink channel={channel} /> },
  { title: "Kind", cell: (channel) => kindWord(channel.kind) },
  { title: "Tells", cell: (channel) => tells(channel.rules) },
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

function ChannelLink({ channel }: { channel: Channel }) {
  return (
    <Anchor component={Link} to={`/notifications/${channel.id}`} size="sm" fw={500} className="name">
      {channel.name}
    </Anchor>
  );
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
          <Said text={channel.problem} />
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
          <Said text={delivery.problem} />
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
      <PageHead title="Notifications">
        <Button component={Link} to="/new-channel" leftSection={<IconPlus size={16} />}>
          Add a channel
        </Button>
      </PageHead>
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
  const [testing, setTesting] = useState<Channel | null>(null);
  const cache = useQueryClient();
  const tested = () => {
    setTesting(null);
    void cache.invalidateQueries({ queryKey: ["notifications/channels"] });
  };
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
              A channel tells people by mail, or a program by webhook, when a task fails, works again, or is late.
            </Text>
            <Button variant="light" component={Link} to="/new-channel" leftSection={<IconPlus size={16} />}>
              Add a channel
            </Button>
          </>
        }
        controls={(channel) => (
          <Button size="xs" variant="default" leftSection={<IconSend size={14} />} aria-label={`Test ${channel.name}`} onClick={() => setTesting(channel)}>
            Test
          </Button>
        )}
      />
      {testing && <TestDialog of={tried(testing)} onClose={tested} />}
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
