// Asks before a restart, and says what it cancels.

import { Button, Group, List, Loader, Modal, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { stepsOn, workOfQuery } from "../api/queries";
import type { Agent } from "../api/types";
import { Refused } from "../parts/Refused";
import { useAgentActions } from "./actions";

export function RestartDialog({ agent, onClose }: { agent: Agent; onClose: () => void }) {
  const work = useQuery(workOfQuery(agent));
  const { restart } = useAgentActions();
  return (
    <Modal opened onClose={onClose} title={`Restart agent ${agent.name}?`}>
      <Stack>
        <Text>The restart cancels everything that the agent executes.</Text>
        {work.isPending && <Loader size="sm" aria-label="Looking for running tasks" />}
        <Refused error={work.error} title="What it executes is not known" />
        {work.data?.length === 0 && <Text c="dimmed">It executes nothing now.</Text>}
        {work.data && work.data.length > 0 && (
          <List aria-label="Runs that are cancelled">
            {work.data.map((run) => (
              <List.Item key={run.id}>
                {run.task}: {stepsOn(run, agent.name).join(", ")}
              </List.Item>
            ))}
          </List>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it running
          </Button>
          <Button color="red" loading={restart.isPending} onClick={() => restart.mutate(agent, { onSettled: onClose })}>
            Restart
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
