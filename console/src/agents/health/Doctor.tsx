// Has an agent's wrapper look at its installation, also while the agent is down: one row for each check.

import { Button, Group, Loader, Paper, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck, IconCircleMinus, IconCircleX, IconFileZip, IconStethoscope, type Icon } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { download, get, path, save } from "../../api/client";
import type { Agent, Examination, Finding } from "../../api/types";
import { sentence, words } from "../../parts/format";
import { Refused } from "../../parts/Refused";
import { Said } from "../../parts/Said";
import { Time } from "../../parts/Time";
import { failed } from "../../parts/toast";

export function Doctor({ agent }: { agent: Agent }) {
  const reachable = agent.wrapper.status === "online";
  const examine = useMutation({ mutationFn: () => get<Examination>(path`/agents/${agent.id}/doctor`, { method: "POST" }) });
  const bundle = useMutation({
    mutationFn: async () => {
      const file = await download(path`/agents/${agent.id}/bundle`, { method: "POST" });
      save(file.name, file.blob);
    },
    onError: (error) => failed(`The bundle of ${agent.name} was not made`, error),
  });
  return (
    <Paper withBorder p="md" component="section" aria-label="Doctor">
      <Stack gap="sm">
        <Group justify="space-between" align="flex-start">
          <div>
            <Title order={2} size="h5">
              Doctor
            </Title>
            <Text size="sm" c="dimmed" maw={560}>
              {reachable
                ? "The wrapper looks at process, network, proxy, certificates, clock, credentials, disk and more, also while the agent is down."
                : "Its wrapper is not connected. On its machine, sallyport-wrapper doctor says what is wrong."}
            </Text>
          </div>
          <Group gap="xs">
            <Button variant="default" size="xs" leftSection={<IconFileZip size={14} />} disabled={!reachable} loading={bundle.isPending} onClick={() => bundle.mutate()}>
              Support bundle
            </Button>
            <Button size="xs" leftSection={<IconStethoscope size={14} />} disabled={!reachable} loading={examine.isPending} onClick={() => examine.mutate()}>
              {examine.data ? "Examine again" : "Examine"}
            </Button>
          </Group>
        </Group>
        <Text size="xs" c="dimmed">
          A support bundle is a zip with logs, settings without secrets, and what the doctor finds.
        </Text>
        {examine.isPending && (
          <Group gap="sm" role="status">
            <Loader size="sm" aria-hidden />
            <Text size="sm">The wrapper of {agent.name} looks at its installation...</Text>
          </Group>
        )}
        <Refused error={examine.error} title="Not examined" />
        {examine.data && !examine.isPending && <Findings examination={examine.data} />}
      </Stack>
    </Paper>
  );
}

const LOOKS: Record<string, [color: string, icon: Icon]> = {
  ok: ["green", IconCircleCheck],
  warning: ["yellow", IconAlertTriangle],
  failed: ["red", IconCircleX],
};

const tint = (color: string) => `light-dark(var(--mantine-color-${color}-light-color), var(--mantine-color-${color}-4))`;

const VERDICTS: Record<string, string> = { ok: "All is well", warning: "It works, and may not for long", failed: "Something is wrong" };

/** What needs somebody comes first. */
const RANK = ["failed", "warning", "ok"];
const rank = ({ verdict }: Finding) => (RANK.indexOf(verdict) + RANK.length + 1) % (RANK.length + 1);

function Findings({ examination }: { examination: Examination }) {
  const { verdict, at, findings, wrapper_version: version } = examination;
  const sorted = findings.toSorted((one, other) => rank(one) - rank(other));
  return (
    <>
      <Text fw={600} role="status" c={tint(LOOKS[verdict]?.[0] ?? "gray")}>
        {VERDICTS[verdict] ?? words(verdict)}
      </Text>
      <Text size="xs" c="dimmed">
        Wrapper {version}, <Time at={at} />
      </Text>
      <ol className="stages" aria-label="Findings">
        {sorted.map((finding) => (
          <Row key={finding.check} finding={finding} />
        ))}
      </ol>
    </>
  );
}

function Row({ finding: { check, verdict, seen, advice } }: { finding: Finding }) {
  const [color, Icon] = LOOKS[verdict] ?? ["gray", IconCircleMinus];
  return (
    <li>
      <Icon size={20} color={tint(color)} aria-label={words(verdict)} />
      <div>
        <Text size="sm" fw={600}>
          {NAMES[check] ?? words(check)}
        </Text>
        <Text size="sm" c={verdict === "ok" ? "dimmed" : undefined} className="wraps">
          <Said text={seen} />
        </Text>
        {advice && (
          <Text size="sm" fw={500} className="wraps">
            <Said text={sentence(advice)} />
          </Text>
        )}
      </div>
      <span />
    </li>
  );
}

const NAMES: Record<string, string> = { dns: "Name", tls: "Certificate", licence: "Licence", descriptors: "Open files" };
