// Ctrl-K: to a page, an agent, a task, a connection or a run, by a part of its name.

import { Group, Kbd, Loader, Modal, ScrollArea, Text, TextInput, UnstyledButton, VisuallyHidden } from "@mantine/core";
import { useDebouncedValue, useHotkeys } from "@mantine/hooks";
import { IconListDetails, IconPlayerPlay, IconPlug, IconSearch, IconServer2, type Icon } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useId, useRef, useState } from "react";
import { get } from "../api/client";
import type { Agent, Connection, Page, Run, TaskSummary } from "../api/types";
import { absolute, words } from "../parts/format";
import { ADMINISTRATION, START, WORK } from "./pages";
import { useZone } from "./settings";

/** Typing pauses this long before the server is asked, in milliseconds. */
const PAUSE_MS = 150;

/** Of each kind. */
const MOST = 5;

interface Hit {
  to: string;
  kind: string;
  label: string;
  note?: string;
  Icon: Icon;
}

export function Find() {
  const [opened, setOpened] = useState(false);
  useHotkeys([["mod+K", () => setOpened(true)]], []);
  return (
    <>
      <UnstyledButton className="find" aria-keyshortcuts="Control+K" onClick={() => setOpened(true)}>
        <IconSearch size={16} aria-hidden />
        <VisuallyHidden hiddenFrom="md">Search</VisuallyHidden>
        <Text size="sm" visibleFrom="md" span>
          Search
        </Text>
        <Kbd size="xs" visibleFrom="md">
          Ctrl K
        </Kbd>
      </UnstyledButton>
      {opened && <FindDialog onClose={() => setOpened(false)} />}
    </>
  );
}

function FindDialog({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [asked] = useDebouncedValue(typed.trim(), PAUSE_MS);
  const [at, setAt] = useState(0);
  const router = useRouter();
  const found = useHits(asked);
  const hits = [...pagesFor(typed.trim()), ...(typed.trim() ? (found.data ?? []) : [])];
  const chosen = Math.min(at, Math.max(hits.length - 1, 0));
  const list = useId();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.querySelector(`[id="${list}-${chosen}"]`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, list]);
  const go = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    router.history.push(hit.to);
  };
  return (
    <Modal opened onClose={onClose} withCloseButton={false} padding={0} size="lg" yOffset="10dvh" aria-label="Search">
      <TextInput
        data-autofocus
        size="md"
        variant="unstyled"
        px="md"
        placeholder="Pages, agents, tasks, connections, runs"
        aria-label="Search"
        role="combobox"
        aria-expanded={hits.length > 0}
        aria-controls={list}
        aria-activedescendant={hits.length > 0 ? `${list}-${chosen}` : undefined}
        leftSection={<IconSearch size={18} aria-hidden />}
        leftSectionWidth={44}
        rightSection={found.isFetching ? <Loader size="xs" /> : null}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt((chosen + 1) % Math.max(hits.length, 1));
          else if (event.key === "ArrowUp") setAt((chosen + hits.length - 1) % Math.max(hits.length, 1));
          else if (event.key === "Enter") go(hits[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      <ScrollArea.Autosize mah="55dvh" type="auto" scrollbars="y" className="find-box" viewportRef={box} viewportProps={{ tabIndex: 0, role: "region", "aria-label": "What was found" }}>
        <div role="listbox" id={list} aria-label="Found" className="find-hits">
          {hits.map((hit, index) => (
            <div key={`${hit.kind} ${hit.to}`} id={`${list}-${index}`} role="option" aria-selected={index === chosen} onClick={() => go(hit)} onMouseMove={() => setAt(index)}>
              <hit.Icon size={16} aria-hidden />
              <Text size="sm" truncate flex={1}>
                {hit.label}
              </Text>
              <Text size="xs" truncate className="find-kind">
                {hit.note ?? hit.kind}
              </Text>
            </div>
          ))}
        </div>
        {hits.length === 0 && !found.isFetching && (
          <Text size="sm" c="dimmed" p="md" role="status">
            Nothing has this in its name.
          </Text>
        )}
        {found.isError && (
          <Text size="sm" c="red" px="md" pb="md" role="alert">
            The server was not asked: {found.error.message}
          </Text>
        )}
      </ScrollArea.Autosize>
      <Group gap="xs" px="md" py="xs" className="find-keys" visibleFrom="xs">
        <Kbd size="xs">↑</Kbd>
        <Kbd size="xs">↓</Kbd>
        <Text size="xs">choose</Text>
        <Kbd size="xs">Enter</Kbd>
        <Text size="xs">open</Text>
        <Kbd size="xs">Esc</Kbd>
        <Text size="xs">close</Text>
      </Group>
    </Modal>
  );
}

function pagesFor(typed: string): Hit[] {
  const wanted = typed.toLowerCase();
  const pages = [...WORK, ...ADMINISTRATION, START].filter(({ label, also }) => `${label} ${also ?? ""}`.toLowerCase().includes(wanted));
  return pages.slice(0, typed ? MOST : undefined).map(({ to, label, Icon }) => ({ to, label, Icon, kind: "Page" }));
}

function useHits(asked: string) {
  const [zone] = useZone();
  return useQuery({
    queryKey: ["find", asked],
    enabled: asked !== "",
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<Hit[]> => {
      const ask = <T,>(list: string, more = {}) => get<Page<T>>(`/${list}`, { signal, query: { search: asked, limit: MOST, ...more } });
      const [agents, tasks, connections, runs] = await Promise.all([
        ask<Agent>("agents"),
        ask<TaskSummary>("tasks"),
        ask<Connection>("connections"),
        ask<Run>("runs", { sort: "-queued_at" }),
      ]);
      return [
        ...agents.items.map((agent) => ({ to: `/agents/${agent.id}`, kind: "Agent", label: agent.name, Icon: IconServer2 })),
        ...tasks.items.map((task) => ({ to: `/tasks/${task.id}`, kind: "Task", label: task.name, Icon: IconListDetails })),
        ...connections.items.map((connection) => ({ to: `/connections?search=${encodeURIComponent(connection.name)}`, kind: "Connection", label: connection.name, Icon: IconPlug })),
        ...runs.items.map((run) => ({
          to: `/runs/${run.id}`,
          kind: "Run",
          label: run.task,
          note: `Run, ${words(run.state).toLowerCase()}, ${absolute(new Date(run.queued_at), zone).slice(0, 16)}`,
          Icon: IconPlayerPlay,
        })),
      ];
    },
  });
}
