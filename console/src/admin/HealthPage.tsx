// Whether the server is well, and what it does.

import { Alert, Anchor, Badge, SimpleGrid, Skeleton, Stack, Text } from "@mantine/core";
import { IconCheck, IconX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { EVERY_MS } from "../api/queries";
import { Facts } from "../parts/Facts";
import { bytes, count } from "../parts/format";
import { PageHead } from "../parts/PageHead";
import { Refused } from "../parts/Refused";
import { figures } from "./figures";

interface Health {
  ready: boolean;
  /** What the server says about it, where it is not ready. */
  why: string;
  figures: ReadonlyMap<string, number>;
}

async function health(signal: AbortSignal): Promise<Health> {
  const [ready, metrics] = await Promise.all([fetch("/readyz", { signal }), fetch("/metrics", { signal })]);
  if (!metrics.ok) throw new Error(`the server's figures cannot be read: it answered ${metrics.status}`);
  return { ready: ready.ok, why: (await ready.text()).trim(), figures: figures(await metrics.text()) };
}

export function HealthPage() {
  const { data, error } = useQuery({ queryKey: ["health"], queryFn: ({ signal }) => health(signal), refetchInterval: EVERY_MS });
  return (
    <>
      <PageHead title="System health" badge={data && <Ready ready={data.ready} />} />
      {!data && (error ? <Refused error={error} title="The server's health cannot be shown" /> : <Skeleton h={240} aria-label="Loading" />)}
      {data && (
        <Stack>
          {!data.ready && (
            <Alert color="red" title="The server is not ready">
              {data.why}
            </Alert>
          )}
          <Shown figures={data.figures} />
          <Text size="sm" c="dimmed">
            Since the server's start, of the whole installation. Programs read the same at{" "}
            <Anchor href="/metrics" size="sm" underline="always">
              /metrics
            </Anchor>
            ,{" "}
            <Anchor href="/readyz" size="sm" underline="always">
              /readyz
            </Anchor>{" "}
            and{" "}
            <Anchor href="/livez" size="sm" underline="always">
              /livez
            </Anchor>
            ; the API is described at{" "}
            <Anchor href="/api/docs" size="sm" underline="always">
              /api/docs
            </Anchor>
            .
          </Text>
        </Stack>
      )}
    </>
  );
}

function Ready({ ready }: { ready: boolean }) {
  const Icon = ready ? IconCheck : IconX;
  return (
    <Badge variant="light" tt="none" color={ready ? "green" : "red"} leftSection={<Icon size={13} aria-hidden />}>
      {ready ? "Ready" : "Not ready"}
    </Badge>
  );
}

function Shown({ figures }: { figures: ReadonlyMap<string, number> }) {
  const of = (name: string) => count(figures.get(name) ?? 0);
  const requests = figures.get("http_request_duration_seconds_count") ?? 0;
  const seconds = figures.get("http_request_duration_seconds_sum") ?? 0;
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Facts
        title="Runs"
        facts={[
          ["Not ended", of("runs_open")],
          ["Waiting for their turn", of("runs_queued")],
          ["Started", of("runs_started_total")],
          ["Ended", of("runs_ended_total")],
        ]}
      />
      <Facts
        title="Agents"
        facts={[
          ["Agents online", of("agents_online")],
          ["Wrappers online", of("wrappers_online")],
          ["Let in", of("logins_total")],
          ["Turned away", of("logins_refused_total")],
        ]}
      />
      <Facts
        title="Data between agents"
        facts={[
          ["Streams open", of("relay_streams_open")],
          ["Streams", of("relay_streams_total")],
          ["Passed on", bytes(figures.get("relay_bytes_total") ?? 0)],
          ["Connections kept ready", of("data_connections_idle")],
        ]}
      />
      <Facts
        title="Requests"
        facts={[
          ["Answered", count(requests)],
          ["Took on average", requests > 0 ? `${((1000 * seconds) / requests).toFixed(1)} ms` : "-"],
          ["TLS handshakes that failed", of("tls_handshakes_failed_total")],
          ["Notices sent, failed", `${of("notices_sent_total")}, ${of("notices_failed_total")}`],
        ]}
      />
    </SimpleGrid>
  );
}
