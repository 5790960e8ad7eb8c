// What tasks can read and write.

import { Badge, Group, Paper, SimpleGrid, Skeleton, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { get } from "../api/client";
import type { Connector, Page } from "../api/types";
import { FactList, type Fact } from "../parts/Facts";
import { sentence, words } from "../parts/format";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Said } from "../parts/Said";
import { SearchField } from "../parts/SearchField";

const route = getRouteApi("/shell/connectors");

export function ConnectorsPage() {
  const { search } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error } = useQuery({ queryKey: ["connectors"], queryFn: ({ signal }) => get<Page<Connector>>("/connectors", { signal }), staleTime: 60_000 });
  const wanted = (search ?? "").toLowerCase();
  const shown = data?.items.filter((one) => `${one.title} ${one.kind} ${one.summary}`.toLowerCase().includes(wanted));
  return (
    <>
      <PageHead title="Connectors" />
      <Group mb="sm">
        <SearchField label="Search connectors" value={search} onChange={(next) => void navigate({ search: { search: next }, replace: true })} />
      </Group>
      {!shown && (error ? <Refused error={error} title="The connectors cannot be shown" /> : <Skeleton h={240} aria-label="Loading" />)}
      {shown?.length === 0 && <Text c="dimmed">Nothing to show: no connector fits the search.</Text>}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {shown?.map((connector) => (
          <Card key={connector.kind} connector={connector} />
        ))}
      </SimpleGrid>
    </>
  );
}

function Card({ connector }: { connector: Connector }) {
  const can = [connector.read_schema && "reads", connector.write_schema && "writes"].filter(Boolean).join(" and ");
  const facts: Fact[] = [
    ["In tasks", connector.needs_connection ? `By a connection of kind ${connector.kind}` : <code>connector: {connector.kind}</code>],
    ["Can", can ? sentence(can) : "-"],
    ["Reaches", REACH[connector.reach] ?? words(connector.reach)],
    ["Delivery", connector.promise ? <Said text={connector.promise} /> : "-"],
    ["Secrets", connector.secrets?.join(", ") || "None"],
  ];
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb={4}>
        <Title order={2} size="h5">
          {connector.title}
        </Title>
        <Badge variant="light" color={connector.origin === "built_in" ? "blue" : "grape"} tt="none">
          {connector.origin === "built_in" ? "Built-in" : "Third-party"}
        </Badge>
      </Group>
      <Text size="sm" mb="xs">
        {connector.summary}
      </Text>
      <FactList facts={facts} />
    </Paper>
  );
}

const REACH: Record<string, string> = {
  nothing: "Nothing but its input and output",
  files: "Files below the agent's folder",
  network: "Other hosts",
  programs: "Whatever the program it starts reaches",
};
