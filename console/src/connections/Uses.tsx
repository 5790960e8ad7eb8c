// The steps that use a connection.

import { Anchor, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get, path } from "../api/client";
import type { Connection, ConnectionUse, Page } from "../api/types";

export function useUses(connection: Connection) {
  return useQuery({
    queryKey: ["connections", "uses", connection.id, connection.version],
    queryFn: ({ signal }) => get<Page<ConnectionUse>>(path`/connections/${connection.id}/uses`, { signal }),
  });
}

export function UsesList({ uses }: { uses: ConnectionUse[] }) {
  if (uses.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        No task uses it yet.
      </Text>
    );
  }
  return (
    <List size="sm">
      {uses.map((use) => (
        <List.Item key={`${use.task_id} ${use.step}`}>
          <Anchor size="sm" renderRoot={(props) => <Link to={`/tasks/${use.task_id}`} search={{ step: use.step }} {...props} />}>
            {use.task}
          </Anchor>
          , step {use.step}
          {!use.active && (
            <Text span size="sm" c="dimmed">
              {" "}
              (inactive)
            </Text>
          )}
        </List.Item>
      ))}
    </List>
  );
}
