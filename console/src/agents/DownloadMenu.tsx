// A download asks what the agent may touch at first: the site's policy lies in the zip.

import { Menu, Text } from "@mantine/core";
import type { ReactElement } from "react";
import type { Agent } from "../api/types";
import type { useAgentActions } from "./actions";

const POLICIES = [
  { policy: "restricted", label: "Restricted (recommended)", description: "Nothing but what the site allows" },
  { policy: "permissive", label: "Permissive", description: "Everything the machine can reach" },
] as const;

type Fetch = ReturnType<typeof useAgentActions>["fetchZip"];

/** Opens from `children`, a button. */
export function DownloadMenu({ agent, fetchZip, children }: { agent: Agent; fetchZip: Fetch; children: ReactElement }) {
  return (
    <Menu position="bottom-end" withinPortal disabled={fetchZip.isPending}>
      <Menu.Target>{children}</Menu.Target>
      <Menu.Dropdown>
        {POLICIES.map(({ policy, label, description }) => (
          <Menu.Item key={policy} onClick={() => fetchZip.mutate({ agent, policy })}>
            {label}
            <Text size="xs" c="dimmed">
              {description}
            </Text>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
