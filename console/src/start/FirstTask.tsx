// A first task from a template; it opens once it is saved.

import { Anchor, Button, Code, Group, Radio, Select, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "../api/client";
import type { Agent, Connection, Page, Task } from "../api/types";
import { Refused } from "../parts/Refused";
import { TEMPLATES } from "./templates";

export function FirstTask({ agent }: { agent: Agent }) {
  const [value, setValue] = useState("csv");
  const [connection, setConnection] = useState<string | null>(null);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const connections = useQuery({ queryKey: ["connections", "first"], queryFn: ({ signal }) => get<Page<Connection>>("/connections", { signal, query: { limit: 100 } }) });
  const template = TEMPLATES.find((one) => one.value === value) ?? TEMPLATES[0];
  const fitting = connections.data?.items.filter((one) => template?.kinds?.includes(one.kind)) ?? [];
  const used = fitting.find((one) => one.name === connection) ?? fitting[0];
  const document = template?.document(agent, used) ?? "";
  const lacking = Boolean(template?.kinds) && !used;
  const add = useMutation({
    mutationFn: () => get<Task>("/tasks", { method: "POST", text: document }),
    onSuccess: (task) => {
      void cache.invalidateQueries({ queryKey: ["tasks"] });
      void navigate({ to: `/tasks/${task.summary.id}` });
    },
  });
  return (
    <Stack gap="sm">
      <Radio.Group aria-label="Template" value={value} onChange={setValue}>
        <Stack gap="xs">
          {TEMPLATES.map((one) => (
            <Radio key={one.value} value={one.value} label={one.label} description={one.about(agent)} />
          ))}
        </Stack>
      </Radio.Group>
      {template?.kinds && fitting.length > 0 && (
        <Select label="Reads from" allowDeselect={false} data={fitting.map((one) => one.name)} value={used?.name ?? null} onChange={setConnection} maw={280} />
      )}
      {lacking ? (
        <Text size="sm">
          There is no connection to a database yet.{" "}
          <Anchor component={Link} to="/connections" size="sm">
            Go to the connections
          </Anchor>
        </Text>
      ) : (
        <Code block tabIndex={0} role="region" aria-label="The task's document">{document}</Code>
      )}
      <Refused error={add.error} title="Not made" />
      <Group>
        <Button loading={add.isPending} disabled={lacking} onClick={() => add.mutate()}>
          Make this task
        </Button>
        <Anchor component={Link} to="/new-task" size="sm">
          Begin with an own document
        </Anchor>
      </Group>
    </Stack>
  );
}
