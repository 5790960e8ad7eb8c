// Asks before a restart or an update, and says what it cancels.

import { Button, Group, List, Loader, Modal, Stack, Text } from "@mantine/core";
import { useQuery, type UseMutationResult } from "@tanstack/react-query";
import { stepsOn, workOfQuery } from "../api/queries";
import type { Agent } from "../api/types";
import { Refused } from "../parts/Refused";
import type { Bulk } from "./bulk";

interface Props {
  what: Bulk;
  agent: Agent;
  action: UseMutationResult<unknown, Error, Agent>;
  onClose: () => void;
}

export function CancelsDialog({ what, agent, action, onClose }: Props) {
  const work = useQuery(workOfQuery(agent));
  return (
    <Modal opened onClose={onClose} title={`${what.word} agent ${agent.name}?`}>
      <Stack>
        <Text>{what.means}</Text>
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
            Leave it as it is
          </Button>
          <Button color="red" loading={action.isPending} onClick={() => action.mutate(agent, { onSettled: onClose })}>
            {what.word}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
