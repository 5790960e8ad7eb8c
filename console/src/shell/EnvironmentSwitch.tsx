import { Badge, Select } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { environmentsQuery, meQuery } from "../api/queries";
import { chooseEnvironment } from "./settings";

/** Colours by which environments are told apart; the first one is the company's first. */
const COLORS = ["red", "blue", "grape", "teal", "orange"];

export function EnvironmentSwitch() {
  const me = useQuery(meQuery).data;
  const environments = useQuery(environmentsQuery).data?.items ?? [];
  const cache = useQueryClient();
  if (!me) return null;
  const at = environments.findIndex((environment) => environment.id === me.environment_id);
  const color = COLORS[Math.max(at, 0) % COLORS.length] ?? "blue";
  if (environments.length < 2) {
    return (
      <Badge variant="light" color={color} tt="none" visibleFrom="xs" title="Environment">
        {me.environment}
      </Badge>
    );
  }
  return (
    <Select
      size="xs"
      w={160}
      aria-label="Environment"
      allowDeselect={false}
      leftSection={<Badge circle size="xs" color={color} />}
      data={environments.map((environment) => ({ value: environment.id, label: environment.name }))}
      value={me.environment_id}
      onChange={(id) => {
        if (!id) return;
        chooseEnvironment(id);
        void cache.resetQueries();
      }}
    />
  );
}
