// One channel: where notices go, what it tells, a test.

import { Button, Grid, NumberInput, Paper, SegmentedControl, Skeleton, Stack, Switch, Text, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { forgetLists } from "../api/cache";
import { path, send } from "../api/client";
import { channelQuery } from "../api/queries";
import type { Channel } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { Facts } from "../parts/Facts";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Said } from "../parts/Said";
import { SaveOrTest } from "../parts/SaveOrTest";
import { wrongAt } from "../parts/schema/problems";
import { SchemaForm } from "../parts/schema/SchemaForm";
import { setIn } from "../parts/schema/set";
import { Secrets } from "../parts/Secrets";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";
import { Trial } from "../parts/Trial";
import { useEdited } from "../parts/useEdited";
import { bodyOf, draftOf, type Draft } from "./draft";
import { KINDS, kindWord } from "./kinds";
import { Rules } from "./Rules";
import { tried } from "./tried";

const route = getRouteApi("/shell/notifications/$id");

export function ChannelPage() {
  const { id } = route.useParams();
  const { test } = route.useSearch();
  const { data: channel, error } = useQuery(channelQuery(id));
  if (!channel) return error ? <Refused error={error} title="The channel cannot be shown" /> : <Skeleton h={320} aria-label="Loading" />;
  return (
    <>
      <PageHead title={channel.name}>
        <Remove channel={channel} />
      </PageHead>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Editor key={channel.id} channel={channel} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Stack>
            <Trial key={channel.version} of={tried(channel)} at={test === true} means="Sends a test notice through what is saved." />
            <Facts
              title="How it went"
              facts={[
                ["Last sent", <Time at={channel.last_sent_at} none="Never" />],
                ["Last failed", <Time at={channel.last_failed_at} none="Never" />],
                ["Problem", channel.problem ? <Said text={channel.problem} /> : "None"],
                ["Changed", <Time at={channel.updated_at} />],
              ]}
            />
          </Stack>
        </Grid.Col>
      </Grid>
    </>
  );
}

export function NewChannelPage() {
  return (
    <>
      <PageHead title="New channel" />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Editor />
        </Grid.Col>
      </Grid>
    </>
  );
}

function Remove({ channel }: { channel: Channel }) {
  const [asking, setAsking] = useState(false);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: ({ id, version }: Channel) => send(path`/notifications/channels/${id}`, { method: "DELETE", version }),
    onSuccess: () => {
      told(`Channel ${channel.name} is removed`);
      forgetLists("notifications/channels");
      void navigate({ to: "/notifications" });
    },
    onError: () => cache.invalidateQueries({ queryKey: ["notifications/channels"] }),
  });
  return (
    <>
      <Button variant="default" leftSection={<IconTrash size={16} />} onClick={() => setAsking(true)}>
        Remove
      </Button>
      {asking && (
        <ConfirmDialog
          title={`Remove channel ${channel.name}?`}
          means="Nobody is told through it any more, and what waits for it is not sent."
          verb="Remove"
          action={remove}
          on={channel}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Editor({ channel }: { channel?: Channel }) {
  const navigate = useNavigate();
  const edited = useEdited(channel, {
    what: "Channel",
    at: (id) => (id === undefined ? "/notifications/channels" : path`/notifications/channels/${id}`),
    one: channelQuery,
    listed: ["notifications/channels"],
    draftOf,
    bodyOf,
    onSaved: (next, test) => void navigate({ to: `/notifications/${next.id}`, search: { test: test || undefined }, replace: true }),
  });
  const { base, draft, edit, problems, nameTaken, submit } = edited;
  const kind = KINDS[draft.kind];
  return (
    <Paper withBorder p="md" component="form" onSubmit={submit} aria-label="Channel">
      <Stack gap="sm">
        {base ? (
          <Text fw={600}>{kindWord(base.kind)}</Text>
        ) : (
          <div>
            <SegmentedControl
              aria-label="Kind"
              data={Object.entries(KINDS).map(([value, { label }]) => ({ value, label }))}
              value={draft.kind}
              onChange={(next) => edit({ kind: next, settings: {}, secrets: {} })}
            />
            <Text size="sm" c="dimmed" mt={6}>
              {kind?.about}
            </Text>
          </div>
        )}
        <TextInput
          label="Name"
          required
          maxLength={128}
          error={wrongAt(problems, "/name") ?? nameTaken}
          value={draft.name}
          onChange={(event) => edit({ name: event.currentTarget.value })}
        />
        {kind && (
          <>
            <SchemaForm
              key={draft.kind}
              fields={kind.fields}
              value={draft.settings}
              at={["settings"]}
              problems={problems}
              main={(field) => kind.main.includes(field.name)}
              onChange={([, ...at], value) => edit({ settings: setIn(draft.settings, at, value) as Draft["settings"] })}
            />
            <Secrets
              known={[kind.secret]}
              about={kind.secretAbout}
              open={false}
              set={Object.keys(base?.secrets ?? {})}
              value={draft.secrets}
              problems={problems}
              onChange={(secrets) => edit({ secrets })}
            />
          </>
        )}
        <Rules rules={draft.rules} problems={problems} onChange={(rules) => edit({ rules })} />
        <NumberInput
          label="Notices an hour"
          description="At most, 1 to 1,000; what is more is summed up in one."
          min={1}
          max={1000}
          error={wrongAt(problems, "/hourly")}
          value={draft.hourly}
          onChange={(next) => edit({ hourly: Number(next) })}
          maw={320}
        />
        <Switch label="Active" description="An inactive channel tells nothing; what waits for it stays." checked={draft.active} onChange={(event) => edit({ active: event.currentTarget.checked })} />
        <SaveOrTest what="channel" edited={edited} />
      </Stack>
    </Paper>
  );
}
