// One agent: where it runs, what it may do, what it works on.

import { Alert, Anchor, Code, CopyButton, Button, List, Paper, SimpleGrid, Skeleton, Stack, Text, Title } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { agentQuery, connectionsOfQuery, workOfQuery } from "../api/queries";
import type { Agent } from "../api/types";
import { Facts } from "../parts/Facts";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { AgentBadge, StateBadge } from "../parts/StateBadge";
import { Time } from "../parts/Time";
import { AgentControls } from "./AgentControls";
import { startCommands } from "./platforms";

const route = getRouteApi("/shell/agents/$id");

export function AgentPage() {
  const { id } = route.useParams();
  const { data: agent, error } = useQuery(agentQuery(id));
  if (!agent) {
    return error ? <Refused error={error} title="The agent cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  }
  return (
    <>
      <PageHead title={agent.name} badge={<AgentBadge agent={agent} />}>
        <AgentControls agent={agent} />
      </PageHead>
      <Stack>
        <WhyOffline agent={agent} />
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <Facts title="Detail" facts={detail(agent)} />
          <Facts title="Versions and connection" facts={connection(agent)} />
          <Work agent={agent} />
          <Connections agent={agent} />
        </SimpleGrid>
      </Stack>
    </>
  );
}

const yes = (value: boolean | undefined) => (value === undefined ? "-" : value ? "Yes" : "No");

function detail({ detail, address, machine_name }: Agent): [string, React.ReactNode][] {
  return [
    ["Can execute process", yes(detail?.can_execute_process)],
    ["Can write", yes(detail?.can_write)],
    ["Directory", detail?.directory ?? "-"],
    ["Executed by", detail ? [detail.user, `(${detail.executed_by})`].filter(Boolean).join(" ") : "-"],
    ["Is 64 bit process", yes(detail?.is_64_bit)],
    ["Machine name", machine_name ?? "-"],
    ["Process ID", detail?.process_id ?? "-"],
    ["Source IP", address ?? "-"],
  ];
}

function connection(agent: Agent): [string, React.ReactNode][] {
  const { detail, wrapper, clock_offset_ms: offset } = agent;
  return [
    ["Connected since", <Time at={agent.connected_since} />],
    ["Last seen", <Time at={agent.last_seen_at} none="Never" />],
    ["Agent version", detail?.agent_version ?? "-"],
    ["Wrapper", wrapper.version ? `${wrapper.version}, ${wrapper.status}` : wrapper.status],
    ["Last update", <Time at={agent.last_update} />],
    ["System", detail ? `${detail.os}, ${detail.architecture}` : "-"],
    ["Clock", offset === null || offset === undefined ? "-" : `${Math.abs(offset)} ms ${offset < 0 ? "behind" : "ahead of"} the server`],
    ["Logging", `File ${agent.levels.file}, console ${agent.levels.console}`],
  ];
}

function WhyOffline({ agent }: { agent: Agent }) {
  if (agent.status === "online") return null;
  if (!agent.active) return <Alert color="gray">It is deactivated and cannot log in. Reactivate it to use it again.</Alert>;
  if (!agent.last_seen_at) return <FirstStart agent={agent} />;
  const { last_exit: exit, wrapper } = agent;
  const wrapperSays = wrapper.status === "online" ? "Its wrapper is online and starts it again." : "Its wrapper is offline too: the machine is off, or cannot reach the server.";
  return (
    <Alert color="yellow" title={exit ? exit.text : "The agent is offline"}>
      {exit && (
        <>
          Seen <Time at={exit.at} />.{" "}
        </>
      )}
      {wrapperSays}
      {exit && exit.stderr.length > 0 && (
        <Code block mt="xs">
          {exit.stderr.join("\n")}
        </Code>
      )}
    </Alert>
  );
}

function FirstStart({ agent }: { agent: Agent }) {
  const commands = startCommands(agent.name, agent.platform);
  return (
    <Alert color="blue" title="It was never connected">
      <Text size="sm" mb="xs">
        Download it, bring the file to the machine that reaches the data, and start it there. This page shows when it comes online.
      </Text>
      <Code block mb="xs">
        {commands}
      </Code>
      <CopyButton value={commands}>
        {({ copied, copy }) => (
          <Button size="xs" variant="default" leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />} onClick={copy}>
            {copied ? "Copied" : "Copy the commands"}
          </Button>
        )}
      </CopyButton>
    </Alert>
  );
}

function Work({ agent }: { agent: Agent }) {
  const runs = useQuery(workOfQuery(agent)).data;
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        Runs here now
      </Title>
      {!runs && <Skeleton h={20} />}
      {runs?.length === 0 && (
        <Text size="sm" c="dimmed">
          It executes nothing now.
        </Text>
      )}
      <Stack gap="xs">
        {runs?.map((run) => (
          <Text size="sm" key={run.id} component="div">
            <Anchor component={Link} to={`/runs/${run.id}`} size="sm" mr="xs">
              {run.task}
            </Anchor>
            <StateBadge state={run.state} />
          </Text>
        ))}
      </Stack>
    </Paper>
  );
}

function Connections({ agent }: { agent: Agent }) {
  const connections = useQuery(connectionsOfQuery(agent.id)).data?.items;
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        Connections through it
      </Title>
      {!connections && <Skeleton h={20} />}
      {connections?.length === 0 && (
        <Text size="sm" c="dimmed">
          No connection uses this agent.
        </Text>
      )}
      <List size="sm" listStyleType="none">
        {connections?.map((connection) => (
          <List.Item key={connection.id}>
            <Anchor size="sm" renderRoot={(props) => <Link to="/connections" search={{ search: connection.name }} {...props} />}>
              {connection.name}
            </Anchor>{" "}
            ({connection.kind})
          </List.Item>
        ))}
      </List>
    </Paper>
  );
}
