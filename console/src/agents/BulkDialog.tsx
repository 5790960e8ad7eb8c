// Asks before something is done to several agents, lists what it means for each, and says how it went.

import { Button, Group, List, Modal, ScrollArea, Stack, Text } from "@mantine/core";
import { IconCheck, IconX } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { path, send } from "../api/client";
import { stepsOn, usesQuery, workOfQuery } from "../api/queries";
import type { Agent } from "../api/types";
import { Said } from "../parts/Said";
import { said } from "../parts/toast";
import type { Bulk } from "./bulk";

interface Props {
  what: Bulk;
  agents: Agent[];
  onClose: () => void;
  /** Called when all of them went well. */
  onDone: () => void;
}

type Went = "ok" | { error: unknown };

export function BulkDialog({ what, agents: asked, onClose, onDone }: Props) {
  // As they stood when it was asked: what is done changes the list behind.
  const [agents] = useState(asked);
  const [went, setWent] = useState<ReadonlyMap<string, Went>>(new Map());
  const cache = useQueryClient();
  const all = useMutation({
    mutationFn: async () => {
      let failures = 0;
      for (const agent of agents) {
        const result: Went = await send(path`/agents/${agent.id}/${what.verb}`, { method: "POST" }).then(
          () => "ok" as const,
          (error: unknown) => ({ error }),
        );
        if (result !== "ok") failures += 1;
        setWent((now) => new Map(now).set(agent.id, result));
      }
      return failures;
    },
    onSuccess: (failures) => {
      if (failures > 0) return;
      onDone();
      onClose();
    },
    onSettled: () => cache.invalidateQueries({ queryKey: ["agents"] }),
  });
  const some = agents.length === 1 ? "1 agent" : `${agents.length} agents`;
  return (
    <Modal opened onClose={onClose} title={`${what.word} ${some}?`} size="lg">
      <Stack>
        <Text>{what.means}</Text>
        <ScrollArea.Autosize mah="45dvh" type="auto">
          <List listStyleType="none" spacing="xs" aria-label="Agents">
            {agents.map((agent) => (
              <List.Item key={agent.id}>
                <Text size="sm" fw={500} className="name">
                  {agent.name}
                </Text>
                <Meaning what={what} agent={agent} />
                <Outcome went={went.get(agent.id)} done={what.done} />
              </List.Item>
            ))}
          </List>
        </ScrollArea.Autosize>
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            {all.isSuccess ? "Close" : "Leave them as they are"}
          </Button>
          {!all.isSuccess && (
            <Button color={what.verb === "reactivate" ? undefined : "red"} loading={all.isPending} onClick={() => all.mutate()}>
              {what.word} {some}
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

/** What is cancelled by a restart, or stands against a deactivation. */
function Meaning({ what, agent }: { what: Bulk; agent: Agent }) {
  const work = useQuery({ ...workOfQuery(agent), enabled: what.cancels });
  const uses = useQuery({ ...usesQuery(agent.id), enabled: what.verb === "deactivate" });
  if (work.error ?? uses.error) return <Note>What it executes is not known: {said(work.error ?? uses.error)}</Note>;
  if (what.cancels) {
    if (!work.data) return <Note>Looking for what it executes...</Note>;
    if (work.data.length === 0) return <Note>It executes nothing now.</Note>;
    return <Note>Cancels {work.data.map((run) => `${run.task}: ${stepsOn(run, agent.name).join(", ")}`).join("; ")}</Note>;
  }
  const steps = uses.data?.items ?? [];
  if (steps.length === 0) return null;
  return <Note>Serves {steps.map((use) => `${use.task}: ${use.step}`).join("; ")}</Note>;
}

function Note({ children }: { children: React.ReactNode }) {
  return (
    <Text size="sm" c="dimmed">
      {children}
    </Text>
  );
}

function Outcome({ went, done }: { went: Went | undefined; done: string }) {
  if (!went) return null;
  const ok = went === "ok";
  return (
    <Group gap={4} wrap="nowrap" align="flex-start" c={ok ? "green" : "red"} role={ok ? undefined : "alert"}>
      {ok ? <IconCheck size={16} aria-hidden /> : <IconX size={16} aria-hidden />}
      <Text size="sm">{ok ? `It ${done}` : <Said text={said(went.error)} />}</Text>
    </Group>
  );
}
