// An agent's log, with its wrapper's and the server's words about it.

import { Anchor, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { get, path } from "../api/client";
import { agentQuery } from "../api/queries";
import type { LogLine, Page } from "../api/types";
import { LevelFilter } from "../parts/LevelFilter";
import { LogView } from "../parts/LogView";
import { PageHead } from "../parts/PageHead";
import { SearchField } from "../parts/SearchField";
import { AgentBadge } from "../parts/StateBadge";
import { useTail } from "../parts/tail";

const route = getRouteApi("/shell/agents/$id/log");

/** Lines that are shown from before the page was opened. */
const BEFORE = 500;

export function AgentLogPage() {
  const { id } = route.useParams();
  const { level, source, search } = route.useSearch();
  const navigate = route.useNavigate();
  const agent = useQuery(agentQuery(id)).data;
  const filters = { level, source, search };
  const tail = useTail<LogLine>(JSON.stringify([id, filters]), {
    history: async (signal) => {
      const query = { ...filters, sort: "-seq", limit: BEFORE };
      const page = await get<Page<LogLine>>(path`/agents/${id}/log`, { signal, query });
      return page.items.reverse();
    },
    stream: "/logs/stream",
    query: { ...filters, agent: id },
  });
  const change = (next: Partial<typeof filters>) => void navigate({ search: (now) => ({ ...now, ...next }), replace: true });
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
