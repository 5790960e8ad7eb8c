// What pages ask for, each with the pace at which it is asked again.

import { keepPreviousData, queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, path, type Query } from "./client";
import type { Agent, AgentCounts, AgentUse, Channel, Connection, Connector, Crash, Environment, Licence, Me, OnlineSpan, Page, Run, SavedView, Task, TaskSummary } from "./types";

/** Lists and states that people watch. */
export const EVERY_MS = 3000;

/** Rows that are fetched at once. */
const ROWS = 100;

export const meQuery = queryOptions({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", { signal }), staleTime: 60_000 });

export const environmentsQuery = queryOptions({
  queryKey: ["environments"],
  queryFn: ({ signal }) => get<Page<Environment>>("/environments", { signal }),
  staleTime: 60_000,
});

export const countsQuery = queryOptions({
  queryKey: ["agents", "counts"],
  queryFn: ({ signal }) => get<AgentCounts>("/agents-status", { signal }),
  refetchInterval: EVERY_MS,
});

export const licenceQuery = queryOptions({
  queryKey: ["licence"],
  queryFn: ({ signal }) => get<Licence>("/licence", { signal }),
  refetchInterval: 5 * EVERY_MS,
});

export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: ["agents", "one", id],
    queryFn: ({ signal }) => get<Agent>(path`/agents/${id}`, { signal }),
    refetchInterval: EVERY_MS,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", "one", id],
    queryFn: ({ signal }) => get<Run>(path`/runs/${id}`, { signal }),
    refetchInterval: (query) => (query.state.data?.ended ? false : 1000),
  });

export const taskQuery = (id: string) =>
  queryOptions({ queryKey: ["tasks", "one", id], queryFn: ({ signal }) => get<Task>(path`/tasks/${id}`, { signal }) });

export const connectorsQuery = queryOptions({
  queryKey: ["connectors"],
  queryFn: async ({ signal }) => (await get<Page<Connector>>("/connectors", { signal })).items,
  staleTime: Infinity,
});

export const connectionQuery = (id: string) =>
  queryOptions({
    queryKey: ["connections", "one", id],
    queryFn: ({ signal }) => get<Connection>(path`/connections/${id}`, { signal }),
  });

export const channelQuery = (id: string) =>
  queryOptions({
    queryKey: ["notifications/channels", "one", id],
    queryFn: ({ signal }) => get<Channel>(path`/notifications/channels/${id}`, { signal }),
  });

/** Those among which a form lets choose. */
export const agentNamesQuery = queryOptions({
  queryKey: ["agents", "names"],
  queryFn: async ({ signal }) => (await get<Page<Agent>>("/agents", { signal, query: { active: true, limit: 500, sort: "name" } })).items,
  staleTime: 10_000,
});

export const taskNamesQuery = queryOptions({
  queryKey: ["tasks", "names"],
  queryFn: async ({ signal }) => (await get<Page<TaskSummary>>("/tasks", { signal, query: { limit: 500, sort: "name" } })).items,
  staleTime: 10_000,
});

export const taskSchemaQuery = queryOptions({
  queryKey: ["task-schema"],
  queryFn: ({ signal }) => get<object>("/task-schema", { signal }),
  staleTime: Infinity,
});

export const connectionNamesQuery = queryOptions({
  queryKey: ["connections", "names"],
  queryFn: async ({ signal }) => (await get<Page<Connection>>("/connections", { signal, query: { limit: 500, sort: "name" } })).items,
  staleTime: 10_000,
});

/** The open runs with a step on an agent, each with its steps. */
export const workOfQuery = (agent: Agent) =>
  queryOptions({
    queryKey: ["agents", "work", agent.id],
    queryFn: async ({ signal }) => {
      const open = await get<Page<Run>>("/runs", { signal, query: { open: true, agent: agent.id, limit: 50, sort: "-queued_at" } });
      const runs = await Promise.all(open.items.map((run) => get<Run>(path`/runs/${run.id}`, { signal })));
      return runs.filter((run) => stepsOn(run, agent.name).length > 0);
    },
    refetchInterval: EVERY_MS,
  });

/** The steps of a run that an agent has not ended. */
export function stepsOn(run: Run, agent: string): string[] {
  const open = (run.steps ?? []).filter((step) => step.agent === agent && !step.finished_at);
  return [...new Set(open.map((step) => step.step))];
}

/** How far back an agent's runs are looked for, in milliseconds. */
const LATELY_MS = 7 * 24 * 3600 * 1000;

export const latelyOnQuery = (agent: string) =>
  queryOptions({
    queryKey: ["runs", "lately", agent],
    queryFn: ({ signal }) => {
      const since = new Date(Date.now() - LATELY_MS).toISOString();
      return get<Page<Run>>("/runs", { signal, query: { agent, open: false, since, limit: 10, sort: "-queued_at" } });
    },
    refetchInterval: 5 * EVERY_MS,
  });

export const historyQuery = (agent: string) =>
  queryOptions({
    queryKey: ["agents", "history", agent],
    queryFn: ({ signal }) => get<Page<OnlineSpan>>(path`/agents/${agent}/history`, { signal }),
    refetchInterval: 5 * EVERY_MS,
  });

export const usesQuery = (agent: string) =>
  queryOptions({
    queryKey: ["agents", "uses", agent],
    queryFn: ({ signal }) => get<Page<AgentUse>>(path`/agents/${agent}/uses`, { signal }),
    refetchInterval: 5 * EVERY_MS,
  });

export const crashesQuery = (agent: string) =>
  queryOptions({
    queryKey: ["agents", "crashes", agent],
    queryFn: ({ signal }) => get<Page<Crash>>(path`/agents/${agent}/crashes`, { signal }),
    refetchInterval: 5 * EVERY_MS,
  });

export const viewsQuery = queryOptions({
  queryKey: ["views"],
  queryFn: ({ signal }) => get<Page<SavedView>>("/views", { signal }),
  staleTime: 60_000,
});

export const connectionsOfQuery = (agent: string) =>
  queryOptions({
    queryKey: ["connections", "of", agent],
    queryFn: ({ signal }) => get<Page<Connection>>("/connections", { signal, query: { agent, limit: 100 } }),
  });

/** A list, one page at a time. */
export function useList<T>(what: string, query: Query, every: number | false = EVERY_MS) {
  const key = JSON.stringify([what, query]);
  // Where the pages before this one ended; another filter or sort begins anew.
  const [trail, setTrail] = useState<{ key: string; cursors: string[] }>({ key, cursors: [] });
  const cursors = trail.key === key ? trail.cursors : [];
  const list = useQuery({
    queryKey: [what, "list", query, cursors.at(-1) ?? null],
    queryFn: ({ signal }) => get<Page<T>>(`/${what}`, { signal, query: { ...query, limit: ROWS, cursor: cursors.at(-1) } }),
    refetchInterval: every,
    placeholderData: keepPreviousData,
  });
  const next = list.data?.next_cursor;
  return {
    rows: list.data?.items ?? [],
    total: list.data?.total ?? 0,
    isPending: list.isPending,
    error: list.error,
    /** Rows before the first one shown. */
    skipped: cursors.length * ROWS,
    next: next ? () => setTrail({ key, cursors: [...cursors, next] }) : undefined,
    previous: cursors.length > 0 ? () => setTrail({ key, cursors: cursors.slice(0, -1) }) : undefined,
  };
}

/** A list that only grows: rows that were asked for stay, because others are compared with them. */
export function useGrowingList<T>(what: string, query: Query) {
  const list = useInfiniteQuery({
    queryKey: [what, "growing", query],
    queryFn: ({ signal, pageParam }) =>
      get<Page<T>>(`/${what}`, { signal, query: { ...query, limit: ROWS, cursor: pageParam } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const pages = list.data?.pages ?? [];
  return { ...list, rows: pages.flatMap((page) => page.items), total: pages[0]?.total ?? 0 };
}
