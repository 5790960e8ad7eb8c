// The first steps: what the licence allows, an agent that comes online while one watches, a first task.

import { Anchor, Button, Group, Loader, Paper, Select, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconCircleCheck } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type FormEvent, type ReactNode } from "react";
import { get } from "../api/client";
import { agentQuery, EVERY_MS, licenceQuery } from "../api/queries";
import type { Agent, Page } from "../api/types";
import { Commands } from "../agents/Commands";
import { PLATFORMS } from "../agents/platforms";
import { words } from "../parts/format";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { AgentBadge } from "../parts/StateBadge";
import { FirstTask } from "./FirstTask";

const route = getRouteApi("/shell/start");

export function StartPage() {
  const { agent: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const licence = useQuery(licenceQuery).data;
  // The newest one goes on where the page was left.
  const newest = useQuery({
    queryKey: ["agents", "newest"],
    queryFn: async ({ signal }) => {
      const page = await get<Page<Agent>>("/agents", { signal, query: { active: true, sort: "-created_at", limit: 10 } });
      return page.items.find((agent) => agent.kind === "remote") ?? null;
    },
    refetchInterval: EVERY_MS,
  });
  const named = useQuery({ ...agentQuery(chosen ?? ""), enabled: chosen !== undefined });
  const agent = chosen ? named.data : newest.data;
  const online = agent?.status === "online";
  return (
    <>
      <PageHead title="First steps" />
      <Stack maw={820}>
        <Step number={1} title="What you may do" done={licence !== undefined}>
          {licence && (
            <Text size="sm">
              Your licence is <b>{words(licence.tier)}</b>:{" "}
              {licence.agents_max == null
                ? "as many remote agents online in parallel as you like."
                : `at most ${licence.agents_max} remote ${licence.agents_max === 1 ? "agent" : "agents"} online in parallel.`}{" "}
              <Anchor component={Link} to="/licences" size="sm">
                More about licences
              </Anchor>
            </Text>
          )}
        </Step>
        <Step number={2} title="Add an agent" done={Boolean(agent)}>
          {agent && (
            <Group gap="xs">
              <Anchor component={Link} to={`/agents/${agent.id}`} size="sm" className="wraps">
                {agent.name}
              </Anchor>
              <AgentBadge agent={agent} />
            </Group>
          )}
          {newest.isSuccess && !agent && <AddAgent onAdded={(added) => void navigate({ search: { agent: added.id }, replace: true })} />}
          <Refused error={newest.error ?? named.error} title="The agents cannot be shown" />
        </Step>
        <Step number={3} title="Start it where the data is" done={online}>
          {!agent && <Text size="sm">Its download carries its login, so that there is nothing to type.</Text>}
          {agent && !online && (
            <Stack gap="xs">
              <Text size="sm">Download it, bring the file to the machine that reaches the data, and run there:</Text>
              <Commands agent={agent} />
              <Group gap="xs" role="status">
                <Loader size="xs" aria-hidden />
                <Text size="sm">Waiting until it is online...</Text>
              </Group>
            </Stack>
          )}
          {online && <Text size="sm">It is online on {agent.machine_name ?? "its machine"}.</Text>}
        </Step>
        <Step number={4} title="A first task" done={false}>
          {agent ? <FirstTask agent={agent} /> : <Text size="sm">It names the agent, so that the agent comes first.</Text>}
        </Step>
      </Stack>
    </>
  );
}

function Step({ number, title, done, children }: { number: number; title: string; done: boolean; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section" aria-label={`Step ${number}: ${title}`}>
      <Group gap="sm" align="flex-start" wrap="nowrap">
        {done ? <IconCircleCheck size={28} className="step-done" aria-label="Done" /> : <span className="step-number">{number}</span>}
        <div style={{ flex: 1, minWidth: 0 }}>
          <Title order={2} size="h5" mb={6}>
            {title}
          </Title>
          {children}
        </div>
      </Group>
    </Paper>
  );
}

function AddAgent({ onAdded }: { onAdded: (agent: Agent) => void }) {
  const [name, setName] = useState("");
  const [platform, setPlatform] = useState<string | null>(null);
  const cache = useQueryClient();
  const add = useMutation({
    mutationFn: () => get<Agent>("/agents", { method: "POST", json: { name: name.trim(), ...(platform ? { platform } : {}) } }),
    onSuccess: (agent) => {
      void cache.invalidateQueries({ queryKey: ["agents"] });
      onAdded(agent);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="xs">
        <Group align="flex-end" gap="sm">
          <TextInput label="Name" placeholder="client-server" required maxLength={64} value={name} onChange={(event) => setName(event.currentTarget.value)} w={{ base: "100%", xs: 240 }} />
          <Select label="Runs on" placeholder="The server's own platform" clearable data={PLATFORMS} value={platform} onChange={setPlatform} w={{ base: "100%", xs: 240 }} />
          <Button type="submit" loading={add.isPending}>
            Add
          </Button>
        </Group>
        <Refused error={add.error} title="Not added" />
      </Stack>
    </form>
  );
}
