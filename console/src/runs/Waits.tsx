// For whom a run waits, with the way there.

import { Alert, Anchor, List } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { agentQuery } from "../api/queries";
import type { Run } from "../api/types";
import { Time } from "../parts/Time";
import { newest } from "./layout";

interface Wait {
  agent: string;
  steps: string[];
}

/** The agents for which a run waits, each with its steps. */
export function waitsOf(run: Run): Wait[] {
  if (run.ended) return [];
  const waiting = newest(run.steps ?? []).filter((step) => step.state === "waiting_for_agent" && step.agent);
  const names = [...new Set(waiting.map((step) => step.agent as string))];
  return names.map((agent) => ({ agent, steps: waiting.filter((step) => step.agent === agent).map((step) => step.step) }));
}

export function Waits({ waits }: { waits: Wait[] }) {
  const agents = useQueries({ queries: waits.map(({ agent }) => agentQuery(agent)) });
  const all = waits.map((wait, at) => ({ ...wait, known: agents[at]?.data }));
  // Those that are online wait with the others, not the run for them.
  const offline = all.filter(({ known }) => known?.status !== "online");
  const shown = offline.length > 0 ? offline : all;
  if (shown.length === 0) return null;
  return (
    <Alert color="yellow">
      <List size="sm" listStyleType="none">
        {shown.map(({ agent, steps, known }) => (
          <List.Item key={agent}>
            Waiting for agent{" "}
            <Anchor component={Link} to={`/agents/${known?.id ?? agent}`} size="sm">
              {agent}
            </Anchor>{" "}
            {known?.status === "online" ? "(online, its turn comes)" : known?.last_seen_at ? <>(offline since <Time at={known.last_seen_at} />)</> : "(never connected)"}
            {`: ${steps.join(", ")}`}
          </List.Item>
        ))}
      </List>
    </Alert>
  );
}
