// Secrets go to the server and never come back: only that they are set is known.

import { ActionIcon, Button, Group, PasswordInput, Stack, Text, TextInput, Tooltip } from "@mantine/core";
import { IconLock, IconPlus, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import type { FieldProblem } from "../api/types";
import { words } from "./format";
import { wrongWithin } from "./schema/problems";

interface Props {
  /** Those that are known by name. */
  known: string[];
  /** Where they go. */
  about: string;
  /** Whether its program may need others. */
  open: boolean;
  /** Those that are set on the server. */
  set: string[];
  value: Record<string, string | null>;
  problems: FieldProblem[];
  onChange: (value: Record<string, string | null>) => void;
}

export function Secrets({ known, about, open, set, value, problems, onChange }: Props) {
  const [name, setName] = useState("");
  const names = [...new Set([...known, ...set, ...Object.keys(value)])];
  const put = (secret: string, next: string | null | undefined) => {
    const { [secret]: _, ...others } = value;
    onChange(next === undefined ? others : { ...others, [secret]: next });
  };
  return (
    <Stack gap="sm">
      {names.map((secret) => {
        const now = value[secret];
        if (now === undefined && set.includes(secret)) return <Standing key={secret} secret={secret} onReplace={() => put(secret, "")} onRemove={() => put(secret, null)} />;
        if (now === null) return <Removed key={secret} secret={secret} onUndo={() => put(secret, undefined)} />;
        return (
          <Group key={secret} gap="xs" align="flex-end" wrap="nowrap">
            <PasswordInput
              flex={1}
              label={words(secret)}
              description={about}
              autoComplete="new-password"
              visibilityToggleButtonProps={{ "aria-label": `Show ${words(secret).toLowerCase()}` }}
              error={wrongWithin(problems, `/secrets/${secret}`)}
              value={now ?? ""}
              onChange={(event) => put(secret, event.currentTarget.value)}
            />
            {(set.includes(secret) || !known.includes(secret)) && (
              <Button variant="subtle" color="gray" onClick={() => put(secret, undefined)}>
                {set.includes(secret) ? "Keep the old one" : "Remove"}
              </Button>
            )}
          </Group>
        );
      })}
      {open && (
        <Group gap="xs" align="flex-end">
          <TextInput label="Further secret" description="Its name, as the program knows it." value={name} onChange={(event) => setName(event.currentTarget.value.trim())} />
          <Button
            variant="default"
            leftSection={<IconPlus size={16} />}
            disabled={name === "" || names.includes(name)}
            onClick={() => {
              put(name, "");
              setName("");
            }}
          >
            Add
          </Button>
        </Group>
      )}
    </Stack>
  );
}

function Standing({ secret, onReplace, onRemove }: { secret: string; onReplace: () => void; onRemove: () => void }) {
  return (
    <div>
      <Text size="sm" fw={500}>
        {words(secret)}
      </Text>
      <Group gap="xs" mt={4}>
        <Group gap={6} miw="5rem">
          <IconLock size={16} aria-hidden />
          <Text size="sm">Set</Text>
        </Group>
        <Button size="xs" variant="default" aria-label={`Replace ${secret}`} onClick={onReplace}>
          Replace
        </Button>
        <Tooltip label="Remove">
          <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${secret}`} onClick={onRemove}>
            <IconTrash size={16} />
          </ActionIcon>
        </Tooltip>
      </Group>
    </div>
  );
}

function Removed({ secret, onUndo }: { secret: string; onUndo: () => void }) {
  return (
    <div>
      <Text size="sm" fw={500}>
        {words(secret)}
      </Text>
      <Group gap="xs" mt={4}>
        <Text size="sm" c="dimmed">
          Is removed when you save.
        </Text>
        <Button size="xs" variant="default" onClick={onUndo}>
          Keep it
        </Button>
      </Group>
    </div>
  );
}
