// Which version an agent has, what its wrapper does about another one, and why.

import { Button, Group, Paper, Text, Title } from "@mantine/core";
import { IconPackageImport } from "@tabler/icons-react";
import { useState } from "react";
import type { Agent } from "../api/types";
import { FactList } from "../parts/Facts";
import { words } from "../parts/format";
import { Said } from "../parts/Said";
import { Time } from "../parts/Time";
import { useAgentActions } from "./actions";
import { UPDATE } from "./bulk";
import { CancelsDialog } from "./CancelsDialog";

/** Where an update stands, and since when. */
function Stands({ update }: { update: NonNullable<Agent["update"]> }) {
  return (
    <>
      {update.step !== "idle" && <b>{words(update.step)}: </b>}
      <Said text={update.text} />
      <Text size="xs" c="dimmed">
        <Time at={update.at} />
      </Text>
    </>
  );
}

export function Update({ agent }: { agent: Agent }) {
  const [asking, setAsking] = useState(false);
  const { update } = useAgentActions();
  const { update: state, wrapper_update: own, detail, wrapper } = agent;
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          Versions
        </Title>
        <Button size="xs" variant="default" leftSection={<IconPackageImport size={14} aria-hidden />} disabled={!UPDATE.fits(agent)} onClick={() => setAsking(true)}>
          Update
        </Button>
      </Group>
      <FactList
        facts={[
          ["Agent", detail?.agent_version ?? "-"],
          ["Release", state?.active_version ?? "As it was downloaded"],
          ["Wrapper", wrapper.version ? `${wrapper.version}, ${wrapper.status}` : words(wrapper.status)],
          ["Last update", <Time at={agent.last_update} />],
          ["Update", state ? <Stands update={state} /> : "Its wrapper has not said anything yet"],
          ["Wrapper's release", own?.active_version ?? "As it was downloaded"],
          ["Wrapper's update", own ? <Stands update={own} /> : "This wrapper does not update itself: download the agent again"],
        ]}
      />
      {asking && <CancelsDialog what={UPDATE} agent={agent} action={update} onClose={() => setAsking(false)} />}
    </Paper>
  );
}
