// How to start an agent for the first time, to be copied.

import { Button, Code, CopyButton, Group } from "@mantine/core";
import { IconCheck, IconCopy, IconDownload } from "@tabler/icons-react";
import type { Agent } from "../api/types";
import { useAgentActions } from "./actions";
import { startCommands } from "./platforms";

export function Commands({ agent }: { agent: Agent }) {
  const commands = startCommands(agent.name, agent.platform);
  const { fetchZip } = useAgentActions();
  return (
    <>
      <Code block mb="xs" tabIndex={0} role="region" aria-label="Commands">
        {commands}
      </Code>
      <Group gap="xs">
        <Button size="xs" leftSection={<IconDownload size={14} />} loading={fetchZip.isPending} onClick={() => fetchZip.mutate(agent)}>
          Download
        </Button>
        <CopyButton value={commands}>
          {({ copied, copy }) => (
            <Button size="xs" variant="default" leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />} onClick={copy}>
              {copied ? "Copied" : "Copy the commands"}
            </Button>
          )}
        </CopyButton>
      </Group>
    </>
  );
}
