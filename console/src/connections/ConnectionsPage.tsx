// The connections of an environment, each tested from its agent.

import { Anchor, Button, Group, Text } from "@mantine/core";
import { IconPlugConnected, IconPlus } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useList } from "../api/queries";
import type { Connection } from "../api/types";
import { ConnectorIcon } from "../parts/ConnectorIcon";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { SearchField } from "../parts/SearchField";
import { Time } from "../parts/Time";
import { TestDialog } from "../parts/Trial";
import { tried } from "./tried";

const route = getRouteApi("/shell/connections");

const COLUMNS: Column<Connection>[] = [
  {
    title: "Name",
    sort: "name",
    cell: (connection) => (
      <Anchor component={Link} to={`/connections/${connection.id}`} size="sm" fw={500} className="name">
        {connection.name}
      </Anchor>
    ),
  },
  {
    title: "Connector",
    sort: "kind",
    cell: (connection) => (
      <Group gap={6} wrap="nowrap">
        <ConnectorIcon kind={connection.kind} />
        {connection.kind}
      </Group>
    ),
  },
  {
    title: "Agent",
    sort: "agent",
    cell: (connection) => (
      <Anchor component={Link} to={`/agents/${connection.agent_id}`} size="sm">
        {connection.agents.join(", ")}
      </Anchor>
    ),
  },
  { title: "Secrets", cell: (connection) => Object.keys(connection.secrets).join(", ") || "None" },
  { title: "Changed", sort: "updated_at", cell: (connection) => <Time at={connection.updated_at} /> },
];

export function ConnectionsPage() {
  const { search, sort = "name" } = route.useSearch();
  const navigate = route.useNavigate();
  const [testing, setTesting] = useState<Connection | null>(null);
  const list = useList<Connection>("connections", { search, sort }, 10_000);
  const change = (next: { search?: string | undefined; sort?: string }) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
  return (
    <>
      <PageHead title="Connections">
        <Button component={Link} to="/new-connection" leftSection={<IconPlus size={16} />}>
          Add
        </Button>
      </PageHead>
      <SearchField label="Search by name" value={search} onChange={(next) => change({ search: next })} />
      <div style={{ height: "var(--mantine-spacing-sm)" }} />
      <List
        label="Connections"
        columns={COLUMNS}
        id={(connection) => connection.id}
        list={list}
        sort={sort}
        onSort={(next) => change({ sort: next })}
        controls={(connection) => (
          <Button size="xs" variant="default" leftSection={<IconPlugConnected size={14} />} aria-label={`Test ${connection.name}`} onClick={() => setTesting(connection)}>
            Test
          </Button>
        )}
        empty={
          search ? (
            <Text c="dimmed">No connection fits the search.</Text>
          ) : (
            <>
              <Text c="dimmed">A connection says how an agent reaches a database or a folder.</Text>
              <Button variant="light" component={Link} to="/new-connection" leftSection={<IconPlus size={16} />}>
                Add a connection
              </Button>
            </>
          )
        }
      />
      {testing && <TestDialog of={tried(testing)} onClose={() => setTesting(null)} />}
    </>
  );
}
