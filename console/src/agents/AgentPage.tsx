// One agent: where it runs, what it may do, what it works on.

import { Alert, Anchor, Code, Paper, SimpleGrid, Skeleton, Stack, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { agentQuery, connectionsOfQuery, latelyOnQuery, licenceQuery, stepsOn, usesQuery, workOfQuery } from "../api/queries";
import type { Agent, Run } from "../api/types";
import { Facts, type Fact } from "../parts/Facts";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Said } from "../parts/Said";
import { Words } from "../parts/schema/Words";
import { AgentBadge, StateBadge } from "../parts/StateBadge";
import { Time } from "../parts/Time";
import { AgentControls } from "./AgentControls";
import { Commands } from "./Commands";
import { Crashes } from "./health/Crashes";
import { Doctor } from "./health/Doctor";
import { Liveness } from "./health/Liveness";
import { History } from "./History";
import { standing } from "./standing";
import { Update } from "./Update";

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
      <WhyOffline agent={agent} />
      {agent.kind === "remote" ? <Parts agent={agent} /> : <Overview agent={agent} />}
    </>
  );
}

function Parts({ agent }: { agent: Agent }) {
  const { tab = "overview" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <Tabs value={tab} keepMounted={false} onChange={(next) => void navigate({ search: { tab: next && next !== "overview" ? next : undefined }, replace: true })}>
      <Tabs.List mb="md">
        <Tabs.Tab value="overview">Overview</Tabs.Tab>
        <Tabs.Tab value="doctor">Doctor</Tabs.Tab>
        <Tabs.Tab value="crashes">Crash reports</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="overview">
        <Overview agent={agent} />
      </Tabs.Panel>
      <Tabs.Panel value="doctor">
        <Doctor agent={agent} />
      </Tabs.Panel>
      <Tabs.Panel value="crashes">
        <Crashes agent={agent} />
      </Tabs.Panel>
    </Tabs>
  );
}

function Overview({ agent }: { agent: Agent }) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Stack>
        <Facts title="Detail" facts={detail(agent)} />
        {agent.kind === "remote" && <Update agent={agent} />}
        <Uses agent={agent} />
        <Connections agent={agent} />
      </Stack>
      <Stack>
        <Facts title="Connection" facts={connection(agent)} />
        {agent.liveness && <Liveness liveness={agent.liveness} />}
        <History agent={agent} />
        <Work agent={agent} />
        <Lately agent={agent} />
      </Stack>
    </SimpleGrid>
  );
}

const yes = (value: boolean | undefined) => (value === undefined ? "-" : value ? "Yes" : "No");

function detail({ detail, address, machine_name }: Agent): Fact[] {
  return [
    ["Can execute process", yes(detail?.can_execute_process)],
    ["Can write", yes(detail?.can_write)],
    ["Directory", detail?.directory ?? "-"],
    ["Executed by", detail ? [detail.user, `(${detail.executed_by})`].filter(Boolean).join(" ") : "-"],
    ["Is 64 bit process", yes(detail?.is_64_bit)],
    ["Machine name", machine_name ?? "-"],
    ["Process ID", detail?.process_id ?? "-"],
    ["Site's policy", detail?.policy ?? "-"],
    ["Key", detail?.key ?? "-"],
    ["Source IP", address ?? "-"],
  ];
}

function connection(agent: Agent): Fact[] {
  const { detail, clock_offset_ms: offset } = agent;
  return [
    ["Connected since", <Time at={agent.connected_since} />],
    ["Last seen", <Time at={agent.last_seen_at} none="Never" />],
    ["System", detail ? `${detail.os}, ${detail.architecture}` : "-"],
    ["Clock", offset === null || offset === undefined ? "-" : `${Math.abs(offset)} ms ${offset < 0 ? "behind" : "ahead of"} the server`],
    ["Logging", `File ${agent.levels.file}, console ${agent.levels.console}`],
  ];
}

function WhyOffline({ agent }: { agent: Agent }) {
  const licence = useQuery(licenceQuery).data;
  const { word, why } = standing(agent, licence);
  if (agent.status === "online") return null;
  if (!agent.active) return <Alert mb="md" color="gray">{why} Reactivate it to use it again.</Alert>;
  if (word === "Never connected") return <FirstStart agent={agent} />;
  const { last_exit: exit } = agent;
  return (
    <Alert mb="md" color="yellow" title={word}>
      {agent.liveness?.cause_text ? <Said text={`${agent.liveness.cause_text}.`} /> : why} Last seen <Time at={agent.last_seen_at} none="never" />.
      {exit && word !== "Starting again" && (
        <>
          {" "}
          Its process ended <Time at={exit.at} />: <Words text={exit.text} />.
        </>
      )}
      {exit && exit.stderr.length > 0 && (
        <Code block mt="xs" tabIndex={0} role="region" aria-label="What it said last">
          {exit.stderr.join("\n")}
        </Code>
      )}
    </Alert>
  );
}

function FirstStart({ agent }: { agent: Agent }) {
  return (
    <Alert mb="md" color="blue" title="It was never connected">
      <Text size="sm" mb="xs">
        Download it, bring the file to the machine that reaches the data, and start it there. This page shows when it comes online.
      </Text>
      <Commands agent={agent} />
    </Alert>
  );
}

/** A part with rows, or a word where there are none. */
function Part<T>({ title, rows, none, children }: { title: string; rows: T[] | undefined; none: string; children: (row: T) => React.ReactNode }) {
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        {title}
      </Title>
      {!rows && <Skeleton h={20} />}
      {rows?.length === 0 && (
        <Text size="sm" c="dimmed">
          {none}
        </Text>
      )}
      <Stack gap="xs">{rows?.map(children)}</Stack>
    </Paper>
  );
}

function RunRow({ run, children }: { run: Run; children: React.ReactNode }) {
  return (
    <div className="entry">
      <Anchor component={Link} to={`/runs/${run.id}`} size="sm" className="wraps">
        {run.task}
      </Anchor>
      <StateBadge state={run.state} />
      <Text size="sm" c="dimmed" component="span">
        {children}
      </Text>
    </div>
  );
}

function Work({ agent }: { agent: Agent }) {
  return (
    <Part title="Runs here now" rows={useQuery(workOfQuery(agent)).data} none="It executes nothing now.">
      {(run) => (
        <RunRow key={run.id} run={run}>
          {stepsOn(run, agent.name).join(", ")}
        </RunRow>
      )}
    </Part>
  );
}

function Lately({ agent }: { agent: Agent }) {
  const runs = useQuery(latelyOnQuery(agent.id)).data?.items;
  return (
    <Part title="Runs here lately" rows={runs} none="No run of the last seven days had a step here.">
      {(run) => (
        <RunRow key={run.id} run={run}>
          <Time at={run.queued_at} />
        </RunRow>
      )}
    </Part>
  );
}

function Uses({ agent }: { agent: Agent }) {
  const uses = useQuery(usesQuery(agent.id)).data?.items;
  const tasks = uses && [...new Set(uses.map((use) => use.task))];
  return (
    <Part title="Tasks that use it" rows={tasks} none="No active step of an active task is served by it.">
      {(task) => (
        <Text size="sm" key={task}>
          <Anchor size="sm" renderRoot={(props) => <Link to="/tasks/$id" params={{ id: task }} {...props} />}>
            {task}
          </Anchor>
          : {uses?.filter((use) => use.task === task).map((use) => use.step).join(", ")}
        </Text>
      )}
    </Part>
  );
}

function Connections({ agent }: { agent: Agent }) {
  const connections = useQuery(connectionsOfQuery(agent.id)).data?.items;
  return (
    <Part title="Connections through it" rows={connections} none="No connection uses this agent.">
      {(connection) => (
        <Text size="sm" key={connection.id}>
          <Anchor size="sm" renderRoot={(props) => <Link to="/connections" search={{ search: connection.name }} {...props} />}>
            {connection.name}
          </Anchor>{" "}
          ({connection.kind})
        </Text>
      )}
    </Part>
  );
}
