// Texts that tasks use by name. They are not secret.

import { ActionIcon, Alert, Button, Modal, Stack, Text, Textarea, TextInput, Tooltip } from "@mantine/core";
import { IconEdit, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { path, send } from "../api/client";
import { useList } from "../api/queries";
import type { Variable } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { FormButtons } from "../parts/FormButtons";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";

const route = getRouteApi("/shell/variables");

const COLUMNS: Column<Variable>[] = [
  { title: "Name", sort: "name", cell: (variable) => <span className="name">{variable.name}</span> },
  {
    title: "Value",
    cell: (variable) => (
      <Text size="sm" lineClamp={2} maw={420} className="wraps" title={variable.value}>
        {variable.value}
      </Text>
    ),
  },
  { title: "Set by", cell: (variable) => variable.author },
  { title: "Set", sort: "updated_at", cell: (variable) => <Time at={variable.updated_at} /> },
];

export function VariablesPage() {
  const { sort = "name" } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useList<Variable>("variables", { sort }, 15_000);
  const [editing, setEditing] = useState<Variable | "new" | null>(null);
  const [removing, setRemoving] = useState<Variable | null>(null);
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: (variable: Variable) => send(path`/variables/${variable.name}`, { method: "DELETE" }),
    onSuccess: (_, variable) => {
      told(`Variable ${variable.name} is removed`);
      setRemoving(null);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["variables"] }),
  });
  const add = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setEditing("new")}>
      Add a variable
    </Button>
  );
  return (
    <>
      <PageHead title="Variables">{list.rows.length > 0 && add}</PageHead>
      <Text size="sm" c="dimmed" mb="sm">
        Tasks use them as variables.NAME. Everybody of the environment reads them; secrets belong into connections.
      </Text>
      <List
        label="Variables"
        columns={COLUMNS}
        id={(variable) => variable.name}
        list={list}
        sort={sort}
        onSort={(next) => void navigate({ search: { sort: next }, replace: true })}
        empty={add}
        controls={(variable) => (
          <>
            <Tooltip label="Edit">
              <ActionIcon variant="subtle" color="gray" aria-label={`Edit ${variable.name}`} onClick={() => setEditing(variable)}>
                <IconEdit size={18} />
              </ActionIcon>
            </Tooltip>
            <Tooltip label="Remove">
              <ActionIcon variant="subtle" color="red" aria-label={`Remove ${variable.name}`} onClick={() => setRemoving(variable)}>
                <IconTrash size={18} />
              </ActionIcon>
            </Tooltip>
          </>
        )}
      />
      {editing && <VariableDialog variable={editing === "new" ? undefined : editing} onClose={() => setEditing(null)} />}
      {removing && (
        <ConfirmDialog
          title={`Remove variable ${removing.name}?`}
          means="Tasks that use it fail when their next run starts."
          verb="Remove"
          action={remove}
          on={removing}
          onClose={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function VariableDialog({ variable, onClose }: { variable: Variable | undefined; onClose: () => void }) {
  const [name, setName] = useState(variable?.name ?? "");
  const [value, setValue] = useState(variable?.value ?? "");
  const cache = useQueryClient();
  const save = useMutation({
    mutationFn: () => send(path`/variables/${name.trim()}`, { method: "PUT", json: { value } }),
    onSuccess: () => {
      told(`Variable ${name.trim()} is set`);
      onClose();
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["variables"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={variable ? `Variable ${variable.name}` : "Add a variable"}>
      <form onSubmit={submit}>
        <Stack>
          {!variable && (
            <TextInput label="Name" description="Letters, digits and _" required data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
          )}
          <Textarea label="Value" autosize minRows={2} maxRows={10} data-autofocus={variable ? true : undefined} value={value} onChange={(event) => setValue(event.currentTarget.value)} />
          <Alert color="gray">Runs that have left the queue keep the value they found.</Alert>
          <Refused error={save.error} title="Not saved" />
          <FormButtons sending={save.isPending} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}
