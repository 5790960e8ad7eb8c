// When an agent was online, as a picture.

import { Group, Paper, SegmentedControl, Skeleton, Text, Title, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { historyQuery } from "../api/queries";
import type { Agent } from "../api/types";
import { absolute, duration } from "../parts/format";
import { useNow } from "../parts/Time";
import { useZone } from "../shell/settings";

const HOUR_MS = 3_600_000;
const RANGES = [
  { value: "1", label: "Hour" },
  { value: "24", label: "Day" },
  { value: "168", label: "Week" },
];

const AGO: Record<string, string> = { 1: "1 hour ago", 24: "1 day ago", 168: "1 week ago" };

export function History({ agent }: { agent: Agent }) {
  const [hours, setHours] = useState("24");
  const [zone] = useZone();
  const now = useNow(true);
  const spans = useQuery(historyQuery(agent.id)).data?.items;
  const begin = now - Number(hours) * HOUR_MS;
  const shown = (spans ?? [])
    .map((span) => ({ from: Math.max(Date.parse(span.since), begin), to: Math.min(span.until ? Date.parse(span.until) : now, now), span }))
    .filter(({ from, to }) => to > begin && to >= from);
  const online = shown.reduce((sum, { from, to }) => sum + (to - from), 0);
  // Before it was added it could not be online.
  const young = Math.max(begin, Date.parse(agent.created_at));
  const share = Math.min(100, (100 * online) / Math.max(now - young, 1));
  const place = (at: number) => (100 * (at - begin)) / (now - begin);
  const words = `Online for ${share >= 99.95 ? "all" : `${share.toFixed(1)} %`} of the time${young > begin ? " since it was added" : ""}, in ${shown.length} ${shown.length === 1 ? "connection" : "connections"}`;
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h5">
          Connection history
        </Title>
        <SegmentedControl size="xs" aria-label="Range" data={RANGES} value={hours} onChange={setHours} />
      </Group>
      {!spans && <Skeleton h={40} />}
      {spans && (
        <>
          <div className="history" role="img" aria-label={words}>
            {shown.map(({ from, to, span }) => (
              <Tooltip
                key={span.since}
                label={`Online ${duration(Math.max(0, Math.round(to - from)))} from ${absolute(new Date(span.since), zone)}${span.address ? `, ${span.address}` : ""}`}
              >
                <div className="history-online" style={{ left: `min(${place(from)}%, 100% - 4px)`, width: `${place(to) - place(from)}%` }} />
              </Tooltip>
            ))}
          </div>
          <Group justify="space-between" mt={4}>
            <Text size="xs" c="dimmed">
              {AGO[hours]}
            </Text>
            <Text size="xs" c="dimmed">
              now
            </Text>
          </Group>
          <Text size="sm">{shown.length === 0 ? "It was not online in this time." : `${words}.`}</Text>
        </>
      )}
    </Paper>
  );
}
