// What tasks can read and write.

import { Badge, Group, Paper, SimpleGrid, Skeleton, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { get } from "../api/client";
import type { Connector, Page } from "../api/types";
import { words } from "../parts/format";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
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
  const facts: [string, string][] = [
    ["In tasks", connector.needs_connection ? `connection of kind ${connector.kind}` : `connector: ${connector.kind}`],
    ["Can", can || "-"],
    ["Reaches", REACH[connector.reach] ?? words(connector.reach)],
    ["Delivery", connector.promise ?? "-"],
    ["Secrets", connector.secrets?.join(", ") || "none"],
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
      <Table verticalSpacing={4} withRowBorders={false} aria-label={connector.title}>
        <Table.Tbody>
          {facts.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th c="dimmed" fw={400} w={100} pl={0} scope="row">
                {name}
              </Table.Th>
              <Table.Td className="wraps">{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Paper>
  );
}

const REACH: Record<string, string> = {
  nothing: "nothing but its input and output",
  files: "files below the agent's folder",
  network: "other hosts",
  programs: "whatever the program it starts reaches",
};
