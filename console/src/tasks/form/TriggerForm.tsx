// One trigger: what starts the task, and when that would be.

import { Anchor, List, Select, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { FieldProblem } from "../../api/types";
import { absolute } from "../../parts/format";
import { fieldsOfDefinition } from "../../parts/schema/fields";
import { pointer, wrongAt } from "../../parts/schema/problems";
import { SchemaForm } from "../../parts/schema/SchemaForm";
import { useZone } from "../../shell/settings";

interface Props {
  trigger: Record<string, unknown>;
  index: number;
  schema: unknown;
  problems: FieldProblem[];
  /** The next times; undefined while they are not known. */
  next: string[] | undefined;
  onSet: (path: (string | number)[], value: unknown) => void;
}

/** Each kind with the fields that belong to it, and what a new one says. */
const KINDS: Record<string, { label: string; fields: string[]; first: unknown }> = {
  cron: { label: "At times of the day or week (cron)", fields: ["zone", "missed", "late_after"], first: "0 6 * * *" },
  every: { label: "Again and again", fields: ["from", "zone", "missed", "late_after"], first: "1h" },
  at: { label: "Once", fields: ["zone", "missed", "late_after"], first: "" },
  webhook: { label: "When somebody calls (webhook)", fields: [], first: {} },
  after: { label: "After another task", fields: ["when"], first: "" },
};

const SHARED = ["parameters", "active"];

export function TriggerForm({ trigger, index, schema, problems, next, onSet }: Props) {
  const [zone] = useZone();
  const at = ["triggers", index];
  const kind = Object.keys(KINDS).find((one) => trigger[one] !== undefined && trigger[one] !== null);
  const about = kind === undefined ? undefined : KINDS[kind];
  const fields = useMemo(() => {
    const of = kind === undefined ? [] : [kind, ...(KINDS[kind]?.fields ?? [])];
    const all = fieldsOfDefinition(schema, "Trigger").filter((field) => ["name", ...of, ...SHARED].includes(field.name) || trigger[field.name] !== undefined);
    return all.map((field) => (field.name === "cron" ? { ...field, title: "Cron" } : field));
  }, [schema, kind, trigger]);
  const choose = (wanted: string | null) => {
    if (wanted === null || wanted === kind) return;
    // One change: a trigger without its kind would be lost on the way.
    const fits = ["name", "zone", ...SHARED, ...(KINDS[wanted]?.fields ?? [])];
    const kept = Object.entries(trigger).filter(([field]) => fits.includes(field));
    onSet(at, { ...Object.fromEntries(kept), [wanted]: KINDS[wanted]?.first });
  };
  return (
    <Stack gap="sm">
      <Select
        label="Starts the task"
        error={wrongAt(problems, pointer(at))}
        data={Object.entries(KINDS).map(([value, { label }]) => ({ value, label }))}
        allowDeselect={false}
        value={kind ?? null}
        onChange={choose}
        maw="calc(100% - 2.5rem)"
      />
      <SchemaForm key={kind} fields={fields} value={trigger} at={at} problems={problems} main={(field) => field.name === kind || (field.name === "zone" && kind === "cron")} onChange={onSet} />
      {about && kind !== "webhook" && kind !== "after" && (
        <div>
          <Text size="sm" fw={500}>
            Next times
          </Text>
          {next && next.length > 0 ? (
            <List size="sm" type="ordered" aria-label="Next times">
              {next.map((time) => (
                <List.Item key={time}>{absolute(new Date(time), zone)}</List.Item>
              ))}
            </List>
          ) : (
            <Text size="sm" c="dimmed">
              None: it is inactive, over, or not right yet.
            </Text>
          )}
        </div>
      )}
      {kind === "webhook" && (
        <Text size="xs" c="dimmed">
          Once the task is saved, its address is made among the{" "}
          <Anchor component={Link} to="/triggers" size="xs">
            triggers
          </Anchor>
          .
        </Text>
      )}
    </Stack>
  );
}
