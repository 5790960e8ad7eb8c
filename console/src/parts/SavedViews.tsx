// Filters of a list that a person has given a name.

import { ActionIcon, Button, Divider, Group, Modal, Popover, Stack, Text, TextInput } from "@mantine/core";
import { IconBookmark, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter, useRouterState } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { path, send } from "../api/client";
import { viewsQuery } from "../api/queries";
import type { SavedView } from "../api/types";
import { FormButtons } from "./FormButtons";
import { Refused } from "./Refused";
import { failed, told } from "./toast";

/** Views of one list: `list` is the word by which the server keeps them. */
export function SavedViews({ list }: { list: string }) {
  const views = (useQuery(viewsQuery).data?.items ?? []).filter((view) => view.list === list);
  const { pathname, searchStr } = useRouterState({ select: (state) => state.location });
  const router = useRouter();
  const [saving, setSaving] = useState(false);
  const query = searchStr.replace(/^\?/, "");
  const { forget } = useViews();
  const [opened, setOpened] = useState(false);
  const open = (view: SavedView) => {
    setOpened(false);
    router.history.push(`${pathname}${view.query ? `?${view.query}` : ""}`);
  };
  const save = () => {
    setOpened(false);
    setSaving(true);
  };
  const shown = views.find((view) => view.query === query);
  return (
    <>
      <Popover position="bottom-end" width={280} trapFocus opened={opened} onChange={setOpened}>
        <Popover.Target>
          <Button variant="default" leftSection={<IconBookmark size={16} />} onClick={() => setOpened(!opened)}>
            {shown ? shown.name : "Views"}
          </Button>
        </Popover.Target>
        <Popover.Dropdown p={4} aria-label="Views">
          {views.length === 0 && (
            <Text size="sm" c="dimmed" px="sm" py="xs">
              Set filters, then save them under a name.
            </Text>
          )}
          {views.map((view) => (
            <Group key={view.name} gap={0} wrap="nowrap">
              <Button variant="subtle" color="gray" justify="flex-start" flex={1} miw={0} onClick={() => open(view)}>
                {view.name}
              </Button>
              <ActionIcon variant="subtle" color="gray" aria-label={`Forget view ${view.name}`} onClick={() => forget.mutate(view)}>
                <IconTrash size={16} />
              </ActionIcon>
            </Group>
          ))}
          <Divider my={4} />
          <Button variant="subtle" color="gray" justify="flex-start" fullWidth onClick={save}>
            Save this view...
          </Button>
        </Popover.Dropdown>
      </Popover>
      {saving && <SaveDialog list={list} query={query} onClose={() => setSaving(false)} />}
    </>
  );
}

function useViews() {
  const cache = useQueryClient();
  const refresh = () => cache.invalidateQueries({ queryKey: ["views"] });
  const save = useMutation({
    mutationFn: (view: SavedView) => send(path`/views/${view.list}/${view.name}`, { method: "PUT", json: { query: view.query } }),
    onSuccess: (_, view) => told(`View ${view.name} is saved`),
    onSettled: refresh,
  });
  const forget = useMutation({
    mutationFn: (view: SavedView) => send(path`/views/${view.list}/${view.name}`, { method: "DELETE" }),
    onError: (error) => failed("The view was not forgotten", error),
    onSettled: refresh,
  });
  return { save, forget };
}

function SaveDialog({ list, query, onClose }: { list: string; query: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const { save } = useViews();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({ list, name: name.trim(), query }, { onSuccess: onClose });
  };
  return (
    <Modal opened onClose={onClose} title="Save this view">
      <form onSubmit={submit}>
        <Stack>
          <TextInput
            label="Name"
            description="Yours alone, in this environment. The same name again replaces it."
            required
            maxLength={60}
            data-autofocus
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Refused error={save.error} title="Not saved" />
          <FormButtons sending={save.isPending} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}
