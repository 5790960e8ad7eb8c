// What stands at the right end of an agent's row, and at the top of its page.

import { ActionIcon, Menu, Tooltip } from "@mantine/core";
import { IconDots, IconDownload, IconEdit, IconFileText, IconInfoCircle, IconPackageImport, IconPlayerPause, IconPlayerPlay, IconRotateClockwise } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Agent } from "../api/types";
import { AgentDialog } from "./AgentDialog";
import { CancelsDialog } from "./CancelsDialog";
import { DownloadMenu } from "./DownloadMenu";
import { useAgentActions } from "./actions";
import { RESTART, UPDATE } from "./bulk";

export function AgentControls({ agent }: { agent: Agent }) {
  const [dialog, setDialog] = useState<"edit" | "restart" | "update" | null>(null);
  const { fetchZip, restart, update, deactivate, reactivate } = useAgentActions();
  const remote = agent.kind === "remote";
  const online = agent.status === "online";
  return (
    <>
      {remote && (
        <DownloadMenu agent={agent} fetchZip={fetchZip}>
          <ActionIcon variant="subtle" color="gray" size="md" title="Download" aria-label={`Download ${agent.name}`} loading={fetchZip.isPending}>
            <IconDownload size={18} />
          </ActionIcon>
        </DownloadMenu>
      )}
      <Tooltip label="Agent log">
        <ActionIcon variant="subtle" color="gray" size="md" component={Link} to={`/agents/${agent.id}/log`} aria-label={`Log of ${agent.name}`}>
          <IconFileText size={18} />
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="md" aria-label={`More for ${agent.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconInfoCircle size={16} />} component={Link} to={`/agents/${agent.id}`}>
            Detail
          </Menu.Item>
          <Menu.Item leftSection={<IconEdit size={16} />} onClick={() => setDialog("edit")}>
            Edit
          </Menu.Item>
          {remote && (
            <Menu.Item leftSection={<IconRotateClockwise size={16} />} disabled={!RESTART.fits(agent)} onClick={() => setDialog("restart")}>
              Restart
            </Menu.Item>
          )}
          {remote && (
            <Menu.Item leftSection={<IconPackageImport size={16} />} disabled={!UPDATE.fits(agent)} onClick={() => setDialog("update")}>
              Update
            </Menu.Item>
          )}
          {remote && agent.active && !online && (
            <Menu.Item leftSection={<IconPlayerPause size={16} />} onClick={() => deactivate.mutate(agent)}>
              Deactivate
            </Menu.Item>
          )}
          {!agent.active && (
            <Menu.Item leftSection={<IconPlayerPlay size={16} />} onClick={() => reactivate.mutate(agent)}>
              Reactivate
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      {dialog === "edit" && <AgentDialog agent={agent} onClose={() => setDialog(null)} />}
      {dialog === "restart" && <CancelsDialog what={RESTART} agent={agent} action={restart} onClose={() => setDialog(null)} />}
      {dialog === "update" && <CancelsDialog what={UPDATE} agent={agent} action={update} onClose={() => setDialog(null)} />}
    </>
  );
}
