// One connection: its settings as its connector wants them, its test, who uses it.

import { Button, Grid, Group, Paper, Select, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo, useState, type FormEvent } from "react";
import { ApiError, get, path } from "../api/client";
import { agentNamesQuery, connectionQuery, connectorsQuery } from "../api/queries";
import type { Connection } from "../api/types";
import { ConnectorIcon } from "../parts/ConnectorIcon";
import { Overtaken } from "../parts/Overtaken";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { fieldsOf } from "../parts/schema/fields";
import { wrongAt } from "../parts/schema/problems";
import { SchemaForm } from "../parts/schema/SchemaForm";
import { setIn } from "../parts/schema/set";
import { Words } from "../parts/schema/Words";
import { Secrets } from "../parts/Secrets";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";
import { Trial } from "../parts/Trial";
import { useUnsaved } from "../parts/unsaved";
import { DeleteDialog } from "./DeleteDialog";
import { bodyOf, draftOf, type Draft } from "./draft";
import { Kinds } from "./Kinds";
import { tried } from "./tried";
import { UsesList, useUses } from "./Uses";

const route = getRouteApi("/shell/connections/$id");

export function ConnectionPage() {
  const { id } = route.useParams();
  const { test } = route.useSearch();
  const { data: connection, error } = useQuery(connectionQuery(id));
  const [removing, setRemoving] = useState(false);
  if (!connection) return error ? <Refused error={error} title="The connection cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  return (
    <>
      <PageHead title={connection.name}>
        <Button variant="default" leftSection={<IconTrash size={16} />} onClick={() => setRemoving(true)}>
          Remove
        </Button>
      </PageHead>
      <Text size="sm" c="dimmed" mb="md">
        Changed <Time at={connection.updated_at} />
      </Text>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Editor key={connection.id} connection={connection} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Stack>
            <Trial key={connection.version} of={tried(connection)} at={test === true} means={`Agent ${connection.agent} tries what is saved, stage by stage.`} />
            <Uses connection={connection} />
          </Stack>
        </Grid.Col>
      </Grid>
      {removing && <DeleteDialog connection={connection} onClose={() => setRemoving(false)} />}
    </>
  );
}

export function NewConnectionPage() {
  return (
    <>
      <PageHead title="New connection" />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Editor />
        </Grid.Col>
      </Grid>
    </>
  );
}

function Uses({ connection }: { connection: Connection }) {
  const uses = useUses(connection);
  return (
    <Paper withBorder p="md" component="section" aria-label="Used by">
      <Title order={2} size="h5" mb="sm">
        Used by
      </Title>
      {uses.isPending ? <Skeleton h={20} /> : uses.error ? <Refused error={uses.error} title="Cannot be shown" /> : <UsesList uses={uses.data.items} />}
    </Paper>
  );
}

function Editor({ connection }: { connection?: Connection }) {
  // What the edit is based on; somebody else's newer one must not be overwritten unseen.
  const [base, setBase] = useState(connection);
  const [draft, setDraft] = useState<Draft>(() => draftOf(connection));
  const [changed, setChanged] = useState(false);
  const saved = useUnsaved(changed);
  const connectors = useQuery(connectorsQuery);
  const agents = useQuery(agentNamesQuery);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const kind = connectors.data?.find((one) => one.kind === draft.kind);
  const fields = useMemo(() => fieldsOf(kind?.connection_schema), [kind]);
  const save = useMutation({
    mutationFn: (_: { test: boolean }) => {
      if (!base) return get<Connection>("/connections", { method: "POST", json: bodyOf(draft) });
      return get<Connection>(path`/connections/${base.id}`, { method: "PUT", json: bodyOf(draft), version: base.version });
    },
    onSuccess: (next, { test }) => {
      told(base ? `Connection ${next.name} is saved` : `Connection ${next.name} is added`);
      saved.current = true;
      take(next);
      cache.setQueryData(connectionQuery(next.id).queryKey, next);
      void cache.invalidateQueries({ queryKey: ["connections", "list"] });
      void navigate({ to: `/connections/${next.id}`, search: { test: test || undefined }, replace: true });
    },
  });
  const take = (next: Connection) => {
    setBase(next);
    setDraft(draftOf(next));
    setChanged(false);
  };
  const edit = (next: Partial<Draft>) => {
    saved.current = false;
    setChanged(true);
    setDraft((now) => ({ ...now, ...next }));
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({ test: false });
  };
  const problems = save.error instanceof ApiError ? save.error.problems : [];
  const refused = save.error instanceof ApiError ? save.error : null;
  const nameTaken = refused?.code === "name_taken" ? refused.message : undefined;
  const overtaken = refused?.code === "changed_meanwhile";
  if (connectors.error) return <Refused error={connectors.error} title="The connectors cannot be shown" />;
  if (!connectors.data) return <Skeleton h={320} aria-label="Loading" />;
  return (
    <Paper withBorder p="md" component="form" onSubmit={submit} aria-label="Connection">
      <Stack gap="sm">
        {base ? (
          <Group gap="sm" wrap="nowrap">
            <ConnectorIcon kind={draft.kind} size={28} />
            <div>
              <Text fw={600}>{kind?.title ?? draft.kind}</Text>
              <Text size="sm" c="dimmed">
                {kind?.summary}
              </Text>
            </div>
          </Group>
        ) : (
          <Kinds connectors={connectors.data} value={draft.kind} onChange={(next) => edit({ kind: next, settings: {}, secrets: {} })} />
        )}
        {kind && (
          <>
            <TextInput
              label="Name"
              description="Tasks use it by this name."
              required
              error={wrongAt(problems, "/name") ?? nameTaken}
              value={draft.name}
              onChange={(event) => edit({ name: event.currentTarget.value })}
            />
            <Select
              label="Agent"
              description="It must reach what the connection leads to, and runs the steps that use it."
              required
              searchable
              nothingFoundMessage="No agent is called that"
              error={wrongAt(problems, "/agent")}
              data={agents.data?.map((agent) => ({ value: agent.name, label: agent.status === "online" ? agent.name : `${agent.name} (offline)` })) ?? []}
              value={draft.agent || null}
              onChange={(next) => edit({ agent: next ?? "" })}
            />
            <SchemaForm
              key={kind.kind}
              fields={fields}
              value={draft.settings}
              at={["settings"]}
              problems={problems}
              onChange={([, ...at], value) => edit({ settings: setIn(draft.settings, at, value) as Draft["settings"] })}
            />
            <Secrets
              known={kind.secrets}
              about="Encrypted on the server; sent only to the agent."
              open={kind.origin === "third_party"}
              set={Object.keys(base?.secrets ?? {})}
              value={draft.secrets}
              problems={problems}
              onChange={(secrets) => edit({ secrets })}
            />
            {kind.promise && (
              <Text size="xs" c="dimmed">
                Delivery: <Words text={kind.promise} />
              </Text>
            )}
            {overtaken && base ? (
              <Overtaken
                what="connection"
                onLoad={() => {
                  save.reset();
                  void cache.fetchQuery({ ...connectionQuery(base.id), staleTime: 0 }).then(take);
                }}
              />
            ) : (
              !nameTaken && <Refused error={save.error} title="Not saved" />
            )}
            <Group>
              <Button type="submit" loading={save.isPending && !save.variables.test} disabled={save.isPending || (base !== undefined && !changed)}>
                {base ? "Save" : "Add"}
              </Button>
              <Button variant="default" loading={save.isPending && save.variables.test} disabled={save.isPending || (base !== undefined && !changed)} onClick={() => save.mutate({ test: true })}>
                {base ? "Save and test" : "Add and test"}
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </Paper>
  );
}
