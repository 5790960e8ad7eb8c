// What can be done to several agents at once.

import { Button, Group, Paper, Text } from "@mantine/core";
import { IconPackageImport, IconPlayerPause, IconPlayerPlay, IconRotateClockwise, IconX } from "@tabler/icons-react";
import { useState } from "react";
import type { Agent } from "../api/types";
import { BulkDialog } from "./BulkDialog";
import { BULK, type Bulk } from "./bulk";

const ICONS = { restart: IconRotateClockwise, update: IconPackageImport, deactivate: IconPlayerPause, reactivate: IconPlayerPlay };

export function BulkBar({ agents, onClear }: { agents: Agent[]; onClear: () => void }) {
  const [asking, setAsking] = useState<Bulk | null>(null);
  if (agents.length === 0) return null;
  return (
    <Paper withBorder px="sm" py="xs" mb="sm" role="region" aria-label="Picked agents">
      <Group gap="xs">
        <Text size="sm" fw={500} mr="xs">
          {agents.length} picked
        </Text>
        {BULK.map((what) => {
          const fitting = agents.filter(what.fits);
          const Icon = ICONS[what.verb];
          return (
            <Button key={what.verb} size="xs" variant="default" leftSection={<Icon size={14} aria-hidden />} disabled={fitting.length === 0} onClick={() => setAsking(what)}>
              {what.word}
              {fitting.length > 0 && fitting.length < agents.length ? ` ${fitting.length}` : ""}
            </Button>
          );
        })}
        <Button size="xs" variant="subtle" color="gray" leftSection={<IconX size={14} aria-hidden />} onClick={onClear}>
          Pick none
        </Button>
      </Group>
      {asking && <BulkDialog what={asking} agents={agents.filter(asking.fits)} onClose={() => setAsking(null)} onDone={onClear} />}
    </Paper>
  );
}
