// The company's people, and the API tokens of whoever looks.

import { ActionIcon, Alert, Badge, Button, Group, Modal, NumberInput, Stack, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { get, path, send } from "../api/client";
import { meQuery, useList } from "../api/queries";
import type { ApiToken, Person } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { CopyText } from "../parts/CopyText";
import { FormButtons } from "../parts/FormButtons";
import { List, type Column } from "../parts/List";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";

const PEOPLE: Column<Person>[] = [
  { title: "Name", sort: "name", cell: (person) => <span className="name">{person.name}</span> },
  { title: "E-mail", sort: "email", cell: (person) => person.email ?? "Not set up yet" },
  {
    title: "State",
    cell: (person) => (
      <Badge variant="light" tt="none" color={person.active ? "green" : "gray"}>
        {person.active ? "Active" : "Inactive"}
      </Badge>
    ),
  },
  { title: "Since", sort: "created_at", cell: (person) => <Time at={person.created_at} /> },
];

const TOKENS: Column<ApiToken>[] = [
  { title: "Name", sort: "name", cell: (token) => <span className="name">{token.name}</span> },
  { title: "Made", sort: "created_at", cell: (token) => <Time at={token.created_at} /> },
  { title: "Ends", cell: (token) => <Time at={token.expires_at} none="Never" /> },
  { title: "Last used", cell: (token) => <Time at={token.last_used_at} none="Never" /> },
];

export function UsersPage() {
  const me = useQuery(meQuery).data;
  const [people, setPeople] = useState("name");
  const [tokens, setTokens] = useState("name");
  const [adding, setAdding] = useState(false);
  const [revoking, setRevoking] = useState<ApiToken | null>(null);
  const cache = useQueryClient();
  const revoke = useMutation({
    mutationFn: (token: ApiToken) => send(path`/tokens/${token.id}`, { method: "DELETE" }),
    onSuccess: (_, token) => {
      told(`Token ${token.name} is revoked`);
      setRevoking(null);
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["tokens"] }),
  });
  return (
    <>
      <PageHead title="Users and tokens" />
      <Title order={2} size="h4" mb="sm">
        Users
      </Title>
      <List label="Users" columns={PEOPLE} id={(person) => person.id} list={useList<Person>("users", { sort: people }, false)} sort={people} onSort={setPeople} empty={null} />
      <Group justify="space-between" mt="xl" mb="sm">
        <div>
          <Title order={2} size="h4">
            My API tokens
          </Title>
          <Text size="sm" c="dimmed">
            For programs. Each is good in the environment {me?.environment ?? ""} and may do what you may do.
          </Text>
        </div>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)}>
          Add a token
        </Button>
      </Group>
      <List
        label="API tokens"
        columns={TOKENS}
        id={(token) => token.id}
        list={useList<ApiToken>("tokens", { sort: tokens }, 15_000)}
        sort={tokens}
        onSort={setTokens}
        empty={<Text c="dimmed">A token lets a program use the API in your name.</Text>}
        controls={(token) => (
          <Tooltip label="Revoke">
            <ActionIcon variant="subtle" color="red" aria-label={`Revoke ${token.name}`} onClick={() => setRevoking(token)}>
              <IconTrash size={18} />
            </ActionIcon>
          </Tooltip>
        )}
      />
      {adding && <TokenDialog onClose={() => setAdding(false)} />}
      {revoking && (
        <ConfirmDialog
          title={`Revoke token ${revoking.name}?`}
          means="Programs that use it are refused from now on."
          verb="Revoke"
          action={revoke}
          on={revoking}
          onClose={() => setRevoking(null)}
        />
      )}
    </>
  );
}

function TokenDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [days, setDays] = useState<number | string>(90);
  const cache = useQueryClient();
  const add = useMutation({
    mutationFn: () => get<{ secret: string }>("/tokens", { method: "POST", json: { name: name.trim(), ...(days === "" ? {} : { expires_in_days: Number(days) }) } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <Modal opened onClose={onClose} title="Add a token" closeOnClickOutside={!add.data}>
      {add.data ? (
        <Stack>
          <Alert color="yellow" title="Copy it now">
            It is not shown again. Whoever has it can do what you can do.
          </Alert>
          <CopyText label="Token" clear text={add.data.secret} verb="Copy the token" />
          <Group justify="flex-end">
            <Button onClick={onClose}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput label="Name" description="What uses it." required maxLength={100} data-autofocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
            <NumberInput label="Good for" description="Days; empty: until it is revoked." min={1} max={3660} value={days} onChange={setDays} />
            <Refused error={add.error} title="Not added" />
            <FormButtons verb="Add" sending={add.isPending} onClose={onClose} />
          </Stack>
        </form>
      )}
    </Modal>
  );
}
