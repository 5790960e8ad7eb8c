// An agent's log, with its wrapper's and the server's words about it.

import { Anchor, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { download, get, path, save, type Query } from "../api/client";
import { agentQuery } from "../api/queries";
import type { LogLine, Page } from "../api/types";
import { LevelFilter } from "../parts/LevelFilter";
import { LogView } from "../parts/LogView";
import { PageHead } from "../parts/PageHead";
import { SearchField } from "../parts/SearchField";
import { AgentBadge } from "../parts/StateBadge";
import { useTail } from "../parts/tail";

const route = getRouteApi("/shell/agents/$id/log");

/** Lines that are loaded at once. */
const AT_ONCE = 500;

export function AgentLogPage() {
  const { id } = route.useParams();
  const agent = useQuery(agentQuery(id)).data;
  const { level, source, search, line } = route.useSearch();
  const navigate = route.useNavigate();
  const filters = { level, source, search };
  const lines = async (query: Query, signal?: AbortSignal) => {
    const page = await get<Page<LogLine>>(path`/agents/${id}/log`, { ...(signal ? { signal } : {}), query: { ...filters, limit: AT_ONCE, ...query } });
    return page.items;
  };
  const before = async (seq: number | undefined, signal?: AbortSignal) => (await lines({ before: seq, sort: "-seq" }, signal)).reverse();
  const named = line === undefined ? undefined : Number(line);
  const key = JSON.stringify([id, filters, line]);
  const tail = useTail<LogLine>(key, {
    history: async (signal) => {
      if (named === undefined) return before(undefined, signal);
      const [old, young] = await Promise.all([before(named, signal), lines({ after: named - 1, sort: "seq" }, signal)]);
      return [...old, ...young];
    },
    ...(named === undefined ? { stream: "/logs/stream", query: { ...filters, agent: id } } : {}),
  });
  const change = (next: Partial<typeof filters> & { line?: string | undefined }) => void navigate({ search: (now) => ({ ...now, line: undefined, ...next }), replace: true });
  const seek = async (from: { after: number } | { before: number }) => {
    const [found] = await lines({ ...from, level: level === "Fatal" ? level : "Error", sort: "after" in from ? "seq" : "-seq", limit: 1 });
    if (found) change({ line: String(found.seq) });
    return found !== undefined;
  };
  return (
    <>
      <PageHead title={agent ? `Log of ${agent.name}` : "Agent log"} badge={agent && <AgentBadge agent={agent} />}>
        <Anchor component={Link} to={`/agents/${id}`} size="sm">
          To the agent
        </Anchor>
      </PageHead>
      <LogView
        label="Agent log"
        tail={tail}
        source={(line) => line.source}
        file={`${agent?.name ?? "agent"}.log`}
        height="calc(100dvh - 240px)"
        {...(tail.lines.length >= AT_ONCE || named !== undefined ? { older: before } : {})}
        seek={seek}
        line={named}
        link={(line) => `${location.origin}/agents/${id}/log?line=${line.seq}`}
        onLive={() => named !== undefined && change({})}
        whole={async () => {
          const whole = await download(path`/agents/${id}/log/download`, { query: filters });
          save(whole.name, whole.blob);
        }}
        of={key}
        filters={
          <>
            <SearchField label="Search in messages" value={search} onChange={(next) => change({ search: next })} />
            <LevelFilter value={level} onChange={(next) => change({ level: next })} />
            <Select
              w={150}
              aria-label="Written by"
              placeholder="Every writer"
              clearable
              data={["agent", "wrapper", "server"]}
              value={source ?? null}
              onChange={(next) => change({ source: next ?? undefined })}
            />
          </>
        }
      />
    </>
  );
}
