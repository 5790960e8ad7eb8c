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

export function Update({ agent }: { agent: Agent }) {
  const [asking, setAsking] = useState(false);
  const { update } = useAgentActions();
  const { update: state, detail, wrapper } = agent;
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
          [
            "Update",
            state ? (
              <>
                {state.step !== "idle" && <b>{words(state.step)}: </b>}
                <Said text={state.text} />
                <Text size="xs" c="dimmed">
                  <Time at={state.at} />
                </Text>
              </>
            ) : (
              "Its wrapper has not said anything yet"
            ),
          ],
        ]}
      />
      {asking && <CancelsDialog what={UPDATE} agent={agent} action={update} onClose={() => setAsking(false)} />}
    </Paper>
  );
}
