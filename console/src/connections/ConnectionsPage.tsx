// The connections of an environment, each tested from its agent.

import { Anchor, Button, Text } from "@mantine/core";
import { IconPlugConnected } from "@tabler/icons-react";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useList } from "../api/queries";
import type { Connection } from "../api/types";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { SearchField } from "../parts/SearchField";
import { Time } from "../parts/Time";
import { TestDialog } from "./TestDialog";

const route = getRouteApi("/shell/connections");

const COLUMNS: Column<Connection>[] = [
  { title: "Name", sort: "name", cell: (connection) => <Text size="sm" fw={500} className="name">{connection.name}</Text> },
  { title: "Connector", sort: "kind", cell: (connection) => connection.kind },
  {
    title: "Agent",
    sort: "agent",
    cell: (connection) => (
      <Anchor component={Link} to={`/agents/${connection.agent_id}`} size="sm">
        {connection.agent}
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
      <PageHead title="Connections" />
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
            <Text c="dimmed">
              Connections are added on a terminal: <code>sallyport connections apply connection.yaml</code>
            </Text>
          )
        }
      />
      {testing && <TestDialog connection={testing} onClose={() => setTesting(null)} />}
    </>
  );
}
