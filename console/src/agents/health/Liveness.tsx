// Agent, wrapper and target, each apart: which of them is gone, and why that likely is.

import { Badge, Paper, Stack, Text, Title } from "@mantine/core";
import { IconCircleMinus, IconPlugConnected, IconPlugConnectedX, IconProgressHelp, type Icon } from "@tabler/icons-react";
import type { Life, Liveness as Lives } from "../../api/types";
import { words } from "../../parts/format";
import { Said } from "../../parts/Said";
import { Time } from "../../parts/Time";

const LOOKS: Record<string, [color: string, icon: Icon]> = {
  online: ["green", IconPlugConnected],
  stopped: ["gray", IconCircleMinus],
  lost: ["red", IconPlugConnectedX],
};

export function Liveness({ liveness }: { liveness: Lives }) {
  const parts: [string, Life][] = [
    ["Agent", liveness.agent],
    ["Wrapper", liveness.wrapper],
    ["Target", liveness.target],
  ];
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5" mb="sm">
        Signs of life
      </Title>
      <Stack gap="sm">
        {parts.map(([name, life]) => (
          <Part key={name} name={name} life={life} />
        ))}
      </Stack>
    </Paper>
  );
}

function Part({ name, life: { state, since, text } }: { name: string; life: Life }) {
  const [color, Icon] = LOOKS[state] ?? ["gray", IconProgressHelp];
  return (
    <div>
      <div className="entry">
        <Text size="sm" fw={500}>
          {name}
        </Text>
        <Badge variant="light" tt="none" color={color} leftSection={<Icon size={12} aria-hidden />}>
          {words(state)}
        </Badge>
        <Text size="sm" c="dimmed" component="span">
          <Time at={since} />
        </Text>
      </div>
      <Text size="sm" c="dimmed" className="wraps">
        <Said text={text} />
      </Text>
    </div>
  );
}
