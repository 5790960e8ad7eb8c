// The footer: how many agents are online and offline; a click lists them.

import { Badge, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { countsQuery } from "../api/queries";
import { useLive } from "./live";

export function AgentStatus() {
  const counts = useQuery(countsQuery).data;
  const { interrupted } = useLive();
  const shown = (of: "online" | "offline") => counts?.[of] ?? "-";
  return (
    <Group h="100%" px="md" gap="xs" wrap="nowrap">
      <Text size="sm" c="dimmed">
        Agent status
      </Text>
      {(["online", "offline"] as const).map((status) => (
        <Badge
          key={status}
          renderRoot={(props) => <Link to="/agents" search={{ status }} {...props} />}
          variant="light"
          color={status === "online" && !interrupted ? "green" : "gray"}
          tt="none"
          style={{ cursor: "pointer" }}
        >
          {shown(status)} {status}
        </Badge>
      ))}
    </Group>
  );
}
