// One connection: its settings as its connector wants them, its test, who uses it.

import { Badge, Button, Code, Grid, Group, MultiSelect, Paper, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { path } from "../api/client";
import { agentNamesQuery, connectionQuery, connectorsQuery } from "../api/queries";
import type { Connection, Entry } from "../api/types";
import { ConnectorIcon } from "../parts/ConnectorIcon";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { fieldsOf } from "../parts/schema/fields";
import { wrongAt, wrongWithin } from "../parts/schema/problems";
import { SchemaForm } from "../parts/schema/SchemaForm";
import { setIn } from "../parts/schema/set";
import { Words } from "../parts/schema/Words";
import { SaveOrTest } from "../parts/SaveOrTest";
import { Secrets } from "../parts/Secrets";
import { Time } from "../parts/Time";
import { Trial } from "../parts/Trial";
import { useEdited } from "../parts/useEdited";
import { DeleteDialog } from "./DeleteDialog";
import { bodyOf, draftOf, type Draft } from "./draft";
import { Kinds } from "./Kinds";
import { OpenButton } from "./OpenButton";
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
        {connection.kind === "http" && <OpenButton connection={connection} />}
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
            <Trial key={connection.version} of={tried(connection)} at={test === true} means={`Agent ${connection.agents.join(" or ")} tries what is saved, stage by stage.`} />
            <Uses connection={connection} />
            {connection.entries && <Entries entries={connection.entries} />}
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

/** Only the server's file can make them. */
function Entries({ entries }: { entries: Entry[] }) {
  return (
    <Paper withBorder p="md" component="section" aria-label="Entries">
      <Title order={2} size="h5">
        Entries
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        Addresses on the server's own machine that lead here without a login, as its configuration file says.
      </Text>
      {entries.map(({ listen, listening, reason }) => (
        <Group key={listen} gap="sm">
          <Code>{listen}</Code>
          <Badge variant="light" tt="none" color={listening ? "green" : "red"}>
            {listening ? "Listens" : "Does not listen"}
          </Badge>
          {reason && <Text size="sm">{reason}</Text>}
        </Group>
      ))}
    </Paper>
  );
}

function Editor({ connection }: { connection?: Connection }) {
  const connectors = useQuery(connectorsQuery);
  const agents = useQuery(agentNamesQuery);
  const navigate = useNavigate();
  const edited = useEdited(connection, {
    what: "Connection",
    at: (id) => (id === undefined ? "/connections" : path`/connections/${id}`),
    one: connectionQuery,
    listed: ["connections", "list"],
    draftOf,
    bodyOf,
    onSaved: (next, test) => void navigate({ to: `/connections/${next.id}`, search: { test: test || undefined }, replace: true }),
  });
  const { base, draft, edit, problems, nameTaken, submit } = edited;
  const kind = connectors.data?.find((one) => one.kind === draft.kind);
  const fields = useMemo(() => fieldsOf(kind?.connection_schema), [kind]);
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
            <MultiSelect
              label="Agent"
              description="It must reach what the connection leads to, and runs the steps that name no other. Of several, one that is online serves."
              required
              searchable
              nothingFoundMessage="No agent is called that"
              error={wrongAt(problems, "/agent") ?? wrongWithin(problems, "/agents")}
              data={agents.data?.map((agent) => ({ value: agent.name, label: agent.status === "online" ? agent.name : `${agent.name} (offline)` })) ?? []}
              value={draft.agents}
              onChange={(agents) => edit({ agents })}
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
            <SaveOrTest what="connection" edited={edited} />
          </>
        )}
      </Stack>
    </Paper>
  );
}
