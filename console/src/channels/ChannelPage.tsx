// One channel: where notices go, what it tells, a test.

import { Button, Grid, Group, NumberInput, Paper, SegmentedControl, Skeleton, Stack, Switch, Text, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { ApiError, get, path, send } from "../api/client";
import { channelQuery } from "../api/queries";
import type { Channel } from "../api/types";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { Facts } from "../parts/Facts";
import { Overtaken } from "../parts/Overtaken";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { Said } from "../parts/Said";
import { wrongAt } from "../parts/schema/problems";
import { SchemaForm } from "../parts/schema/SchemaForm";
import { setIn } from "../parts/schema/set";
import { Secrets } from "../parts/Secrets";
import { Time } from "../parts/Time";
import { told } from "../parts/toast";
import { Trial } from "../parts/Trial";
import { useUnsaved } from "../parts/unsaved";
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
      void navigate({ to: "/notifications" });
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["notifications/channels"] }),
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
  // What the edit is based on; somebody else's newer one must not be overwritten unseen.
  const [base, setBase] = useState(channel);
  const [draft, setDraft] = useState<Draft>(() => draftOf(channel));
  const [changed, setChanged] = useState(false);
  const saved = useUnsaved(changed);
  const cache = useQueryClient();
  const navigate = useNavigate();
  const kind = KINDS[draft.kind];
  const take = (next: Channel) => {
    setBase(next);
    setDraft(draftOf(next));
    setChanged(false);
  };
  const edit = (next: Partial<Draft>) => {
    saved.current = false;
    setChanged(true);
    setDraft((now) => ({ ...now, ...next }));
  };
  const save = useMutation({
    mutationFn: (_: { test: boolean }) => {
      if (!base) return get<Channel>("/notifications/channels", { method: "POST", json: bodyOf(draft) });
      return get<Channel>(path`/notifications/channels/${base.id}`, { method: "PUT", json: bodyOf(draft), version: base.version });
    },
    onSuccess: (next, { test }) => {
      told(base ? `Channel ${next.name} is saved` : `Channel ${next.name} is added`);
      saved.current = true;
      take(next);
      cache.setQueryData(channelQuery(next.id).queryKey, next);
      void cache.invalidateQueries({ queryKey: ["notifications/channels"] });
      void navigate({ to: `/notifications/${next.id}`, search: { test: test || undefined }, replace: true });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({ test: false });
  };
  const refused = save.error instanceof ApiError ? save.error : null;
  const problems = refused?.problems ?? [];
  const nameTaken = refused?.code === "name_taken" ? refused.message : undefined;
  const idle = save.isPending || (base !== undefined && !changed);
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
        {refused?.code === "changed_meanwhile" && base ? (
          <Overtaken
            what="channel"
            onLoad={() => {
              save.reset();
              void cache.fetchQuery({ ...channelQuery(base.id), staleTime: 0 }).then(take);
            }}
          />
        ) : (
          !nameTaken && <Refused error={save.error} title="Not saved" />
        )}
        <Group>
          <Button type="submit" loading={save.isPending && !save.variables.test} disabled={idle}>
            {base ? "Save" : "Add"}
          </Button>
          <Button variant="default" loading={save.isPending && save.variables.test} disabled={idle} onClick={() => save.mutate({ test: true })}>
            {base ? "Save and test" : "Add and test"}
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}
