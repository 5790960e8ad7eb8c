// Which events of which tasks a channel tells.

import { ActionIcon, Button, Checkbox, Fieldset, Group, MultiSelect, Stack, Switch, Tooltip } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { taskNamesQuery } from "../api/queries";
import type { FieldProblem, Rule } from "../api/types";
import { wrongWithin } from "../parts/schema/problems";
import { EVENTS, EVERYTHING } from "./draft";

interface Props {
  rules: Rule[];
  problems: FieldProblem[];
  onChange: (rules: Rule[]) => void;
}

export function Rules({ rules, problems, onChange }: Props) {
  const tasks = useQuery(taskNamesQuery).data?.map((task) => task.name) ?? [];
  const change = (at: number, next: Partial<Rule>) => onChange(rules.map((rule, index) => (index === at ? { ...rule, ...next } : rule)));
  return (
    <Fieldset legend="What it tells" p="sm">
      <Stack gap="md">
        {rules.map((rule, at) => (
          <Group key={at} align="flex-start" wrap="nowrap" gap="xs" role="group" className="rule" aria-label={`Rule ${at + 1}`}>
            <Stack gap="sm" flex={1} miw={0}>
              <Checkbox.Group
                label="Events"
                description="None ticked: every event."
                error={wrongWithin(problems, `/rules/${at}/events`)}
                value={rule.events}
                onChange={(events) => change(at, { events })}
              >
                <Stack gap={6} mt={6}>
                  {EVENTS.map(({ value, label, about }) => (
                    <Checkbox key={value} value={value} label={label} description={about} size="sm" />
                  ))}
                </Stack>
              </Checkbox.Group>
              <MultiSelect
                label="Tasks"
                placeholder={rule.tasks.length > 0 ? undefined : "Every task"}
                searchable
                clearable
                clearButtonProps={{ "aria-label": "Every task" }}
                nothingFoundMessage="No task is called that"
                error={wrongWithin(problems, `/rules/${at}/tasks`)}
                data={[...new Set([...tasks, ...rule.tasks])]}
                value={rule.tasks}
                onChange={(next) => change(at, { tasks: next })}
              />
              <Switch
                label="Every failure"
                description="Not only the first one until the task recovers."
                checked={rule.repeat}
                onChange={(event) => change(at, { repeat: event.currentTarget.checked })}
              />
            </Stack>
            {rules.length > 1 && (
              <Tooltip label="Remove">
                <ActionIcon variant="subtle" color="gray" aria-label={`Remove rule ${at + 1}`} onClick={() => onChange(rules.filter((_, index) => index !== at))}>
                  <IconTrash size={16} />
                </ActionIcon>
              </Tooltip>
            )}
          </Group>
        ))}
        <Group>
          <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} />} onClick={() => onChange([...rules, EVERYTHING])}>
            Add a rule
          </Button>
        </Group>
      </Stack>
    </Fieldset>
  );
}
