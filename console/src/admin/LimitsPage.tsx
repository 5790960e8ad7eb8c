// How many runs an agent, a connection or the environment serves at one time.

import { ActionIcon, Button, Modal, NumberInput, Select, Stack, Text, Tooltip } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { get, path, send } from "../api/client";
import { meQuery } from "../api/queries";
import type { Agent, Connection, Limit, Page } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { count, words } from "../parts/format";
import { FormButtons } from "../parts/FormButtons";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { told } from "../parts/toast";

const COLUMNS: Column<Limit>[] = [
  { title: "What", cell: (limit) => words(limit.kind) },
  { title: "Name", cell: (limit) => <span className="name">{limit.name}</span> },
  { title: "Runs at one time", right: true, cell: (limit) => count(limit.limit) },
];

export function LimitsPage() {
  const { data, isPending, error } = useQuery({ queryKey: ["limits"], queryFn: ({ signal }) => get<Page<Limit>>("/limits", { signal }) });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Limit | null>(null);
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: (limit: Limit) => send(path`/limits/${limit.kind}/${limit.name}`, { method: "DELETE" }),
    onSuccess: () => {
      told("The limit is taken away");
      setRemoving(null);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["limits"] }),
  });
  const rows = data?.items ?? [];
  const add = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
      Set a limit
    </Button>
  );
  return (
    <>
      <PageHead title="Limits">{rows.length > 0 && add}</PageHead>
      <Text size="sm" c="dimmed" mb="sm">
        Runs beyond a limit wait in the queue and say so. Tasks may have a limit of their own in their document.
      </Text>
      <List
        label="Limits"
        columns={COLUMNS}
        id={(limit) => `${limit.kind} ${limit.name}`}
        list={{ rows, total: rows.length, isPending, error }}
        sort=""
        onSort={() => {}}
        empty={add}
        controls={(limit) => (
          <Tooltip label="Take away">
            <ActionIcon variant="subtle" color="red" aria-label={`Take the limit of ${limit.name} away`} onClick={() => setRemoving(limit)}>
              <IconTrash size={18} />
            </ActionIcon>
          </Tooltip>
        )}
      />
      {adding && <LimitDialog onClose={() => setAdding(false)} />}
      {removing && (
        <ConfirmDialog
          title={`Take the limit of ${removing.name} away?`}
          means="Runs that wait for it may start at once."
          verb="Take it away"
          action={remove}
          on={removing}
          onClose={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function LimitDialog({ onClose }: { onClose: () => void }) {
  const me = useQuery(meQuery).data;
  const [kind, setKind] = useState("agent");
  const [search, setSearch] = useState("");
  const [name, setName] = useState<string | null>(null);
  const [limit, setLimit] = useState<number | string>(1);
  const cache = useQueryClient();
  const names = useQuery({
    queryKey: ["limits", "names", kind, search],
    enabled: kind !== "environment",
    queryFn: async ({ signal }) => (await get<Page<Agent | Connection>>(`/${kind}s`, { signal, query: { search, limit: 50 } })).items.map((one) => one.name),
  });
  const target = kind === "environment" ? (me?.environment ?? "") : (name ?? "");
  const save = useMutation({
    mutationFn: () => send(path`/limits/${kind}/${target}`, { method: "PUT", json: { limit: Number(limit) } }),
    onSuccess: () => {
      told(`${target} serves ${limit} at one time`);
      onClose();
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["limits"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <Modal opened onClose={onClose} title="Set a limit">
      <form onSubmit={submit}>
        <Stack>
          <Select
            label="Of"
            allowDeselect={false}
            data={[
              { value: "agent", label: "An agent" },
              { value: "connection", label: "A connection" },
              { value: "environment", label: `The environment ${me?.environment ?? ""}` },
            ]}
            value={kind}
            onChange={(next) => {
              setKind(next ?? "agent");
              setName(null);
            }}
          />
          {kind !== "environment" && (
            <Select label="Name" required searchable data={names.data ?? []} value={name} onChange={setName} searchValue={search} onSearchChange={setSearch} nothingFoundMessage="Nothing has this name" />
          )}
          <NumberInput label="Runs at one time" required min={1} max={10_000} value={limit} onChange={setLimit} />
          <Refused error={save.error ?? names.error} title="Not set" />
          <FormButtons verb="Set" sending={save.isPending} disabled={target === ""} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}
