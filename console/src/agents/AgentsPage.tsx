// The agents of an environment.

import { Anchor, Button, Group, SegmentedControl, Text, Tooltip } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { licenceQuery, useList } from "../api/queries";
import type { Agent } from "../api/types";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { SavedViews } from "../parts/SavedViews";
import { SearchField } from "../parts/SearchField";
import { AgentBadge } from "../parts/StateBadge";
import { Time } from "../parts/Time";
import { useLive } from "../shell/live";
import { AgentControls } from "./AgentControls";
import { AgentDialog } from "./AgentDialog";
import { BulkBar } from "./BulkBar";
import { standing } from "./standing";

const route = getRouteApi("/shell/agents");

const COLUMNS: Column<Agent>[] = [
  {
    title: "Name",
    sort: "name",
    cell: (agent) => (
      <Anchor component={Link} to={`/agents/${agent.id}`} fw={500} size="sm" className="name">
        {agent.name}
      </Anchor>
    ),
  },
  { title: "Status", sort: "status", cell: (agent) => <Status agent={agent} /> },
  { title: "Connected since", sort: "connected_since", cell: (agent) => <Time at={agent.connected_since} /> },
  { title: "Machine name", sort: "machine_name", cell: (agent) => agent.machine_name ?? "-" },
  { title: "IP address", sort: "address", cell: (agent) => agent.address ?? "-" },
  { title: "Last update", sort: "last_update", cell: (agent) => <Time at={agent.last_update} /> },
  {
    title: "Logging",
    cell: ({ levels }) => (levels.file === levels.console ? levels.file : `${levels.file}, console ${levels.console}`),
  },
];

/** The badge, and below it why the agent is offline, or what is done to it. */
function Status({ agent }: { agent: Agent }) {
  const licence = useQuery(licenceQuery).data;
  const { interrupted } = useLive();
  const { word, why } = standing(agent, licence);
  return (
    <>
      <AgentBadge agent={agent} />
      {agent.active && word !== "Online" && !interrupted && (
        <Tooltip label={why} multiline maw={320}>
          <Text size="xs" c="dimmed" tabIndex={0} w="max-content">
            {word}
          </Text>
        </Tooltip>
      )}
    </>
  );
}

export function AgentsPage() {
  const { status, inactive, search, sort = "name" } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const list = useList<Agent>("agents", { active: !inactive, status: inactive ? undefined : status, search, sort });
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const change = (next: { status?: string | undefined; inactive?: true | undefined; search?: string | undefined; sort?: string }) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title={inactive ? "Inactive agents" : "Agents"}>
        <SavedViews list="agents" />
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          Add
        </Button>
      </PageHead>
      <Group mb="sm" gap="sm">
        <SearchField label="Search by name" value={search} onChange={(next) => change({ search: next })} />
        {!inactive && (
          <SegmentedControl
            size="sm"
            aria-label="Status"
            data={[
              { value: "", label: "All" },
              { value: "online", label: "Online" },
              { value: "offline", label: "Offline" },
            ]}
            value={status ?? ""}
            onChange={(next) => change({ status: next || undefined })}
          />
        )}
        <Button variant="subtle" onClick={() => change({ inactive: inactive ? undefined : true })}>
          {inactive ? "Show active" : "Show inactive"}
        </Button>
      </Group>
      <BulkBar agents={list.rows.filter((agent) => picked.has(agent.id))} onClear={() => setPicked(new Set())} />
      <List
        label="Agents"
        columns={COLUMNS}
        id={(agent) => agent.id}
        list={list}
        sort={sort}
        onSort={(next) => change({ sort: next })}
        picked={{ ids: picked, onChange: setPicked, name: (agent) => agent.name }}
        controls={(agent) => <AgentControls agent={agent} />}
        empty={<Empty filtered={Boolean(search || status)} inactive={Boolean(inactive)} onAdd={() => setAdding(true)} onClear={() => change({ search: undefined, status: undefined })} />}
      />
      {adding && <AgentDialog onClose={() => setAdding(false)} />}
    </>
  );
}

interface EmptyProps {
  filtered: boolean;
  inactive: boolean;
  onAdd: () => void;
  onClear: () => void;
}

function Empty({ filtered, inactive, onAdd, onClear }: EmptyProps) {
  if (filtered) {
    return (
      <>
        <Text c="dimmed">No agent fits the search and the filters.</Text>
        <Button variant="light" onClick={onClear}>
          Show all
        </Button>
      </>
    );
  }
  if (inactive) return <Text c="dimmed">No agent is deactivated.</Text>;
  return (
    <>
      <Text c="dimmed">Add an agent, download it, and start it where the data is.</Text>
      <Button variant="light" leftSection={<IconPlus size={16} />} onClick={onAdd}>
        Add an agent
      </Button>
    </>
  );
}
