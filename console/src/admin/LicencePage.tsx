// What the company has bought, how much of it is in use, and who was turned away.

import { Alert, Anchor, Paper, Progress, SimpleGrid, Skeleton, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { licenceQuery } from "../api/queries";
import type { Licence } from "../api/types";
import { count, words } from "../parts/format";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Time } from "../parts/Time";

const TIERS = [
  { tier: "trial", agents: "1" },
  { tier: "standard", agents: "3" },
  { tier: "premium", agents: "No limit" },
  { tier: "enterprise", agents: "No limit" },
];

export function LicencePage() {
  const { data: licence, error } = useQuery(licenceQuery);
  return (
    <>
      <PageHead title="Licenses" />
      {!licence && (error ? <Refused error={error} title="The licence cannot be shown" /> : <Skeleton h={200} aria-label="Loading" />)}
      {licence && (
        <Stack>
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Usage licence={licence} />
            <Tiers licence={licence} />
          </SimpleGrid>
          <TurnedAway licence={licence} />
        </Stack>
      )}
    </>
  );
}

function Usage({ licence }: { licence: Licence }) {
  const { agents_max: most, agents_online: online } = licence;
  const full = most != null && online >= most;
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        In use
      </Title>
      <Text size="xl" fw={700}>
        {words(licence.tier)}
      </Text>
      <Text size="sm" mb="xs">
        {most == null ? `${count(online)} remote agents online, no limit` : `${count(online)} of ${count(most)} remote agents online in parallel`}
      </Text>
      {most != null && <Progress value={(100 * online) / most} color={full ? "orange" : "green"} aria-label={`${online} of ${most} in use`} />}
      {full && (
        <Text size="sm" mt="xs">
          One more remote agent would be turned away.
        </Text>
      )}
    </Paper>
  );
}

function Tiers({ licence }: { licence: Licence }) {
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        Tiers
      </Title>
      <Table aria-label="Tiers" verticalSpacing={4}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Tier</Table.Th>
            <Table.Th ta="right">Remote agents in parallel</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {TIERS.map(({ tier, agents }) => (
            <Table.Tr key={tier} fw={tier === licence.tier ? 700 : undefined} aria-current={tier === licence.tier ? "true" : undefined}>
              <Table.Td>
                {words(tier)}
                {tier === licence.tier ? " (yours)" : ""}
              </Table.Td>
              <Table.Td ta="right">{agents}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="sm" c="dimmed" mt="sm">
        The operator of the server sets the licence.
      </Text>
    </Paper>
  );
}

function TurnedAway({ licence }: { licence: Licence }) {
  if (licence.refused === 0) {
    return <Alert color="gray">No agent was turned away because of the licence.</Alert>;
  }
  return (
    <Paper withBorder component="section">
      <Title order={2} size="h5" p="md" pb={0}>
        Refused attempts: {count(licence.refused)}
      </Title>
      <Table.ScrollContainer minWidth={640} scrollAreaProps={{ viewportProps: { tabIndex: 0, role: "region", "aria-label": "Refused attempts" } }}>
        <Table aria-label="Refused attempts" verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Agent</Table.Th>
              <Table.Th ta="right">Attempts</Table.Th>
              <Table.Th>Last one</Table.Th>
              <Table.Th>From</Table.Th>
              <Table.Th>It was told</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {licence.refused_agents.map((agent) => (
              <Table.Tr key={agent.agent_id}>
                <Table.Td>
                  <Anchor component={Link} to={`/agents/${agent.agent_id}`} size="sm" className="name">
                    {agent.agent}
                  </Anchor>
                </Table.Td>
                <Table.Td ta="right">{count(agent.count)}</Table.Td>
                <Table.Td>
                  <Time at={agent.last_at} />
                </Table.Td>
                <Table.Td>{agent.address ?? "-"}</Table.Td>
                <Table.Td>{agent.message}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}
