// How to start an agent for the first time, to be copied.

import { Button } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import type { Agent } from "../api/types";
import { CopyText } from "../parts/CopyText";
import { DownloadMenu } from "./DownloadMenu";
import { useAgentActions } from "./actions";
import { startCommands } from "./platforms";

export function Commands({ agent }: { agent: Agent }) {
  const { fetchZip } = useAgentActions();
  return (
    <CopyText label="Commands" clear text={startCommands(agent.name, agent.platform)} verb="Copy the commands">
      <DownloadMenu agent={agent} fetchZip={fetchZip}>
        <Button size="xs" leftSection={<IconDownload size={14} />} loading={fetchZip.isPending}>
          Download
        </Button>
      </DownloadMenu>
    </CopyText>
  );
}
