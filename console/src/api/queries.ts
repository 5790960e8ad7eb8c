// What pages ask for, each with the pace at which it is asked again.

import { keepPreviousData, queryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { get, path, type Query } from "./client";
import type { Agent, AgentCounts, Connection, Environment, Licence, Me, Page, Run, Task } from "./types";

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

/** The runs that an agent works on now, and those of its connections. */
export const workOfQuery = (agent: Agent) =>
  queryOptions({
    queryKey: ["agents", "work", agent.id],
    queryFn: async ({ signal }) => {
      const open = await get<Page<Run>>("/runs", { signal, query: { open: true, limit: 50, sort: "-queued_at" } });
      const runs = await Promise.all(open.items.map((run) => get<Run>(path`/runs/${run.id}`, { signal })));
      return runs.filter((run) => run.steps?.some((step) => step.agent === agent.name && !step.finished_at));
    },
    refetchInterval: EVERY_MS,
  });

export const connectionsOfQuery = (agent: string) =>
  queryOptions({
    queryKey: ["connections", "of", agent],
    queryFn: ({ signal }) => get<Page<Connection>>("/connections", { signal, query: { agent, limit: 100 } }),
  });

/** A list, page after page. */
export function useList<T>(what: string, query: Query, every: number | false = EVERY_MS) {
  const list = useInfiniteQuery({
    queryKey: [what, "list", query],
    queryFn: ({ signal, pageParam }) =>
      get<Page<T>>(`/${what}`, { signal, query: { ...query, limit: ROWS, cursor: pageParam } }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchInterval: every,
    placeholderData: keepPreviousData,
  });
  const pages = list.data?.pages ?? [];
  return { ...list, rows: pages.flatMap((page) => page.items), total: pages[0]?.total ?? 0 };
}
