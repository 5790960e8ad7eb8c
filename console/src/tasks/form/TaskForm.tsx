// What a task says besides its steps: its name, what it may be given, what starts it.

import { ActionIcon, Button, Group, Paper, Stack, Tabs, Text, Tooltip } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useMemo } from "react";
import type { FieldProblem, Validation } from "../../api/types";
import { fieldsOf, fieldsOfDefinition } from "../../parts/schema/fields";
import { pointer, wrongWithin } from "../../parts/schema/problems";
import { SchemaForm } from "../../parts/schema/SchemaForm";
import { setField } from "../document/edit";
import type { Model } from "../document/model";
import { TriggerForm } from "./TriggerForm";

interface Props {
  model: Model;
  schema: unknown;
  problems: FieldProblem[];
  check: Validation | undefined;
  tab: string | undefined;
  onTab: (tab: string | undefined) => void;
  onEdit: (edit: (text: string) => string) => void;
}

const GENERAL = ["task", "description", "active", "limit", "priority"];

export function TaskForm({ model, schema, problems, check, tab = "task", onTab, onEdit }: Props) {
  const general = useMemo(
    () =>
      fieldsOf(schema)
        .filter((field) => GENERAL.includes(field.name))
        .map((field) => (field.name === "task" ? { ...field, title: "Name" } : field)),
    [schema],
  );
  const parameter = useMemo(() => fieldsOfDefinition(schema, "Parameter"), [schema]);
  const set = (path: (string | number)[], value: unknown) => onEdit((text) => setField(text, path, value));
  const wrong = (list: string) => (wrongWithin(problems, pointer([list])) ? " (!)" : "");
  return (
    <Tabs value={tab} onChange={(next) => onTab(next === "task" || next === null ? undefined : next)}>
      <Tabs.List mb="sm">
        <Tabs.Tab value="task">Task</Tabs.Tab>
        <Tabs.Tab value="parameters">
          Parameters ({model.parameters.length}){wrong("parameters")}
        </Tabs.Tab>
        <Tabs.Tab value="triggers">
          Triggers ({model.triggers.length}){wrong("triggers")}
        </Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="task">
        <SchemaForm fields={general} value={model.raw} at={[]} problems={problems} main={(field) => field.name === "description"} onChange={set} />
      </Tabs.Panel>
      <Tabs.Panel value="parameters">
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            What a run may be given when it starts. Steps use it as {"{{ parameters.NAME }}"}.
          </Text>
          {model.parameters.map((one, index) => (
            <Paper key={index} withBorder p="sm" className="trigger">
              <RemoveRow what={`parameter ${String(one["name"] ?? index + 1)}`} onClick={() => set(model.parameters.length > 1 ? ["parameters", index] : ["parameters"], undefined)} />
              <SchemaForm fields={parameter} value={one} at={["parameters", index]} problems={problems} main={(field) => ["type", "default"].includes(field.name)} onChange={set} />
            </Paper>
          ))}
          <Group>
            <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} />} onClick={() => set(["parameters", model.parameters.length], { name: `parameter_${model.parameters.length + 1}` })}>
              Add a parameter
            </Button>
          </Group>
        </Stack>
      </Tabs.Panel>
      <Tabs.Panel value="triggers">
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            What starts the task by itself.
          </Text>
          {model.triggers.map((one, index) => (
            <Paper key={index} withBorder p="sm" className="trigger">
              <RemoveRow what={`trigger ${String(one["name"] ?? index + 1)}`} onClick={() => set(model.triggers.length > 1 ? ["triggers", index] : ["triggers"], undefined)} />
              <TriggerForm trigger={one} index={index} schema={schema} problems={problems} next={check?.triggers[index]?.next} onSet={set} />
            </Paper>
          ))}
          <Group>
            <Button
              size="compact-sm"
              variant="default"
              leftSection={<IconPlus size={14} />}
              onClick={() => set(["triggers", model.triggers.length], { name: `trigger-${model.triggers.length + 1}`, cron: "0 6 * * *", zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}
            >
              Add a trigger
            </Button>
          </Group>
        </Stack>
      </Tabs.Panel>
    </Tabs>
  );
}

function RemoveRow({ what, onClick }: { what: string; onClick: () => void }) {
  return (
    <Tooltip label="Remove">
      <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${what}`} className="trigger-remove" onClick={onClick}>
        <IconTrash size={16} />
      </ActionIcon>
    </Tooltip>
  );
}
